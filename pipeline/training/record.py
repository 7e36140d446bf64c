"""Make what a run leaves: its configuration's row and artifacts, and `result.json`."""

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from gpu_engine import DAYS_PER_YEAR, METRICS, Candles, Float, Window
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.results.artifacts import artifact_set
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from pipeline.results.document.document import build_document
from pipeline.results.document.performance import average_spread_bps
from pipeline.results.jsonable import dumps, jsonable
from pipeline.results.records import Configuration
from pipeline.training.run import TrainingResult
from pipeline.validation.holding import hold_returns
from pipeline.validation.luck import Evidence


def metrics_dict(metrics: Any) -> dict[str, Any] | None:
    """Metrics by name as plain values; None for no metrics, null for what is not finite."""
    if metrics is None:
        return None
    values: dict[str, Any] = jsonable({name: metrics[name] for name in METRICS.names or ()})
    return values


def window_records(trained: TrainingResult) -> list[dict[str, Any]]:
    """Each validation window: its days (UTC, inclusive), its winner, both parts' metrics."""
    candles = trained.market.candles
    return [
        {
            "train": _dates(candles, window.split.train),
            "test": _dates(candles, window.split.test),
            "combinations_evaluated": window.search.evaluated,
            "admissible": window.search.admissible,
            "parameters": parameters,
            "score": window.search.score,
            "stability_score": window.search.stability_score,
            "in_sample": metrics_dict(window.in_sample),
            "out_of_sample": metrics_dict(window.out_of_sample),
        }
        for window, parameters in zip(
            trained.validation.windows, trained.window_parameters, strict=True
        )
    ]


def write_result(
    path: Path, trained: TrainingResult, job_id: str, configuration_id: str | None
) -> None:
    """Write `result.json`: what a run found out, without its series."""
    result = jsonable(
        {
            "market": trained.config.market.id,
            "synthetic": trained.market.synthetic,
            "strategy": trained.strategy,
            "optimizer": trained.config.optimizer.name,
            "method": trained.settings.method,
            "selection": trained.settings.selection,
            "objective": trained.settings.objective,
            "backend": trained.provenance["backend"],
            "combinations_evaluated": trained.validation.evaluations,
            "parameters": trained.parameters,
            "parameter_spread": trained.spread,
            "in_sample": metrics_dict(trained.in_sample),
            "out_of_sample": metrics_dict(trained.validation.metrics),
            "windows": window_records(trained),
            "lifecycle_stage": trained.stage,
            "gates": [gate.to_dict() for gate in trained.gates],
            "statistics": trained.statistics,
            "whole_history": trained.evidence.search,
            "configuration_id": configuration_id,
            "job_id": job_id,
            "provenance": trained.provenance,
            "timings": trained.timings,
        }
    )
    replace_text(path, dumps(result))


def configuration_of(
    trained: TrainingResult, identity: str, job_id: str, now: datetime
) -> Configuration:
    """Make the row of a run's configuration; without parameters it has no document."""
    config, market = trained.config, trained.config.market
    statistics = trained.statistics | {
        "parameter_spread": trained.spread,
        "whole_history": trained.evidence.search,
        "window_days": [
            {part: window[part] for part in ("train", "test")} for window in window_records(trained)
        ],
    }
    configuration = Configuration(
        id=identity,
        job_id=job_id,
        strategy=trained.strategy,
        exchange=market.exchange.name,
        pair=market.pair,
        timeframe=market.timeframe,
        lifecycle_stage=trained.stage,
        synthetic=trained.market.synthetic,
        parameters=trained.parameters or {},
        in_sample=metrics_dict(trained.in_sample) or {},
        out_of_sample=metrics_dict(trained.validation.metrics) or {},
        statistics=jsonable(statistics),
        gates=[gate.to_dict() for gate in trained.gates],
        circuit_breakers={},
        provenance=jsonable(trained.provenance),
        document={},
        artifacts=identity,
        created_at=now,
    )
    if trained.parameters is None:  # nothing was admissible: such a row is never stored
        return configuration
    document = build_document(
        configuration,
        config.strategy,
        config.costs,
        config.risk,
        trained.validation.daily,
        trained.validation.trades,
        average_spread_bps(trained.market.candles),
        config.data.funding_rate,
    )
    return replace(configuration, circuit_breakers=document["circuit_breakers"], document=document)


def artifacts_of(trained: TrainingResult) -> artifact_set.ArtifactSet:
    """Make the artifacts of a run that has a configuration to store."""
    candles, validation = trained.market.candles, trained.validation
    assert trained.in_sample_daily is not None, "a configuration has an in-sample series"
    scores = None
    if trained.surface is not None:
        scores = artifact_set.ScoreSurface(trained.axes, trained.surface)
    return artifact_set.ArtifactSet(
        in_sample=artifact_set.DailySeries(
            candles.calendar(validation.final.window), trained.in_sample_daily
        ),
        out_of_sample=artifact_set.DailySeries(
            validation.day,
            validation.daily,
            validation.closed_daily,
            hold_returns(candles, validation.day),
        ),
        trades=validation.trades,
        windows=window_records(trained),
        scores=scores,
        summary=_summary(trained),
        null=_null(trained.evidence),
        trials=_trials(trained),
    )


def _trials(trained: TrainingResult) -> DrawnTrials | None:
    trials = trained.validation.final.trials
    if trials is None or trained.parameters is None:
        return None
    points = np.where(np.isinf(trials.points), np.nan, trials.points)  # off
    named = dict(zip(trained.parameters, points.T, strict=True))
    return DrawnTrials(named, {"score": trials.scores, **trials.metrics})


def _summary(trained: TrainingResult) -> artifact_set.ScoreSummary | None:
    summary = trained.validation.final.summary
    if summary is None:
        return None
    names = list(trained.axes)
    pairs = {(names[a], names[b]): table for (a, b), table in summary.pairs.items()}
    return artifact_set.ScoreSummary(trained.axes, summary.index, summary.score, pairs)


def _null(evidence: Evidence) -> artifact_set.NullDistribution | None:
    reality, year = evidence.reality_check, math.sqrt(DAYS_PER_YEAR)
    tested = reality is not None and reality.statistic is not None
    drawn: dict[str, Float] = {kind: test.top for kind, test in evidence.surrogates.items()}
    if not (tested or drawn):
        return None
    return artifact_set.NullDistribution(
        observed=evidence.search.get("best_active_sharpe_ratio"),
        maxima=reality.maxima * year if reality is not None else np.empty(0),
        best=evidence.search["top_sharpe_ratio"] if drawn else None,
        surrogates=drawn,
    )


def _dates(candles: Candles, window: Window) -> list[str]:
    """First and last UTC day of a window, ISO 8601."""
    days = candles.calendar(window)
    return [str(np.datetime64(int(day), "D")) for day in (days[0], days[-1])]
