"""Records of the database as answers."""

from __future__ import annotations

from typing import Any

from pipeline.results.jsonable import jsonable
from pipeline.results.records import Configuration, Job
from pipeline.service.answers import ActiveConfiguration, ConfigurationSummary, JobView
from pipeline.validation.stages import STAGE_SIZE


def job(record: Job, progress: dict[str, Any] | None = None) -> JobView:
    """Return a job as it stands; ``progress`` is the payload of its newest progress event."""
    rate, left = _pace(progress)
    return JobView(
        id=record.id,
        market=record.market,
        exchange=record.exchange,
        pair=record.pair,
        timeframe=record.timeframe,
        strategy=record.strategy,
        optimizer=record.optimizer,
        synthetic=_synthetic(record),
        seed=record.seed,
        status=record.status,
        queued=record.queued,
        stage_of_work=record.stage_of_work,
        progress=record.progress,
        rate=rate,
        seconds_left=left,
        error=record.error,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
    )


def summary(record: Configuration) -> ConfigurationSummary:
    """Return a configuration without its documents."""
    metrics: dict[str, Any] = jsonable(record.out_of_sample)
    return ConfigurationSummary(
        id=record.id,
        job_id=record.job_id,
        strategy=record.strategy,
        exchange=record.exchange,
        pair=record.pair,
        timeframe=record.timeframe,
        lifecycle_stage=record.lifecycle_stage,
        synthetic=record.synthetic,
        is_active=record.is_active,
        oos_sharpe_ratio=metrics.get("sharpe_ratio"),
        oos_net_profit=metrics.get("net_profit"),
        sample_size=metrics.get("sample_size") or 0,
        p_value=jsonable(record.statistics.get("p_value")),
        created_at=record.created_at,
    )


def active(record: Configuration) -> ActiveConfiguration:
    """Return what a live trader needs of a configuration."""
    return ActiveConfiguration(
        id=record.id,
        lifecycle_stage=record.lifecycle_stage,
        size=STAGE_SIZE[record.lifecycle_stage],
        synthetic=record.synthetic,
        document=record.document,
    )


def _synthetic(record: Job) -> bool:
    """Whether a job's candles are invented or rearranged, from what it was told."""
    data = record.config.get("data", {})
    return data.get("source") == "synthetic" or data.get("surrogate") is not None


def _pace(progress: dict[str, Any] | None) -> tuple[float | None, float | None]:
    """Units a second of the present stage of work, and the seconds that are left of it."""
    if not progress or not progress.get("rate"):
        return None, None
    return progress["rate"], (progress["total"] - progress["done"]) / progress["rate"]
