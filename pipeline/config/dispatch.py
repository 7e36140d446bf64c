"""The configuration of the dispatcher: `conf/dispatch.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.config.run import StorageConfig
from pipeline.config.section import Section


class DispatchConfig(Section):
    """How many jobs run at a time, and after how many seconds without job or server it ends."""

    concurrent: Annotated[int, Field(ge=1, le=64)]
    idle: Annotated[float, Field(gt=0)]
    server: Annotated[int, Field(gt=0)] | None = None
    storage: StorageConfig
