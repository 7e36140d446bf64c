"""The configuration of the server: `conf/serve.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.config.run import StorageConfig
from pipeline.config.section import Section


class ServeConfig(Section):
    """Where the server listens, what it asks for, and what its jobs may take.

    ``token_file`` None takes the token from the environment, where there is one.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=0, le=65_535)]
    token_file: Annotated[str, Field(min_length=1)] | None
    concurrent: Annotated[int, Field(ge=1, le=64)]
    starts_a_minute: Annotated[int, Field(ge=1, le=10_000)]
    store: Annotated[str, Field(min_length=1, pattern=r"^[^'$\\]*$")]
    storage: StorageConfig
