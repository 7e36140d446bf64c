"""Read what has happened and is not among the messages to a target yet.

Every event is a row that was written with the change it tells of. None is marked: a message names
its row (``source`` and ``event_id``), and rows without a message are new. So nothing depends on the
order in which transactions appear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, exists, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from pipeline.results.damage import Rows, read_rows
from pipeline.results.records import are_invented
from pipeline.results.rows import chain
from pipeline.results.tables.live_models import (
    ALARM,
    CHECK,
    ENTER,
    FRESH,
    LEAVE,
    STALE,
    LiveEventRow,
)
from pipeline.results.tables.models import (
    ConfigurationEventRow,
    JobEventRow,
    SweepMarketRow,
    SweepRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.results.tables.notice_models import DeliveryRow
from pipeline.validation.wording import marked, state

#: At most so many of one kind are read at a time.
MOST = 500

#: Between the open of a candle and its close.
LONGEST_CANDLE = timedelta(days=1)

_ENDED = ("completed", "failed")
_DECAY = "DECAY"

_CONFIGURATION = TrainedConfiguration
_MARKET = (_CONFIGURATION.exchange, _CONFIGURATION.pair, _CONFIGURATION.timeframe)


@dataclass(frozen=True)
class News:
    """One event that is to be told.

    ``source`` and ``event_id`` name it for ever. ``kind`` is one of `pipeline.config.NoticeKind`,
    ``event`` what happened in the words of its source. ``text`` is the source's own sentence, or
    empty; ``facts`` are its figures. ``synthetic``: all candles that it is of are invented.
    """

    source: str
    event_id: str
    kind: str
    event: str
    at: datetime
    text: str = ""
    configuration_id: str | None = None
    market: str | None = None
    synthetic: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


Reader = Callable[[Session, str, datetime], Rows[News]]


def read_news(session: Session, target: str, kind: str, since: datetime) -> list[News]:
    """Read the oldest events of a kind from ``since`` on of which a target has no message.

    A row that cannot be read is left out.
    """
    read = [one for reader in _READERS[kind] for one in reader(session, target, since)]
    return sorted(read, key=lambda one: one.at)


def _new(
    target: str, source: str, event_id: Any, at: Any, since: datetime
) -> list[ColumnElement[bool]]:
    """Return the conditions of rows without a message."""
    told = exists().where(
        DeliveryRow.target == target,
        DeliveryRow.source == source,
        DeliveryRow.event_id == cast(event_id, String),
    )
    return [at >= since, ~told]


def _market(exchange: str | None, pair: str | None, timeframe: str | None) -> str | None:
    return None if exchange is None else f"{exchange}:{pair}:{timeframe}"


def _live(kind: str, *events: str) -> Reader:
    """Read the journal of those that are followed; of its checks those that found something.

    A position was entered and left in its candle, however late that was booked; the candle had
    closed by then, so it may have opened before ``since``.
    """
    row = LiveEventRow
    at = func.coalesce(row.candle, row.at) if {*events} & {ENTER, LEAVE} else row.at
    difference = row.payload["difference"].as_string()
    found = [difference > ""] if events == (CHECK,) else []

    def read(session: Session, target: str, since: datetime) -> Rows[News]:
        query: Any = (
            select(row, at, *_MARKET, _CONFIGURATION.synthetic)
            .outerjoin(_CONFIGURATION, _CONFIGURATION.id == row.configuration_id)
            .where(row.kind.in_(events), *found, at >= since - LONGEST_CANDLE)
            .where(*_new(target, "live", row.id, row.at, since))
            .order_by(at, row.id)
            .limit(MOST)
        )
        return read_rows(session, query, row, news)

    def news(read: Any) -> News:
        event, happened, *market, synthetic = read
        candle = {} if event.candle is None else {"candle": event.candle.isoformat()}
        return News(
            "live",
            str(event.id),
            kind,
            event.kind,
            happened,
            event.text,
            event.configuration_id,
            event.market or _market(*market),
            bool(synthetic),
            candle | dict(event.payload),
        )

    return read


def _moves(kind: str) -> Reader:
    """Read the changes of stage: those to DECAY, or all others."""

    def read(session: Session, target: str, since: datetime) -> Rows[News]:
        row = ConfigurationEventRow
        decayed = row.to_stage == _DECAY
        return _audited(
            session,
            kind,
            [
                row.from_stage != row.to_stage,
                decayed if kind == "decay" else ~decayed,
                *_new(target, "configuration", row.id, row.at, since),
            ],
        )

    return read


def _verifications(session: Session, target: str, since: datetime) -> Rows[News]:
    """Read what the daily verification found."""
    row = ConfigurationEventRow
    found = row.figures["difference"].as_string().is_not(None)
    new = _new(target, "configuration", row.id, row.at, since)
    return _audited(session, "check", [row.kind == chain.VERIFICATION, found, *new])


def _audited(session: Session, kind: str, conditions: list[ColumnElement[bool]]) -> Rows[News]:
    row = ConfigurationEventRow
    query: Any = (
        select(row, *_MARKET, _CONFIGURATION.synthetic)
        .join(_CONFIGURATION, _CONFIGURATION.id == row.configuration_id)
        .where(*conditions)
        .order_by(row.at)
        .limit(MOST)
    )

    def news(read: Any) -> News:
        event, *market, synthetic = read
        facts: dict[str, Any] = {"from_stage": event.from_stage, "to_stage": event.to_stage}
        if event.kind == chain.VERIFICATION:
            facts = {"difference": event.figures.get("difference")}
        return News(
            "configuration",
            event.id,
            kind,
            event.kind,
            event.at,
            event.reason,
            event.configuration_id,
            _market(*market),
            synthetic,
            facts,
        )

    return read_rows(session, query, row, news)


def _jobs(session: Session, target: str, since: datetime) -> Rows[News]:
    """Read which trainings ended; one of a sweep is told of with its sweep."""
    row, job = JobEventRow, TrainingJob
    query = (
        select(row, job.market, job.config, _CONFIGURATION.id, _CONFIGURATION.lifecycle_stage)
        .add_columns(_CONFIGURATION.synthetic)
        .join(job, job.id == row.job_id)
        .outerjoin(_CONFIGURATION, _CONFIGURATION.job_id == row.job_id)
        .where(row.kind == "status", row.payload["status"].as_string().in_(_ENDED))
        .where(~exists().where(SweepMarketRow.job_id == row.job_id))
        .where(*_new(target, "job", row.id, row.at, since))
        .order_by(row.at)
        .limit(MOST)
    )

    def news(read: Any) -> News:
        event, market, config, configuration_id, stage, synthetic = read
        ended = event.payload["status"]
        return News(
            "job",
            str(event.id),
            "job",
            ended,
            event.at,
            event.payload.get("error") or "",
            configuration_id if ended == "completed" else None,
            market,
            _invented(synthetic, config),
            {"job": event.job_id, "stage": stage if ended == "completed" else None},
        )

    return read_rows(session, query, row, news)


def _sweeps(session: Session, target: str, since: datetime) -> Rows[News]:
    """Read which sweeps ended. One that was resumed ends again, and is told of again."""
    row = SweepRow
    query = (
        select(row)
        .where(row.status.in_(_ENDED), row.finished_at >= since)
        .order_by(row.finished_at)
        .limit(MOST)
    )
    told = select(DeliveryRow.event_id).where(
        DeliveryRow.target == target, DeliveryRow.source == "sweep", DeliveryRow.at >= since
    )
    known = set(session.scalars(told))

    def news(read: Any) -> News:
        (sweep,) = read
        invented, facts = _outcome(session, sweep.id)
        return News(
            "sweep",
            f"{sweep.id} {sweep.finished_at.isoformat()}",
            "sweep",
            sweep.status,
            sweep.finished_at,
            synthetic=invented,
            facts={"sweep": sweep.id, "strategy": sweep.strategy} | facts,
        )

    return Rows(one for one in read_rows(session, query, row, news) if one.event_id not in known)


def _invented(stored: bool | None, config: dict[str, Any]) -> bool:
    """Tell whether candles are invented: by what was stored, else by what the job was told."""
    return are_invented(config.get("data", {})) if stored is None else stored


def _outcome(session: Session, sweep_id: str) -> tuple[bool, dict[str, Any]]:
    """Tell whether all candles of a sweep are invented, and what its trainings came to.

    The best is of the highest stage, then of the smallest p, as `scripts/sweep` names it; one of
    invented candles comes after all others, because it says nothing about a market.
    """
    row, job, stored = SweepMarketRow, TrainingJob, _CONFIGURATION
    query = (
        select(row.status, job.market, job.strategy, job.config)
        .add_columns(stored.id, stored.lifecycle_stage, stored.synthetic)
        .join(job, job.id == row.job_id)
        .outerjoin(stored, stored.id == row.configuration_id)
        .where(row.sweep_id == sweep_id)
        .order_by(stored.stage_rank.desc().nulls_last())
        .order_by(row.surrogate_p.nulls_last(), row.p_value.nulls_last(), row.position)
    )
    statuses, outcomes = Counter[str](), Counter[str]()
    markets, best = set[tuple[str, bool]](), dict[bool, dict[str, str]]()
    for status, market, strategy, config, identity, stage, synthetic in session.execute(query):
        invented = _invented(synthetic, config)
        statuses[status] += 1
        markets.add((market, invented))
        outcome = state(status) if stage is None else marked(stage, invented)
        outcomes[outcome] += 1
        if stage is not None:
            named = {"market": market, "strategy": strategy, "stage": outcome}
            best.setdefault(invented, named | {"configuration": identity})
    return bool(markets) and all(invented for _, invented in markets), {
        "markets": dict(sorted(statuses.items())),
        "market_count": len(markets),
        "outcomes": dict(outcomes),
        "best": best.get(False, best.get(True)),
    }


#: A message may come up to so much later than its event: what a sender that was off for longer
#: missed is not told.
OLDEST = timedelta(days=7)

_READERS: dict[str, tuple[Reader, ...]] = {
    "enter": (_live("enter", ENTER),),
    "leave": (_live("leave", LEAVE),),
    "stale": (_live("stale", STALE, FRESH),),
    "check": (_live("check", CHECK), _verifications),
    "alarm": (_live("alarm", ALARM),),
    "stage": (_moves("stage"),),
    "decay": (_moves("decay"),),
    "job": (_jobs,),
    "sweep": (_sweeps,),
}
