"""What commands on stored configurations ask for: `conf/stored.yaml`."""

from __future__ import annotations

from pydantic import Field

from pipeline.config.data import CcxtData, FileData, SyntheticData
from pipeline.config.run import StorageConfig
from pipeline.config.section import Section


class StorageOnly(Section):
    """Where stored configurations lie."""

    storage: StorageConfig


class StoredConfig(StorageOnly):
    """The same, and candles that take the place of the training's own; None keeps those."""

    data: CcxtData | FileData | SyntheticData | None = Field(default=None, discriminator="source")
