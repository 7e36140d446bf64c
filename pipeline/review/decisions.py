"""Repeat all that decides the stage of a stored configuration, from its job and its seed.

The training is run once more: the search of every window, the statistics of its out-of-sample days,
the tests against luck, surrogates included, and the gates. Nothing of what was stored goes in but
the job's configuration. What other markets of a sweep decide with it, its q-value and the pool, is
computed again from what they stored.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import TrainConfig, validate
from pipeline.errors import ConflictError, UserError
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.artifacts.pooled import pooled_verdicts
from pipeline.results.database import Repository
from pipeline.results.jsonable import jsonable
from pipeline.results.records import (
    SWEEP,
    Configuration,
    ConfigurationEvent,
    Sweep,
    SweepMarket,
    SweepMember,
)
from pipeline.review.comparison import Comparison, compare_arrays, compare_json
from pipeline.review.derived import judge_again
from pipeline.review.stored import Data
from pipeline.training.record import artifacts_of, configuration_of, window_records
from pipeline.training.run import Reporter, train
from pipeline.validation.multiple_testing import sweep_q_values
from pipeline.validation.stages import gates_from, position_size
from pipeline.validation.walk_forward import ReferenceDisagreementError
from pipeline.validation.wording import duration, plural

#: Statistics that a training alone does not give: those of a sweep, and of what else is stored.
OTHERS = ("fdr_q_value", "earlier_searches")
#: Statistics that decide nothing, and that a row of an earlier build lacks.
LATER = ("long_alone",)


def repeat_training(
    repository: Repository,
    configuration: Configuration,
    record: ArtifactSet,
    data: Data,
    reporter: Reporter,
) -> Iterator[Comparison]:
    """Train once more on ``data``, and compare all that decides the stage.

    The work is done here and now by the fastest backend, whoever did it then: the results of all
    are the same.
    """
    job = repository.jobs.read(configuration.job_id)
    try:
        config = _config(job.config, data)
    except (KeyError, UserError) as error:
        yield Comparison("search", 1, 1, None, f"this version cannot repeat the search: {error}")
        return
    if job.started_at is not None and job.finished_at is not None:
        took = duration((job.finished_at - job.started_at).total_seconds())
        reporter.note(f"Search and tests against luck are repeated; the training took {took}.")
    try:
        trained = train(config, Reporter(progress=reporter.progress))
    except ReferenceDisagreementError as error:
        yield Comparison("search", 1, 1, None, f"the search cannot be repeated: {error}")
        return
    if trained.parameters is None:
        yield Comparison("search", 1, 1, None, "the search finds nothing to store any more")
        return
    again = configuration_of(trained, configuration.id, job.id, configuration.created_at)
    yield compare_json(
        "search",
        {"parameters": configuration.parameters, "windows": record.windows},
        {"parameters": again.parameters, "windows": jsonable(window_records(trained))},
    )
    stored = {n: v for n, v in configuration.statistics.items() if n not in OTHERS}
    unknown = [name for name in LATER if name not in stored]
    computed = {n: v for n, v in again.statistics.items() if n not in unknown}
    yield compare_json("statistics", stored, computed)
    yield compare_json("stage of the training", _stage(configuration), _stage(again))
    made = artifacts_of(trained)
    if record.trials is None:  # of a build that kept none
        made = replace(made, trials=None)
    pictures = (_pictures(kept) for kept in (record, made))
    yield compare_arrays("what the report draws", *pictures)


def _pictures(record: ArtifactSet) -> dict[str, NDArray[Any]]:
    """Return what a report draws of a record, by name: scores, luck, and the series beside."""
    scores, summary, null = record.scores, record.summary, record.null
    beside = {"closed": record.out_of_sample.closed, "hold": record.out_of_sample.hold}
    arrays: dict[str, NDArray[Any]]
    arrays = {f"series {name}": a for name, a in beside.items() if a is not None}
    if scores is not None:
        arrays |= {f"scores of {name}": values for name, values in scores.metrics.items()}
    if summary is not None:
        arrays |= {"best combinations": summary.index, "best scores": summary.score}
        arrays |= {f"best scores of {a} and {b}": t for (a, b), t in summary.pairs.items()}
    if record.trials is not None:
        parts = (record.trials.parameters, record.trials.metrics)
        arrays |= {f"trials, {name}": a for part in parts for name, a in part.items()}
    if null is not None:
        marks = (np.nan if mark is None else mark for mark in (null.observed, null.best))
        arrays |= {"maxima of luck": null.maxima, "marks in luck": np.array([*marks])}
        arrays |= {f"{kind} candles": top for kind, top in null.surrogates.items()}
    return arrays


def _config(stored: dict[str, Any], data: Data) -> TrainConfig:
    """Rebuild the configuration of a job, to be run in this process on ``data``."""
    here = {
        "backend": {"name": "auto", "threads": None, "block": None, "devices": None},
        "executor": {"name": "local"},
        # Where nothing is written.
        "storage": {"url": "sqlite://", "artifacts": ".", "patience": 0.0},
    }
    return validate(stored | here | {"data": data.model_dump()}, TrainConfig)


def _stage(configuration: Configuration) -> dict[str, Any]:
    """Return the stage that a training gave, the share it may trade, and the gates."""
    stage, gates = judge_again(configuration, ())
    size = position_size(stage, gates_from(gates), configuration.synthetic)
    return {"stage": stage, "size": size, "gates": gates}


@dataclass(frozen=True)
class SweepReview:
    """What became of the figures that a configuration has from its sweeps."""

    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()


def review_sweeps(
    repository: Repository,
    root: Path,
    configuration: Configuration,
    events: Iterable[ConfigurationEvent],
) -> SweepReview:
    """Compute q-value and pools of the configuration's sweeps again, where the members are here.

    The members' own p-values are taken as they are stored: each has its own receipt. Where another
    member was edited there is nothing to compute with: a note names it.
    """
    comparisons: list[Comparison] = []
    notes: list[str] = []
    q_by_tests: dict[int, float | None] = {}
    unknown = False  # of a sweep with a market that was changed
    for sweep_id in repository.sweeps.judged_with(configuration.id):
        ids: list[str] = []
        try:
            sweep = repository.sweeps.sweep(sweep_id)
            markets = repository.sweeps.markets(sweep_id)
            ids = list(dict.fromkeys(m.configuration_id for m in markets if m.configuration_id))
            members = repository.configurations.members(ids)
            unstored = repository.sweeps.unstored(sweep_id).count(configuration.synthetic)
        except ConflictError as error:  # a row was edited or damaged
            unknown = True
            other = getattr(error, "identity", None)
            if other in ids and other != configuration.id:
                notes.append(
                    f"Its q-value and the pool of sweep {sweep_id} cannot be computed again,"
                    f" because {other} of its sweep was changed: scripts/verify {other} --stored"
                    " says how."
                )
                continue
            why = str(error).rstrip(".")
            comparisons.append(Comparison(f"sweep {sweep_id}", 1, 1, None, why))
            continue
        tests, q_values = _q_values(members, configuration.synthetic, unstored)
        q_by_tests[tests] = q_values[configuration.id]
        stored_q = {m.configuration_id: m.fdr_q_value for m in markets if m.configuration_id}
        stored_q = {name: stored_q[name] for name in q_values}
        comparisons.append(compare_json(f"q-values of sweep {sweep.id}", stored_q, q_values))
        try:
            comparisons += _pools(root, sweep, markets, members)
        except UserError as error:
            notes.append(f"The pool of sweep {sweep.id} was not repeated. {error}")
    judged = [event.figures for event in events if event.kind == SWEEP]
    if judged:
        largest = max(figures["tests"] for figures in judged)
        stored = configuration.statistics.get("fdr_q_value")
        if largest in q_by_tests:
            comparisons.append(compare_json("fdr_q_value", stored, q_by_tests[largest]))
        elif not unknown:
            notes.append(
                f"fdr_q_value was not repeated: it is of {plural(largest, 'training')} by"
                " scripts/train -m, and the database does not say which."
            )
    return SweepReview(tuple(comparisons), tuple(notes))


def _q_values(
    members: Iterable[SweepMember], synthetic: bool, unstored: int
) -> tuple[int, dict[str, float | None]]:
    """Count the tests among one kind of candles, and give each configuration its q."""
    family = [member for member in members if member.synthetic is synthetic]
    q_values = sweep_q_values([member.deciding_p for member in family], unstored)
    ids = [member.configuration_id for member in family]
    return len(family) + unstored, dict(zip(ids, q_values, strict=True))


def _pools(
    root: Path, sweep: Sweep, markets: Iterable[SweepMarket], members: Sequence[SweepMember]
) -> Iterator[Comparison]:
    """Pool the members again; of a sweep that could not read their series there is no pool."""
    if sweep.pooled:
        by_id = {member.configuration_id: member for member in members}
        completed = [market for market in markets if market.status != "failed"]
        stored_by = {m.market: by_id.get(m.configuration_id or "") for m in completed}
        again = [asdict(pool) for pool in pooled_verdicts(root, stored_by)]
        stored = [asdict(pool) for pool in sweep.pooled]
        yield compare_json(f"pool of sweep {sweep.id}", stored, again)
