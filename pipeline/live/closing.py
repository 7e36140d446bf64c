"""Close a day of a paper account: hold the ledger against a backtest, and monitor the new days.

Ledger and backtest of the same candles are compared trade by trade, day by day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from gpu_engine import DAY_MS, REASONS, Candles, Float, Window
from pipeline.config import StorageConfig, milliseconds
from pipeline.errors import StageMovedError, UserError
from pipeline.live.booking import days_of, paper_trade
from pipeline.live.feed import Feed, Revision
from pipeline.live.trader import Series, Trader
from pipeline.results.database import Repository
from pipeline.results.records import FOLLOWED, Configuration, ConfigurationEvent
from pipeline.results.tables.live_models import (
    ALARM,
    CHECK,
    STAGE,
    LiveEvent,
    PaperAccount,
    PaperDay,
    PaperTrade,
)
from pipeline.review import stored
from pipeline.review.later_evidence import may_rise, record_look
from pipeline.review.monitoring import MonitoringResult, evaluate_new_days
from pipeline.validation.decay import SEQUENTIAL
from pipeline.validation.holding import hold_returns
from pipeline.validation.watching import days_of_look, look_at


def close_day(
    repository: Repository,
    storage: StorageConfig,
    trader: Trader,
    account: PaperAccount,
    feed: Feed,
    revisions: Sequence[Revision],
) -> bool:
    """Check an account through its newest candle, and judge its stage by the new days.

    Parameters
    ----------
    revisions : sequence of Revision
        Candles that the exchange gives differently now; the check names them.

    Returns
    -------
    bool
        Whether its stage moved.
    """
    assert account.through is not None, "nothing is booked yet"
    candles = feed.candles
    through = milliseconds(account.through)
    candles = candles.cut(0, int(np.searchsorted(candles.timestamp, through, "right")))
    trades, days = repository.live.trades(trader.id), repository.live.days(trader.id)
    try:
        series = trader.series(candles, milliseconds(account.first_candle))
        clauses = list(differences(trader, series, trades, days))
    except UserError as error:
        _complain(repository, trader, error)
        return False
    clauses += [f"the exchange has revised the candle of {revision}" for revision in revisions]
    said = "; ".join(clauses)
    moved = _judge(repository, storage, trader, series.candles, trades, days, agrees=not clauses)
    text = (
        f"{trader.id}: the ledger is not what a backtest of the same candles gives: {said}."
        if clauses
        else f"{trader.id}: {len(trades)} trades and {len(days)} days are those of a backtest."
    )
    event = LiveEvent(
        kind=CHECK,
        text=text,
        configuration_id=trader.id,
        market=feed.market.id,
        candle=account.through,
        payload={"agrees": not clauses, "trades": len(trades), "days": len(days)},
    )
    # Last: a kill before has all of it done again.
    repository.live.record_check(trader.id, said, event)
    return moved


def _judge(
    repository: Repository,
    storage: StorageConfig,
    trader: Trader,
    candles: Candles,
    trades: Sequence[PaperTrade],
    days: Sequence[PaperDay],
    *,
    agrees: bool,
) -> bool:
    """Judge the stage by the new days; tell whether it moved. A ledger that differs lifts none."""
    try:
        configuration = repository.checks.agreeing(trader.id)
        record = stored.read_record(storage, configuration, searched=False)
        seed = repository.jobs.read(configuration.job_id).seed
        result = evaluate_new_days(
            configuration, record, trader.simulation, candles, seed, daily=True
        )
        moved = _monitor(repository, configuration, result)
        if moved is False and agrees:
            daily = record.out_of_sample.returns
            moved = _watch(repository, configuration, daily, candles, trades, days)
        return bool(moved)
    except (UserError, StageMovedError) as error:
        _complain(repository, trader, error)
        return False


def _complain(repository: Repository, trader: Trader, error: Exception) -> None:
    text = f"{trader.id}: {error}"
    repository.live.note([LiveEvent(kind=CHECK, text=text, configuration_id=trader.id)])


def _monitor(
    repository: Repository, configuration: Configuration, result: MonitoringResult | None
) -> bool | None:
    """Record what the new days say, as `scripts/monitor` does; tell whether the stage moved.

    None where a gate failed, or there is no new day. Nothing rises but where this is False.
    """
    if result is None:
        return None
    result = result.after(repository.configurations.events(configuration.id))
    event = result.event(configuration)
    recorded = repository.configurations.record_event(event, result.document)
    if recorded and event.from_stage != event.to_stage:
        is_alarm = result.reassessment.death_signals.get(SEQUENTIAL, False)
        _tell(repository, event, ALARM if is_alarm else STAGE)
        return True
    return None if any(gate.passed is False for gate in result.reassessment.gates) else False


def _watch(
    repository: Repository,
    configuration: Configuration,
    out_of_sample: Float,
    candles: Candles,
    trades: Sequence[PaperTrade],
    days: Sequence[PaperDay],
) -> bool:
    """Let the days that were watched lift a configuration; tell whether it rose.

    They begin with the first full UTC day after the audit trail has the account opened: what a
    ledger holds from before, somebody may have looked at before the watching began.
    """
    events = repository.configurations.events(configuration.id)
    openings = [milliseconds(event.at) // DAY_MS for event in events if event.kind == FOLLOWED]
    if not openings or not may_rise(configuration, events):
        return False
    first = next((n for n, day in enumerate(days) if day.day > openings[-1]), len(days))
    length = days_of_look(len(days) - first)
    if length is None:
        return False
    watched = days[first : first + length]
    look = look_at(
        np.concatenate((out_of_sample, [day.ret for day in days[:first]])),
        np.array([day.ret for day in watched]),
        hold_returns(candles, np.array([day.day for day in watched], np.int32)),
        sum(_is_of(trade, watched) for trade in trades),
        repository.live.opened(),
    )
    if not record_look(repository, configuration.id, look):
        return False
    _tell(repository, repository.configurations.events(configuration.id)[-1], STAGE)
    return True


def _is_of(trade: PaperTrade, days: Sequence[PaperDay]) -> bool:
    """Whether a trade was entered on one of some days, which follow each other."""
    entered = milliseconds(trade.entry_at) // DAY_MS
    return days[0].day <= entered <= days[-1].day


def _tell(repository: Repository, event: ConfigurationEvent, kind: str) -> None:
    """Write into the journal that a stage moved."""
    line = LiveEvent(
        kind=kind,
        text=(f"{event.configuration_id}: {event.from_stage} -> {event.to_stage}: {event.reason}"),
        configuration_id=event.configuration_id,
        payload={"from": event.from_stage, "to": event.to_stage},
    )
    repository.live.note([line])


#: Returns agree to so much, prices to the same share of them (`gpu_engine.agreement`).
TOLERANCE = 1e-12
#: Fields of a trade that a backtest has none of.
_OWN = ("number", "booked_at", "called")
_EXACT = ("side", "setup_at", "signal_at", "entry_at", "exit_at", "reason")


def differences(
    trader: Trader, series: Series, trades: Sequence[PaperTrade], days: Sequence[PaperDay]
) -> Iterator[str]:
    """Yield what a ledger has otherwise than the backtest of a series, a clause each.

    Parameters
    ----------
    series : Series
        From the account's first candle to the last one that is booked.
    trades, days : sequence
        Of the ledger.
    """
    candles = series.candles
    if series.start >= len(candles):
        return
    window = Window(series.start, len(candles))
    rows = trader.evaluator(candles).trades(trader.point, window)
    closed = rows[rows["reason"] != REASONS.index("end")]
    expected = [paper_trade(candles, row, number) for number, row in enumerate(closed)]
    yield from _of_trades(expected, trades)
    yield from _of_days(days_of(trader, series, rows), days)


def _of_trades(expected: Sequence[PaperTrade], got: Sequence[PaperTrade]) -> Iterator[str]:
    for number, (one, other) in enumerate(zip(expected, got, strict=False)):
        names = [field.name for field in fields(PaperTrade) if field.name not in _OWN]
        fields_apart = [name for name in names if not _same(name, one, other)]
        if fields_apart:
            name = fields_apart[0]
            yield (
                f"trade {number} of {other.entry_at:%Y-%m-%d %H:%M} UTC: {name} is"
                f" {getattr(other, name)}, in the backtest {getattr(one, name)}"
            )
            return
    if len(expected) != len(got):
        yield f"{len(got)} trades, in the backtest {len(expected)}"


def _same(name: str, one: PaperTrade, other: PaperTrade) -> bool:
    a, b = getattr(one, name), getattr(other, name)
    if name in _EXACT or a is None or b is None:
        return bool(a == b)
    return bool(abs(a - b) <= TOLERANCE * (1.0 if name == "ret" else abs(a)))


def _of_days(expected: Sequence[PaperDay], got: Sequence[PaperDay]) -> Iterator[str]:
    for one, other in zip(expected, got, strict=False):
        if one.day != other.day or abs(one.ret - other.ret) > TOLERANCE:
            yield f"day {other.day}: {other.ret!r}, in the backtest {one.ret!r} (day {one.day})"
            return
    if len(expected) != len(got):
        yield f"{len(got)} days, in the backtest {len(expected)}"
