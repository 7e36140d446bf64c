"""The configuration of a sweep, without that of its markets, which is of `TrainConfig`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.run import ExecutorConfig, StorageConfig
from pipeline.config.section import List, Section

#: One name, or a list of them.
Names = Annotated[
    List[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, description="all, or names and patterns of markets"),
]


class SweepConfig(Section):
    """Which markets, on which machines, and what an earlier sweep of the same counts for."""

    markets: Names
    resume: bool
    retry_failed: bool
    dry_run: bool
    storage: StorageConfig
    executor: ExecutorConfig

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if self.executor.several_nodes and self.storage.url.startswith("sqlite"):
            raise ValueError(
                f"executor={self.executor.name} may have several nodes, and an SQLite file serves"
                " one: use storage=postgresql, or executor.address=local."
            )
        return self
