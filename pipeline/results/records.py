"""Define the frozen records of the database's rows, and the words their columns may hold.

A record that extends another adds what stays on this machine: the API answers with the other.

Callers get records, not live ORM objects: a record read in one session can be shown, compared
and kept after the session is gone, and changing the database takes a method of the repository.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from pipeline.validation.pooling import PooledVerdict
from pipeline.validation.stages import STAGES, Stage, gates_from, position_size
from pipeline.validation.wording import Luck, beats_luck

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
ENDED = ("completed", "failed", "cancelled")

STATUSES: tuple[Status, ...] = get_args(Status)
#: Where a job may go from each state. A pending job may fail or be cancelled before it runs:
#: whoever should have run it died, or a person changed their mind. What did not complete may be
#: done again: a market of a sweep keeps its one job.
TRANSITIONS: dict[Status, tuple[Status, ...]] = {
    "pending": ("pending", "running", "failed", "cancelled"),
    "running": ("pending", "completed", "failed", "cancelled"),
    "completed": (),
    "failed": ("pending",),
    "cancelled": ("pending",),
}

#: Sizes of a document's ``risk_allocation``.
_SIZES = ("max_position_size", "current_allocation")

#: Kinds of the events by which newer candles, a sweep, live orders and days watched on paper judge
#: a configuration.
MONITOR, SWEEP, EXECUTION, WATCH = "monitor", "sweep", "execution", "watch"
#: Kind of the event that a paper account was opened: from then on its days are watched.
FOLLOWED = "followed"

#: ``skipped``: another sweep has computed the very same, and its result is taken. ``cancelled``: a
#: person ended its job, and it counts as a test all the same (validation rules §3.2).
MarketStatus = Literal["pending", "running", "done", "failed", "skipped", "cancelled"]

MARKET_STATUSES: tuple[MarketStatus, ...] = get_args(MarketStatus)
#: What stands in place of a stage, or of a state, of a row that something else has edited.
ALTERED = "not as it was stored"


JobEventKind = Literal["status", "progress", "note", "result"]

JOB_EVENT_KINDS: tuple[JobEventKind, ...] = get_args(JobEventKind)


def utc_now() -> datetime:
    """Tell the time, aware and in UTC, as every time in the database is."""
    return datetime.now(UTC)


def are_invented(data: Mapping[str, Any]) -> bool:
    """Whether candles are generated or rearranged, by that part of a configuration."""
    return data.get("source") == "synthetic" or data.get("surrogate") is not None


@dataclass(frozen=True)
class JobSummary:
    """What a job is and how far it has come; ``progress`` is a fraction in 0…1 of the whole job."""

    id: str
    market: str
    exchange: str
    pair: str
    timeframe: str
    strategy: str
    optimizer: str
    seed: int
    status: Status
    stage_of_work: str | None
    progress: float
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class _Owned:
    """What has a status and, once somebody works on it, an owner."""

    status: Status
    owner: str | None

    @property
    def queued(self) -> bool:
        """Whether the job waits for a dispatcher."""
        return self.status == "pending" and self.owner is None


@dataclass(frozen=True)
class Job(JobSummary, _Owned):
    """One training run of one market, as `training_jobs` holds it.

    ``owner`` is the identity of the process that owns the job, by which its lease tells whether it
    lives (`pipeline.results.access.leases`); of a queued job nobody is the owner.
    """

    config: dict[str, Any]
    config_hash: str
    owner: str | None
    heartbeat_at: datetime

    @property
    def synthetic(self) -> bool:
        """Whether its candles are invented or rearranged, from what it was told."""
        return are_invented(self.config.get("data", {}))


@dataclass(frozen=True)
class JobState(_Owned):
    """What is needed of a job to end it: only texts, which a damaged row has too."""

    id: str
    market: str
    status: Status
    owner: str | None
    stage_of_work: str | None
    error: str | None


@dataclass(frozen=True)
class JobEvent:
    """One change of a job, as `job_events` holds it; ids ascend in the order of the commits.

    ``payload`` by kind: ``status`` has ``status`` and ``error``; ``progress`` has ``stage``,
    ``progress`` in 0…1 of the stage, ``done`` and ``total`` units, and their ``rate`` a second or
    None; ``note`` has ``text``; ``result`` has ``configuration_id``.
    """

    id: int
    job_id: str
    at: datetime
    kind: JobEventKind
    payload: dict[str, Any]


@dataclass(frozen=True)
class Configuration:
    """One trained, validated configuration, as `trained_configurations` holds it.

    ``in_sample`` and ``out_of_sample`` are metrics by name (fills rules §10), ``statistics``
    those of validation rules §3, ``gates`` every gate with value, threshold and outcome
    (validation rules §6.2), ``document`` the V3 JSON, ``artifacts`` a folder below the root and
    ``artifact_digests`` the SHA-256 of every file in it.
    """

    id: str
    job_id: str
    strategy: str
    exchange: str
    pair: str
    timeframe: str
    lifecycle_stage: Stage
    synthetic: bool
    parameters: dict[str, Any]
    in_sample: dict[str, Any]
    out_of_sample: dict[str, Any]
    statistics: dict[str, Any]
    gates: Any
    circuit_breakers: dict[str, Any]
    provenance: dict[str, Any]
    document: dict[str, Any]
    artifacts: str | None
    artifact_digests: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)
    is_active: bool = False

    @property
    def judged_figures(self) -> dict[str, Any]:
        """Figures that its gates were judged by, those of a sweep and of live orders included."""
        known = {gate["name"]: gate["value"] for gate in self.gates}
        return self.out_of_sample | self.statistics | known

    @property
    def luck(self) -> Luck:
        """Whether it was shown to beat luck, and why so."""
        return beats_luck(self.lifecycle_stage, gates_from(self.gates))

    @property
    def position_size(self) -> float:
        """Share of a full position that it may trade (validation rules §6.11)."""
        return position_size(self.lifecycle_stage, gates_from(self.gates), self.synthetic)

    @property
    def allowed_document(self) -> dict[str, Any]:
        """Its document with sizes of at most ``position_size``: earlier rules gave more.

        Where that is 0 there is no Kelly fraction either (configuration rules §2.6).
        """
        allocation, allowed = self.document["risk_allocation"], self.position_size
        sizes = {name: min(allocation[name], allowed) for name in _SIZES}
        if not any(sizes.values()):
            sizes["kelly_fraction"] = None
        return self.document | {"risk_allocation": allocation | sizes}


@dataclass(frozen=True)
class ConfigurationSummary:
    """One stored configuration without its documents.

    ``first_day`` and ``last_day`` are UTC days of its candles, ``optimizer`` the method that it was
    searched by. ``max_drawdown`` is out of sample; ``fdr_q_value`` is None where no sweep judged
    it; for ``luck_reason`` see `Luck`. What an earlier build did not store is None.
    """

    id: str
    job_id: str
    strategy: str
    exchange: str
    pair: str
    timeframe: str
    lifecycle_stage: Stage
    beats_luck: str
    luck_reason: str
    synthetic: bool
    is_active: bool
    oos_sharpe_ratio: float | None
    oos_net_profit: float | None
    max_drawdown: float | None
    sample_size: int
    p_value: float | None
    fdr_q_value: float | None
    optimizer: str | None
    seed: int | None
    first_day: str | None
    last_day: str | None
    created_at: datetime


@dataclass(frozen=True)
class ConfigurationEvent:
    """What happened to a stored configuration, as `configuration_events` holds it.

    ``kind`` says what looked: ``monitor`` is `pipeline.monitor` on newer candles, ``sweep`` the
    correction over the markets of a sweep, ``execution`` a report of live orders, ``watch`` a rise
    by `pipeline.paper`. ``reason`` is a sentence, ``figures`` the numbers behind it. ``at`` is when
    it was recorded.
    """

    configuration_id: str
    kind: str
    from_stage: Stage
    to_stage: Stage
    reason: str
    figures: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class Judgement:
    """What a configuration's row is to hold from now on, and why, for its event."""

    kind: str
    stage: Stage
    statistics: dict[str, Any]
    gates: list[dict[str, Any]]
    document: dict[str, Any]
    reason: str
    figures: dict[str, Any]


@dataclass(frozen=True)
class SweepMember:
    """What a market of a sweep stored, as the others are judged with it.

    ``deciding_p`` is the p-value that decides its stage, None where it is undefined;
    ``artifact_digests`` are those of its row.
    """

    configuration_id: str
    strategy: str
    pair: str
    synthetic: bool
    deciding_p: float | None
    artifact_digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepView:
    """A sweep as it stands: what it was asked for, and the days that it began with.

    ``pooled`` are the verdicts over its markets together, None until they were judged.
    """

    id: str
    strategy: str
    optimizer: str
    since: datetime | None
    until: datetime
    engine_version: str
    status: Status
    created_at: datetime
    finished_at: datetime | None
    pooled: list[PooledVerdict] | None


@dataclass(frozen=True)
class Sweep(SweepView):
    """Many markets trained and judged together, as `sweeps` holds it.

    ``key`` is the same for every sweep that was asked for the same. ``since`` and ``until`` are the
    days that it began with: candles fetched later change nothing. ``owner`` is the identity of the
    process that runs it, the only one that writes its rows (`pipeline.results.access.leases`).
    """

    key: str
    config: dict[str, Any]
    owner: str
    started_at: datetime


@dataclass(frozen=True)
class SweepMarketView:
    """What became of one market of a sweep; ``market`` is its name in `conf/market`.

    In a sweep over several strategies a market has a row for each, whose name follows the market's.

    ``surrogate_p`` is None where it was not computed: another gate of VALIDATION had failed.
    """

    market: str
    status: MarketStatus
    job_id: str
    configuration_id: str | None
    p_value: float | None
    surrogate_p: float | None
    fdr_q_value: float | None
    error: str | None
    seconds: float | None


@dataclass(frozen=True)
class SweepMarket(SweepMarketView):
    """One market of a sweep, as `sweep_markets` holds it.

    ``task_hash`` is of all that decides what is computed. ``configuration_id`` is None also where
    a search found nothing admissible. ``seconds`` is what its job took.
    """

    sweep_id: str
    position: int
    task_hash: str


def cap_stage(stage: Stage, events: Sequence[ConfigurationEvent]) -> Stage:
    """Lower ``stage`` to the highest that monitoring leaves the configuration."""
    highest = ceiling(events)
    return stage if highest is None else min(stage, highest, key=STAGES.index)


def ceiling(events: Sequence[ConfigurationEvent]) -> Stage | None:
    """Return the lowest stage whose gates monitoring saw fail, or moved to; None for none.

    Its result stays true, also where the stage was that low already and did not move. A sweep's or
    live orders' result is a figure among the gates, and is judged again with them. A rise by
    watching has judged all that monitoring had seen before it (validation rules §6.13).
    """
    looks = looks_of_monitoring(events)
    gates = [gate for event in looks for gate in event.figures.get("gates", ())]
    stages = [gate["stage"] for gate in gates if gate["passed"] is False]
    stages += [event.to_stage for event in looks if event.to_stage != event.from_stage]
    return min(stages, key=STAGES.index, default=None)


def furthest_look(
    events: Sequence[ConfigurationEvent], figure: str = ""
) -> ConfigurationEvent | None:
    """Return the look of monitoring that reaches furthest in time, of equal ones the newest.

    A later look may see fewer days: of another store, or up to ``data.until``. Every one is kept,
    and this is the one that is shown. Where a ``figure`` is named, looks without it do not count.
    """
    looks = [e for e in events if e.kind == MONITOR and (not figure or figure in e.figures)]
    return max(
        reversed(looks), key=lambda look: str(look.figures.get("last_day", "")), default=None
    )


def looks_of_monitoring(events: Sequence[ConfigurationEvent]) -> list[ConfigurationEvent]:
    """Return the events of monitoring since the rise by watching, if there was one."""
    rises = [number for number, event in enumerate(events) if event.kind == WATCH]
    since = rises[-1] + 1 if rises else 0
    return [event for event in events[since:] if event.kind == MONITOR]
