"""The end of a multirun of `pipeline.train`: its markets judged together, and their table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.console import Console
from pipeline.cli.outcome import Ended, Outcome
from pipeline.config import TrainConfig, load
from pipeline.results.database import open_database
from pipeline.sweeps.judging import judge_together
from pipeline.sweeps.table import MarketRow, show

KILLED = "it left no result: its process was killed, or the machine went down."


def finish(jobs: Sequence[Ended]) -> None:
    """Judge the jobs of a multirun that completed, and show all.

    Markets are judged together with those in the same database: a multirun over several
    ``storage`` has as many sweeps.
    """
    results = {one.job: _result(path) for one, path in jobs if one.status == 0}
    labels = _labels([one for one, _ in jobs])
    rows: dict[int, MarketRow] = {
        one.job: _failed(one, label)
        for (one, _), label in zip(jobs, labels, strict=True)
        if one.status != 0
    }
    for storage in sorted({_storage(one) for one, _ in jobs if one.status == 0}):
        held = {
            one.job: (one, label)
            for (one, _), label in zip(jobs, labels, strict=True)
            if one.status == 0 and _storage(one) == storage
        }
        rows |= _judged(storage, held, results)
    show(Console(), [rows[one.job] for one, _ in jobs])


def _storage(outcome: Outcome) -> tuple[str, ...]:
    """Words of a job that choose its database."""
    return tuple(word for word in outcome.overrides if word.lstrip("+").startswith("storage"))


def _judged(
    storage: Sequence[str],
    jobs: dict[int, tuple[Outcome, str]],
    results: dict[int, dict[str, Any]],
) -> dict[int, MarketRow]:
    """Judge the jobs of one database and make their rows."""
    with open_database(load(storage, TrainConfig, "train").storage.url) as repository:
        ids = {job: results[job]["configuration_id"] for job in jobs}
        q_values = judge_together(repository, [one for one in ids.values() if one is not None])
        rows = {}
        for job, (outcome, label) in jobs.items():
            result, one = results[job], ids[job]
            rows[job] = MarketRow(
                market=label,
                stage=None if one is None else repository.configurations.read(one).lifecycle_stage,
                synthetic=result["synthetic"],
                oos_sharpe_ratio=result["out_of_sample"]["sharpe_ratio"],
                trades=result["out_of_sample"]["sample_size"],
                p_value=result["statistics"].get("p_value"),
                fdr_q_value=None if one is None else q_values[one],
                seconds=outcome.seconds,
            )
        return rows


def _failed(outcome: Outcome, label: str) -> MarketRow:
    error = KILLED if outcome.status is None else outcome.error or "it failed."
    return MarketRow(label, None, False, None, None, None, None, outcome.seconds, error)


def _labels(outcomes: Sequence[Outcome]) -> list[str]:
    """Name each job by its market, and by the words that not every job has where that is not one.

    A market that two jobs have is two tests: ``demo seed=1`` and ``demo seed=2``.
    """
    markets = Counter(one.market for one in outcomes)
    words = Counter(word for one in outcomes for word in set(one.overrides))
    return [
        one.market
        if markets[one.market] == 1
        else " ".join(
            (
                one.market,
                *(
                    word
                    for word in one.overrides
                    if words[word] < len(outcomes) and not word.startswith("market=")
                ),
            )
        )
        for one in outcomes
    ]


def _result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return result
