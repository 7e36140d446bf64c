"""A job's row before it is stored."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.results.models import TrainingJob
from pipeline.results.ownership import this_process
from pipeline.results.records import utc_now


def new_job(
    *,
    exchange: str,
    pair: str,
    timeframe: str,
    strategy: str,
    optimizer: str,
    config: Mapping[str, Any],
    config_hash: str,
    seed: int,
) -> TrainingJob:
    """Make a pending job of this process, not stored yet."""
    now = utc_now()
    return TrainingJob(
        id=uuid.uuid4().hex,
        market=f"{exchange}:{pair}:{timeframe}",
        exchange=exchange,
        pair=pair,
        timeframe=timeframe,
        strategy=strategy,
        optimizer=optimizer,
        config=config,
        config_hash=config_hash,
        seed=seed,
        status="pending",
        progress=0.0,
        heartbeat_at=now,
        created_at=now,
        **this_process(),
    )
