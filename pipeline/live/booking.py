"""Book what new candles brought to a paper account: trades, days, and lines of the journal.

The ledger is written once and never rewritten. A trade is booked with the candle that ended it, a
day when the first candle of the next one has closed: what is paid at midnight is known then.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import DAY_MS, REASONS, Candles, Window
from gpu_engine.standing import Standing
from pipeline.config import milliseconds, moment
from pipeline.live.signal import LATE_AFTER_MS, price_of, sentence, side_of
from pipeline.live.trader import Series, Trader
from pipeline.results.document.signal_models import Signal
from pipeline.results.jsonable import jsonable
from pipeline.results.rows import live
from pipeline.results.tables.live_models import (
    ENTER,
    LEAVE,
    ORDER,
    LiveEvent,
    PaperAccount,
    PaperDay,
    PaperTrade,
)
from pipeline.validation.wording import percent

#: An order that is written so long after the open of its entry can be followed.
IN_TIME = timedelta(milliseconds=LATE_AFTER_MS)


def account_of(trader: Trader, candles: Candles) -> PaperAccount:
    """Open the account of a trader: its series begins where monitoring's does."""
    series = trader.series(candles)
    first = int(series.candles.timestamp[0]) + series.start * series.candles.step_ms
    return PaperAccount(trader.id, datetime.now(UTC), moment(first))


def booking_of(
    trader: Trader,
    account: PaperAccount,
    series: Series,
    standing: Standing,
    signal: Signal,
    ordered: Callable[[Iterable[datetime]], Mapping[datetime, datetime]],
) -> live.Booking | None:
    """Book the candles of a series that an account does not have; None where there are none.

    Parameters
    ----------
    series : Series
        From the account's first candle on.
    standing : Standing
        After its last candle.
    signal : Signal
        What follows from it: its entries and what it leaves are orders.
    ordered : callable
        Takes candles; returns when the order that rests on each was written, where there was one.
    """
    candles = series.candles
    first = series.start
    if account.through is not None:
        begun = milliseconds(account.through) - int(candles.timestamp[0])
        first = max(begun // candles.step_ms + 1, first)
    if first >= len(candles):
        return None
    through = moment(int(candles.timestamp[-1]))
    closed = standing.trades[standing.trades["exit_bar"] >= first]
    trades = list(_with_called(account, candles, closed, ordered))
    exposure = trader.simulation.risk.exposure
    # Of what is booked, and not of what the series gives now: a file may have been changed since.
    growth = [1.0 + exposure * trade.ret for trade in trades]
    called = [step for step, trade in zip(growth, trades, strict=True) if trade.called]
    days = list(_days(trader, account, series, standing.marks, first))
    return live.Booking(
        configuration_id=trader.id,
        before=account.through,
        through=through,
        position=None if standing.position is None else _position(standing, candles),
        equity=account.equity * math.prod(growth),
        called_equity=account.called_equity * math.prod(called),
        trades=trades,
        days=days,
        events=[*_fills(trader, candles, standing, first), *_orders(trader, signal, through)],
        signal=signal.to_dict(),
    )


def _with_called(
    account: PaperAccount,
    candles: Candles,
    closed: NDArray[Any],
    ordered: Callable[[Iterable[datetime]], Mapping[datetime, datetime]],
) -> Iterator[PaperTrade]:
    """Yield the trades that closed, each with whether its order was there within the minute."""
    trades = [paper_trade(candles, row, account.trades + n) for n, row in enumerate(closed)]
    orders = ordered([trade.signal_at for trade in trades]) if trades else {}
    for trade in trades:
        order = orders.get(trade.signal_at)
        called = order is not None and order <= trade.entry_at + IN_TIME
        yield replace(trade, called=called)


def paper_trade(candles: Candles, row: Any, number: int) -> PaperTrade:
    """Make the record of a trade (`TRADE`), with times for bars."""
    bars = ("setup_bar", "signal_bar", "entry_bar", "exit_bar")
    setup, signal, entry, leave = (moment(int(candles.timestamp[row[bar]])) for bar in bars)
    return PaperTrade(
        number=number,
        side=int(row["side"]),
        setup_at=setup,
        signal_at=signal,
        entry_at=entry,
        exit_at=leave,
        entry=float(row["entry"]),
        exit=float(row["exit"]),
        reason=REASONS[row["reason"]],
        ret=float(row["ret"]),
        stop=price_of(row["stop"]),
        target=price_of(row["target"]),
    )


def days_of(trader: Trader, series: Series, marks: NDArray[Any]) -> list[PaperDay]:
    """Return every full UTC day of a series that is over: the next one has a closed candle."""
    candles = series.candles
    if series.start >= len(candles):
        return []
    first, last = int(candles.day[series.start]), int(candles.day[-1])
    if first == last:
        return []
    end = int(np.searchsorted(candles.day, last))
    window = Window(series.start, end)
    returns = trader.marked_returns(candles, marks, window)
    equity = np.cumprod(1.0 + returns)
    return [PaperDay(first + i, float(returns[i]), float(equity[i])) for i in range(len(returns))]


def _days(
    trader: Trader, account: PaperAccount, series: Series, marks: NDArray[Any], first: int
) -> Iterator[PaperDay]:
    """Yield the days that ended with the new candles."""
    candles = series.candles
    if first > series.start and int(candles.day[first - 1]) == int(candles.day[-1]):
        return
    known = -1 if account.through is None else milliseconds(account.through) // DAY_MS
    yield from (day for day in days_of(trader, series, marks) if day.day >= known)


def _fills(trader: Trader, candles: Candles, standing: Standing, first: int) -> Iterator[LiveEvent]:
    """Yield the entries and exits of the new candles, in the order of their candles."""
    rows = []
    for row in standing.marks:
        if row["entry_bar"] >= first:
            rows.append((int(row["entry_bar"]), 1, _entered(trader, candles, row)))
    for row in standing.trades[standing.trades["exit_bar"] >= first]:
        rows.append((int(row["exit_bar"]), 2, _left(trader, candles, row)))
    yield from (event for _, _, event in sorted(rows, key=lambda item: item[:2]))


def _entered(trader: Trader, candles: Candles, row: Any) -> LiveEvent:
    side = side_of(int(row["side"]))
    return _event(
        trader,
        ENTER,
        candles,
        int(row["entry_bar"]),
        f"entered {side} at {row['entry']:.10g}",
        {"side": side, "price": row["entry"], "stop": row["stop"], "target": row["target"]},
    )


def _left(trader: Trader, candles: Candles, row: Any) -> LiveEvent:
    side, reason = side_of(int(row["side"])), REASONS[row["reason"]]
    return _event(
        trader,
        LEAVE,
        candles,
        int(row["exit_bar"]),
        f"left {side} at {row['exit']:.10g} ({reason}): {percent(row['ret'])} net of costs",
        {"side": side, "price": row["exit"], "reason": reason, "return": row["ret"]},
    )


def _event(
    trader: Trader, kind: str, candles: Candles, bar: int, text: str, payload: dict[str, Any]
) -> LiveEvent:
    return LiveEvent(
        kind=kind,
        text=f"{trader.id} {text}.",
        configuration_id=trader.id,
        market=trader.simulation.market.id,
        candle=moment(int(candles.timestamp[bar])),
        payload=jsonable(payload),
    )


def _orders(trader: Trader, signal: Signal, through: datetime) -> Iterator[LiveEvent]:
    """Yield what is ordered for the next open; a refusal orders nothing."""
    if signal.action not in ("enter", "leave"):
        return
    entries = [entry.model_dump(mode="json") for entry in signal.entries]
    yield LiveEvent(
        kind=ORDER,
        text=f"{trader.id} {sentence(signal)}",
        configuration_id=trader.id,
        market=trader.simulation.market.id,
        candle=through,
        payload={
            "action": signal.action,
            "at": signal.at.isoformat() if signal.at else None,
            "size": signal.size,
            "entries": entries,
        },
    )


def _position(standing: Standing, candles: Candles) -> dict[str, Any]:
    position = standing.position
    assert position is not None, "asked for one that is held"
    values: dict[str, Any] = jsonable(
        {
            "side": side_of(position.side),
            "entered": moment(int(candles.timestamp[position.entry_bar])).isoformat(),
            "entry": position.entry,
            "stop": position.stop,
            "target": position.target,
            "stop_in_force": position.stop_in_force,
        }
    )
    return values
