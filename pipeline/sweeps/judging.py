"""Judge the markets of one sweep together: a q-value for each, and the stage that it leaves.

``fdr_q_value`` is that of validation rules §3.2: of the p-values that decide VALIDATION. Generated
candles are a family of their own. A market whose p is undefined, that stored nothing or that was
cancelled, is a test with p = 1 and has no q.
"""

import operator
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline.errors import Note, UserError
from pipeline.results import records
from pipeline.results.artifacts.pooled import pooled_verdicts
from pipeline.results.database import Repository
from pipeline.results.document.document import after_sweep
from pipeline.results.rows.sweeps import Claim
from pipeline.validation.multiple_testing import sweep_q_values
from pipeline.validation.pooling import PooledVerdict
from pipeline.validation.stages import Q_LIMIT, Stage, judge, position_size
from pipeline.validation.wording import number, plural


def judge_sweep(repository: Repository, root: Path, claim: Claim, note: Note) -> None:
    """Pool and judge the markets of a sweep, which have all ended, and end it.

    It has failed where a market has, and is cancelled where one was: both are of fewer markets than
    were asked for. ``root`` and ``note`` are those of `pool`.

    Raises
    ------
    SweepTakenError
        When the sweep has another owner now.
    EditedError
        When the configuration of a market is not what was stored.
    """
    sweeps = repository.sweeps
    rows = sweeps.markets(claim.sweep_id)
    stored = {row.market: row.configuration_id for row in rows if row.status != "failed"}
    ids = [id_ for id_ in stored.values() if id_ is not None]
    pooled = pool(repository, root, stored, note)
    unstored = sweeps.unstored(claim.sweep_id)
    q_values = judge_together(repository, ids, unstored, claim.sweep_id)
    sweeps.write_judgement(claim, q_values, pooled)
    ends: tuple[records.Status, ...] = ("failed", "cancelled")
    present = {row.status for row in rows}
    sweeps.end(claim, next((end for end in ends if end in present), "completed"))


def judge_together(
    repository: Repository,
    configuration_ids: Sequence[str],
    unstored: Sequence[bool] = (),
    sweep_id: str | None = None,
) -> dict[str, float | None]:
    """Give configurations their q-values and judge their stages anew.

    Each is one transaction, with an event of kind ``sweep``. Judging the same ones again changes
    and records nothing. Judging them among as many others or more replaces what was said before;
    among fewer it does not, or a market asked for alone would lose its correction.

    Parameters
    ----------
    configuration_ids : sequence of str
        Of the markets of one sweep that completed.
    unstored : sequence of bool
        For every other market that counts, and stored nothing: whether its candles are synthetic.
        It counts as a test with p = 1.
    sweep_id : str or None
        What the events are to name, where the sweep has a row.

    Returns
    -------
    dict
        q-value by id, in 0…1; None where p is undefined.

    Raises
    ------
    pipeline.errors.UnknownIdError
        When one of them is not stored; then nothing was changed.
    """
    q_values: dict[str, float | None] = {}
    tests = repository.configurations.members(list(dict.fromkeys(configuration_ids)))
    for synthetic in (False, True):
        family = [test for test in tests if test.synthetic is synthetic]
        q_values |= _judge_family(repository, family, unstored.count(synthetic), sweep_id)
    return {test.configuration_id: q_values[test.configuration_id] for test in tests}


def pool(
    repository: Repository, root: Path, stored: Mapping[str, str | None], note: Note
) -> list[PooledVerdict]:
    """Pool the markets of a sweep, whose artifacts lie in ``root``: `pooled_verdicts`.

    ``stored`` holds the configuration of every market that counts by its label, None for one that
    stored nothing. Where the workers' artifacts are not here, ``note`` hears it, and the sweep
    has no pool.
    """
    ids = list(dict.fromkeys(id_ for id_ in stored.values() if id_ is not None))
    members = {member.configuration_id: member for member in repository.configurations.members(ids)}
    try:
        return pooled_verdicts(
            root, {label: members.get(id_ or "") for label, id_ in stored.items()}
        )
    except UserError as error:
        note(str(error))
        return []


def _judge_family(
    repository: Repository,
    family: Sequence[records.SweepMember],
    unstored: int,
    sweep_id: str | None,
) -> dict[str, float | None]:
    q_values: dict[str, float | None] = {}
    family_q = sweep_q_values([test.deciding_p for test in family], unstored)
    for test, q in zip(family, family_q, strict=True):
        q_values[test.configuration_id] = q
        if q is not None:
            tests = len(family) + unstored
            judge_one = partial(_judgement, q, test.deciding_p, tests, sweep_id)
            repository.configurations.rejudge(test.configuration_id, judge_one)
    return q_values


def _judgement(
    q: float,
    p: float | None,
    tests: int,
    sweep_id: str | None,
    configuration: records.Configuration,
    events: Sequence[records.ConfigurationEvent],
) -> records.Judgement:
    """Judge the figures that its gates were judged by, with ``q`` among them."""
    q, tests = _largest_family(q, tests, events)
    figures = configuration.judged_figures
    reached, gates = judge(figures | {"fdr_q_value": q})
    stage = records.cap_stage(reached, events)
    size = position_size(stage, gates, configuration.synthetic)
    return records.Judgement(
        kind=records.SWEEP,
        stage=stage,
        statistics=configuration.statistics | {"fdr_q_value": q},
        gates=[gate.to_dict() for gate in gates],
        document=after_sweep(configuration.document, stage, size, configuration.out_of_sample, q),
        reason=_reason(q, tests, reached, stage),
        figures={"fdr_q_value": q, "deciding_p": p, "tests": tests}
        | ({} if sweep_id is None else {"sweep_id": sweep_id}),
    )


def _largest_family(
    q: float, tests: int, events: Sequence[records.ConfigurationEvent]
) -> tuple[float, int]:
    """Return the q-value among the most tests: asking for fewer again undoes no correction."""
    families = [
        (e.figures["tests"], e.figures["fdr_q_value"]) for e in events if e.kind == records.SWEEP
    ]
    most, its_q = max(families, default=(0, q), key=operator.itemgetter(0))
    return (its_q, most) if most > tests else (q, tests)


def _reason(q: float, tests: int, reached: Stage, stage: Stage) -> str:
    """Say what the q-value is of, and what it comes to."""
    since = "" if stage == reached else f", and {stage} since newer candles were looked at"
    return (
        f"q-value {number(q)} among {plural(tests, 'training')} of a sweep, {number(Q_LIMIT)} is"
        f" the limit: {reached}{since}."
    )
