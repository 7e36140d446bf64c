"""End a multirun of `pipeline.train`: judge its markets together and show their table."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.command import Outcome
from pipeline.cli.console import Console
from pipeline.config import SURROGATES, TrainConfig, load, strategy_name
from pipeline.errors import Note
from pipeline.results.database import open_database
from pipeline.sweeps.judging import judge_together, pool
from pipeline.sweeps.manifest import surrogate_count
from pipeline.sweeps.table import MarketRow, show
from pipeline.validation.pooling import PooledVerdict
from pipeline.validation.stages import Q_LIMIT


def finish(jobs: Sequence[Outcome]) -> None:
    """Judge the jobs of a multirun that completed, and show all.

    Markets are judged together with those in the same database: a multirun over several
    ``storage`` has as many sweeps.
    """
    labels = _labels(jobs)
    rows: dict[int, MarketRow] = {}
    databases: dict[tuple[str, ...], list[int]] = {}
    for number, job in enumerate(jobs):
        if job.status != 0:
            rows[number] = MarketRow(labels[number], seconds=job.seconds, error=job.error)
        else:
            storage = tuple(w for w in job.overrides if w.lstrip("+").startswith("storage"))
            databases.setdefault(storage, []).append(number)
    console, pooled = Console(), list[PooledVerdict]()
    for storage, numbers in databases.items():
        members = [(labels[number], jobs[number]) for number in numbers]
        market_rows, pools = _judge(storage, members, console.note)
        rows |= zip(numbers, market_rows, strict=True)
        pooled += pools
    market_rows = [row for _, row in sorted(rows.items())]
    show(console, market_rows, pooled)
    tested = sum(row.error is None for row in market_rows)
    counted = any("surrogate_count" in word for job in jobs for word in job.overrides)
    if tested / (SURROGATES + 1) >= Q_LIMIT and not counted:
        console.note(
            f"A single market among {tested} cannot reach a q below {Q_LIMIT:g} with {SURROGATES}"
            f" surrogates: give validation.surrogate_count={surrogate_count(tested)}. scripts/sweep"
            " does it by itself."
        )


def _judge(
    storage: Sequence[str], jobs: Sequence[tuple[str, Outcome]], note: Note
) -> tuple[list[MarketRow], list[PooledVerdict]]:
    """Judge the jobs of one database, each with its label; make their rows and their pools."""
    place = load(storage, TrainConfig, "train").storage
    with open_database(place.url, place.patience, note) as repository:
        results = [_result(job) for _, job in jobs]
        ids = [result["configuration_id"] for result in results]
        stored = [id_ for id_ in ids if id_ is not None]
        unstored = [result["synthetic"] for result in results if not result["configuration_id"]]
        q_values = judge_together(repository, stored, unstored)
        by_label = {label: id_ for (label, _), id_ in zip(jobs, ids, strict=True)}
        pooled = pool(repository, Path(place.artifacts), by_label, note)
        market_rows = [
            MarketRow(
                market=label,
                stage=None if id_ is None else repository.configurations.read(id_).lifecycle_stage,
                synthetic=result["synthetic"],
                oos_sharpe_ratio=result["out_of_sample"]["sharpe_ratio"],
                trades=result["out_of_sample"]["sample_size"],
                p_value=result["statistics"].get("p_value"),
                surrogate_p=result["statistics"].get("surrogate_p"),
                fdr_q_value=None if id_ is None else q_values[id_],
                seconds=job.seconds,
            )
            for (label, job), result, id_ in zip(jobs, results, ids, strict=True)
        ]
        return market_rows, pooled


def _labels(jobs: Sequence[Outcome]) -> list[str]:
    """Name each job by its market, and by the words that not every job has where that is not one.

    A market that two jobs have is two tests: ``demo seed=1`` and ``demo seed=2``. A strategy stands
    by its name alone, as in a sweep: ``demo donchian_breakout``.
    """
    markets = Counter(job.market for job in jobs)
    words = Counter(word for job in jobs for word in set(job.overrides))
    labels = []
    for job in jobs:
        own = [w for w in job.overrides if words[w] < len(jobs) and not w.startswith("market=")]
        own = [
            strategy_name(w.partition("=")[2].strip("'")) if w.startswith("strategy=") else w
            for w in own
        ]
        labels.append(" ".join((job.market, *own)) if markets[job.market] > 1 else job.market)
    return labels


def _result(job: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((job.folder / "result.json").read_text("utf-8"))
    return result
