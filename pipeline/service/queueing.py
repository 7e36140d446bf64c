"""All jobs of a start in one transaction: the queue holds every one of them, or none."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.config import TrainConfig
from pipeline.results.jobs import Repository
from pipeline.training import job


def queue_all(repository: Repository, configs: Iterable[TrainConfig]) -> list[str]:
    """Store a pending job of each configuration that waits for a dispatcher; return their ids."""
    return repository.queue_jobs(job.description(config) for config in configs)
