"""Define the answers, which the REST API shows as JSON and the Studio as pages."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pipeline.config import Market, text_hash
from pipeline.results import records
from pipeline.results.document.models import ConfigurationV3
from pipeline.results.document.signal_models import Signal
from pipeline.results.jsonable import jsonable
from pipeline.validation.stages import Stage


class _DescribedByV3:
    """Describes an object by the models of the V3 document, which checked it when it was stored."""

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(ConfigurationV3.__pydantic_core_schema__)


#: A V3 document (`pipeline.results.document.models`) as it is stored.
Document = Annotated[dict[str, Any], _DescribedByV3()]


class Answer(BaseModel):
    """A frozen answer, made from a model or a record."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(Answer):
    """A page of a list: rows ``offset`` to ``offset + limit`` of ``total``."""

    total: int
    limit: int
    offset: int


@dataclass(frozen=True)
class MarketChoice(Market):
    """A market that can be trained."""


class ParameterChoice(Answer):
    """A parameter of a strategy as its class declares it.

    ``grid`` and the range ``low`` to ``high`` (null: the values of the grid) are what a search
    takes by default; ``minimum`` and ``maximum`` are what is possible at all.
    """

    name: str
    kind: Literal["structural", "threshold", "exit"]
    unit: str
    meaning: str
    grid: list[float | None]
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None
    integer: bool
    nullable: bool


class StrategyChoice(Answer):
    """A strategy that can be trained.

    ``name`` is what its results are stored under, ``sha256`` the hash of an own file's text in
    UTF-8; null for a built-in strategy.
    """

    word: str
    name: str
    sha256: str | None
    parameters: list[ParameterChoice]


class StoredStrategy(Answer):
    """The strategy that a stored configuration was trained with.

    ``text`` is the whole file of an own strategy as it was then, ``sha256`` its hash in UTF-8; both
    are null for a built-in one, whose code ``metadata.engine_hash`` of the document stands for.
    """

    word: str
    name: str
    sha256: str | None
    text: str | None


class Choices(Answer):
    """What can be asked for; ``strategies`` begins with the default."""

    strategies: list[str]
    markets: list[MarketChoice]
    exchanges: list[str]
    pairs: list[str]
    timeframes: list[str]
    optimizers: list[str]
    validations: list[str]
    objectives: list[str]


@dataclass(frozen=True)
class JobView(records.JobSummary):
    """One job as it stands. ``progress`` is 0…1 of the present stage of work.

    ``rate`` is units of that stage a second and ``seconds_left`` what is left of it; both are None
    where there is nothing to reckon with. ``strategy_sha256`` is of an own
    strategy's text.
    """

    synthetic: bool
    queued: bool
    strategy_sha256: str | None
    rate: float | None
    seconds_left: float | None


class RefusedRow(Answer):
    """A row that is not shown; ``reason`` says what is not as it was stored."""

    id: str
    reason: str


@dataclass(frozen=True)
class Switched(records.ConfigurationSummary):
    """A configuration that was to be switched; ``recorded``: it was, and the reason is kept.

    ``switched_at`` is when it was last switched on or off, null for never.
    """

    recorded: bool
    switched_at: datetime | None


class SwitchedOff(RefusedRow):
    """A configuration that is switched off, and is not what was stored; see `Switched`."""

    is_active: Literal[False] = False
    recorded: bool
    switched_at: datetime | None


class JobPage(Page):
    """A page of jobs, newest first; ``refused`` are those of it whose rows cannot be read."""

    jobs: list[JobView]
    refused: list[RefusedRow] = []


class ConfigurationPage(Page):
    """A page of configurations; ``refused`` are those of it that are not what was stored."""

    configurations: list[records.ConfigurationSummary]
    refused: list[RefusedRow] = []


class JobResults(Answer):
    """What a job found; ``documents`` are V3 JSON, empty where nothing was admissible."""

    job: JobView
    configurations: list[records.ConfigurationSummary]
    documents: list[Document]


class AuditEntry(Answer):
    """One entry of a configuration's audit trail."""

    at: datetime
    kind: str
    from_stage: Stage
    to_stage: Stage
    reason: str
    figures: dict[str, Any]
    fault: str | None = Field(
        None, description="What does not agree in the whole trail or its row; null for nothing."
    )


class AuditPage(Page):
    """A page of the audit trail of a configuration, oldest first."""

    audit: list[AuditEntry]


class ActiveConfiguration(Answer):
    """What a live trader needs of a configuration that is switched on."""

    id: str
    lifecycle_stage: Stage
    size: float = Field(description="Share of a full position that its stage may trade.")
    synthetic: bool
    document: Document


class ActiveConfigurations(Answer):
    """All that is switched on. ``etag`` changes with any change of it."""

    etag: str
    configurations: list[ActiveConfiguration]
    refused: list[RefusedRow]


class SignalPage(Page):
    """A page of the newest signals of what is switched on. ``etag`` changes with any of them all.

    ``refused`` are all those that are not what was stored, and ids that were asked for and are not
    switched on.
    """

    etag: str
    signals: list[Signal]
    refused: list[RefusedRow]


@dataclass(frozen=True)
class ListedSweep(records.SweepView):
    """A sweep and what came of it so far.

    ``markets`` is their number, ``statuses`` counts them by status, ``stages`` what they stored by
    stage; invented candles say SYNTHETIC there, and what was edited "not as it was stored".
    """

    markets: int
    statuses: dict[records.MarketStatus, int]
    stages: dict[str, int]


class SweepPage(Page):
    """A page of sweeps, newest first; ``refused`` are those of it that are not what was written."""

    sweeps: list[ListedSweep]
    refused: list[RefusedRow] = []


class SweepProgress(Answer):
    """How far a sweep is. ``progress`` is 0…1 over all stages of all markets.

    ``failed`` and ``cancelled`` are some of those that have ``ended``. ``seconds_left`` is reckoned
    from the markets that have ended; null before the first, and after the last.
    """

    ended: int
    failed: int = 0
    cancelled: int = 0
    total: int
    progress: float
    seconds_left: float | None

    def state(self, status: str) -> str:
        """Name the state of a sweep of which this is: one that is being judged runs."""
        return "cancelled" if status == "running" and self.cancelled == self.total else status

    def is_judged(self, status: str) -> bool:
        """Whether all markets of a sweep that runs have ended, and it is being judged."""
        return self.state(status) == "running" and self.ended == self.total

    def ends(self, markets: str) -> str:
        """``2 of 4 markets ended``, or ``3 of 4 markets failed, 1 completed``."""
        completed = self.ended - self.failed - self.cancelled
        counted = {"failed": self.failed, "cancelled": self.cancelled, "completed": completed}
        told = [f"{count} {word}" for word, count in counted.items() if count]
        if self.ended == completed:
            told = [f"{self.ended} ended"]
        return ", ".join(told).replace(" ", f" of {markets} ", 1)


class SweepReport(Answer):
    """A sweep, how far it is, and its markets in the order in which they were asked for."""

    sweep: records.SweepView
    progress: SweepProgress
    markets: list[records.SweepMarketView]


def job(record: records.Job, progress: dict[str, Any] | None = None) -> JobView:
    """Return a job as it stands; ``progress`` is the payload of its newest progress event."""
    rate, left = _pace(progress)
    return JobView(
        **{column.name: getattr(record, column.name) for column in fields(records.JobSummary)},
        synthetic=record.synthetic,
        strategy_sha256=text_hash(record.config.get("strategy", {}).get("text")),
        queued=record.queued,
        rate=rate,
        seconds_left=left,
    )


def strategy(record: records.Configuration, job: records.Job) -> StoredStrategy:
    """Return the strategy that a configuration was trained with, by its job."""
    stored = job.config["strategy"]
    text = stored.get("text")
    return StoredStrategy(
        word=stored["name"], name=record.strategy, sha256=text_hash(text), text=text
    )


def summary(record: records.Configuration, optimizer: str | None) -> records.ConfigurationSummary:
    """Return a configuration without its documents; ``optimizer`` is that of its job."""
    metrics: dict[str, Any] = jsonable(record.out_of_sample)
    provenance = record.provenance
    figures = {
        "beats_luck": (luck := record.luck).answer,
        "luck_reason": luck.reason,
        "oos_sharpe_ratio": metrics.get("sharpe_ratio"),
        "oos_net_profit": metrics.get("net_profit"),
        "max_drawdown": metrics.get("max_drawdown"),
        "sample_size": metrics.get("sample_size") or 0,
        "p_value": jsonable(record.statistics.get("p_value")),
        "fdr_q_value": jsonable(record.judged_figures.get("fdr_q_value")),
        "optimizer": optimizer,
        "seed": provenance.get("seed"),
        "first_day": _day(provenance.get("first_candle")),
        "last_day": _day(provenance.get("last_candle")),
    }
    names = {column.name for column in fields(records.ConfigurationSummary)} - figures.keys()
    return records.ConfigurationSummary(
        **{name: getattr(record, name) for name in names}, **figures
    )


def _day(moment: str | None) -> str | None:
    """Return the day of an ISO 8601 moment."""
    return None if moment is None else moment[:10]


def active(record: records.Configuration) -> ActiveConfiguration:
    """Return what a live trader needs of a configuration."""
    return ActiveConfiguration(
        id=record.id,
        lifecycle_stage=record.lifecycle_stage,
        size=record.position_size,
        synthetic=record.synthetic,
        document=record.allowed_document,
    )


def _pace(progress: dict[str, Any] | None) -> tuple[float | None, float | None]:
    """Units a second of the present stage of work, and the seconds that are left of it."""
    if not progress or not progress.get("rate"):
        return None, None
    return progress["rate"], (progress["total"] - progress["done"]) / progress["rate"]
