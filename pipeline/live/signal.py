"""Make the signal of a configuration: what it holds now and what it does at the next open.

A signal names the candle that it rests on. It says nothing on candles that are stale or broken:
``refusal`` says why, and position, action and entries are null or empty then.

It is stored with every candle and read at any time after. So stage, size and switch are those of
the row as it is when the signal is read, and a signal whose next candle is late is a refusal.
"""

import math
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from gpu_engine import Candles
from gpu_engine.standing import OpenPosition, PossibleEntry, Standing
from pipeline.config import milliseconds, moment
from pipeline.live.trader import Series, Trader
from pipeline.market_data.timeframe import timeframe_ms, utc
from pipeline.results.document import signal_models
from pipeline.results.records import Configuration
from pipeline.results.tables.live_models import StoredSignal
from pipeline.validation.wording import percent, plural

#: Milliseconds after which a candle that should have come is late, of any timeframe.
LATE_AFTER_MS = 60_000
LATE_AFTER = timedelta(milliseconds=LATE_AFTER_MS)


def signal_of(
    trader: Trader, series: Series, standing: Standing, now: datetime
) -> signal_models.Signal:
    """Make the signal of a configuration from where it stands; a refusal on stale candles."""
    candles = series.candles
    late = lateness(candles, now)
    if late is not None:
        return refusal_of(trader.configuration, late, now, candles)
    configuration, risk = trader.configuration, trader.simulation.risk
    limit = risk.limits()
    following = int(candles.timestamp[-1]) + candles.step_ms
    breaker = None
    if standing.breaker is not None and standing.blocked_until is not None:
        value = getattr(limit, standing.breaker)
        breaker = signal_models.Breaker(
            name=standing.breaker, limit=value, until=moment(standing.blocked_until)
        )
    size = configuration.position_size
    return signal_models.Signal(
        **_heading(configuration, now),
        candle=_candle(candles),
        refusal=None,
        action=_action(standing),
        at=moment(following),
        position=None if standing.position is None else _position(standing.position, candles),
        entries=[_entry(one, candles) for one in standing.entries],
        breaker=breaker,
        size=size,
        notional=size * limit.exposure,
    )


def without_late_entry(signal: signal_models.Signal, now: datetime) -> signal_models.Signal:
    """Wait instead of entering at an open that passed a minute ago: it could not be `called`."""
    if signal.action != "enter" or signal.at is None or now <= signal.at + LATE_AFTER:
        return signal
    return signal.model_copy(update={"action": "wait", "entries": []})


def with_clock(signal: signal_models.Signal, ahead_ms: int) -> signal_models.Signal:
    """Keep by how much the clock of its exchange is ahead of the one of this machine."""
    return signal.model_copy(update={"ahead": ahead_ms / 1000})


def refusal_of(
    configuration: Configuration, reason: str, now: datetime, candles: Candles | None = None
) -> signal_models.Signal:
    """Make the signal of a configuration of which nothing can be said."""
    return signal_models.Signal(
        **_heading(configuration, now),
        candle=None if candles is None else _candle(candles),
        refusal=reason,
        action=None,
        at=None,
        position=None,
        entries=[],
        breaker=None,
        size=0.0,
        notional=0.0,
    )


def lateness(candles: Candles, now: datetime) -> str | None:
    """Say that the newest candle is not the one that should be there; None where it is."""
    closed = int(candles.timestamp[-1]) + candles.step_ms
    now_ms = milliseconds(now)
    if now_ms < closed + candles.step_ms + LATE_AFTER_MS:
        return None
    missing = (now_ms - closed) // candles.step_ms
    more, by = plural(missing, "more candle"), utc(now_ms // 60_000 * 60_000)
    return (
        f"stale: the newest closed candle closed {utc(closed)}, and {more} should have closed by"
        f" {by}"
    )


def _heading(configuration: Configuration, now: datetime) -> dict[str, Any]:
    return {
        "id": configuration.id,
        "strategy": configuration.strategy,
        "market": signal_models.SignalMarket(
            exchange=configuration.exchange,
            pair=configuration.pair,
            timeframe=configuration.timeframe,
        ),
        "stage": configuration.lifecycle_stage,
        "synthetic": configuration.synthetic,
        "active": configuration.is_active,
        "made": now,
    }


def _action(standing: Standing) -> signal_models.Action:
    if standing.position is not None:
        return "leave" if standing.position.leaves_at_open else "hold"
    if standing.breaker is not None:
        return "blocked"
    return "enter" if standing.entries else "wait"


def _candle(candles: Candles) -> signal_models.SignalCandle:
    opened = int(candles.timestamp[-1])
    return signal_models.SignalCandle(
        opened=moment(opened),
        closed=moment(opened + candles.step_ms),
        close=float(candles.close[-1]),
    )


def _position(position: OpenPosition, candles: Candles) -> signal_models.HeldPosition:
    close, last = float(candles.close[-1]), position.last_bar
    opened = int(candles.timestamp[0])
    return signal_models.HeldPosition(
        side=side_of(position.side),
        entered=moment(int(candles.timestamp[position.entry_bar])),
        entry=position.entry,
        stop=price_of(position.stop),
        target=price_of(position.target),
        stop_in_force=price_of(position.stop_in_force),
        best=position.best,
        gain=position.side * (close - position.entry) / position.entry,
        leaves_by=None if last is None else moment(opened + candles.step_ms * (last + 1)),
    )


def _entry(entry: PossibleEntry, candles: Candles) -> signal_models.Entry:
    return signal_models.Entry(
        side=side_of(entry.side),
        entry=entry.entry,
        stop=price_of(entry.stop),
        target=price_of(entry.target),
        above=price_of(entry.low),
        below=price_of(entry.high),
        setup=moment(int(candles.timestamp[entry.setup_bar])),
    )


def price_of(value: float) -> signal_models.Price:
    """Return a price, None for none."""
    return float(value) if math.isfinite(value) else None


def side_of(side: int) -> signal_models.Side:
    """Name the side of a position, +1 or -1."""
    return "long" if side > 0 else "short"


def sentence(signal: signal_models.Signal) -> str:
    """Say in words what a signal tells."""
    if signal.refusal is not None:
        return f"no signal: {signal.refusal}."
    assert signal.at is not None, "only a refusal has no next open"
    following = f"{signal.at:%Y-%m-%d %H:%M} UTC"
    if (held := signal.position) is not None:
        said = (
            f"{held.side} since {held.entered:%Y-%m-%d %H:%M} UTC from {held.entry:.10g}"
            f" ({percent(held.gain)}); stop {_level(held.stop_in_force)}, target"
            f" {_level(held.target)}"
        )
        if signal.action == "leave":
            return f"{said}; leaves at the open of {following}."
        until = f", at the latest {held.leaves_by:%Y-%m-%d %H:%M} UTC" if held.leaves_by else ""
        return f"{said}; holds{until}."
    if (breaker := signal.breaker) is not None:
        return f"flat; {breaker.name} lets nothing in until {breaker.until:%Y-%m-%d %H:%M} UTC."
    if not signal.entries and signal.made > signal.at + LATE_AFTER:
        return f"flat; no entry any more: the open of {following} has passed."
    if not signal.entries:
        return f"flat; no signal for the open of {following}."
    entry = signal.entries[0]
    limits = [f"above {entry.above:.10g}"] if entry.above is not None else []
    limits += [f"below {entry.below:.10g}"] if entry.below is not None else []
    condition = f" if it opens {' and '.join(limits)}" if limits else ""
    return (
        f"enters {entry.side} at the open of {following}{condition}: near {entry.entry:.10g}, stop"
        f" {_level(entry.stop)}, target {_level(entry.target)}."
    )


def _level(price: signal_models.Price) -> str:
    return "none" if price is None else f"{price:.10g}"


#: What to do where nobody writes signals.
START = "start scripts/paper, which follows what is switched on"


class SignalNow(NamedTuple):
    """A signal as it is now; it stays so until ``until``, or for as long as nobody writes another.

    The row may change before.
    """

    signal: signal_models.Signal
    until: datetime | None


def signal_now(
    configuration: Configuration, stored: StoredSignal | None, now: datetime, is_here: bool = False
) -> SignalNow:
    """Return the signal of a configuration that is switched on, as it is now.

    What is late is so by the exchange's clock, where the signal was made on this machine.

    Parameters
    ----------
    configuration : Configuration
        Its row, as it agrees with its audit trail.
    stored : StoredSignal or None
        What was stored last.
    now : datetime
        By the clock of this machine, as ``until`` of what is returned.
    is_here : bool
        Whether the signal was made on this machine.
    """
    if configuration.synthetic:
        # No advice: the service says the same of it.
        reason = "generated candles: nothing comes after them"
        return SignalNow(refusal_of(configuration, reason, now), None)
    if stored is None:
        return SignalNow(refusal_of(configuration, f"no signal is stored: {START}", now), None)
    try:
        signal = signal_models.Signal.model_validate(stored.signal)
    except ValidationError:
        reason = f"its stored signal cannot be read, another version wrote it: {START}"
        return SignalNow(refusal_of(configuration, reason, now), None)
    ahead = timedelta(seconds=signal.ahead if is_here else 0.0)
    late = timedelta(milliseconds=timeframe_ms(configuration.timeframe) + LATE_AFTER_MS)
    now += ahead
    since = signal.made if signal.candle is None else signal.candle.closed
    if now >= since + late:
        return SignalNow(_stale(configuration, signal, now), None)
    shown = without_late_entry(signal, now)
    until = since + late
    if shown.action == "enter" and shown.at is not None:  # a microsecond on it is late
        until = min(until, shown.at + LATE_AFTER + timedelta(microseconds=1))
    return SignalNow(_as_row(configuration, shown), until - ahead)


def _stale(
    configuration: Configuration, signal: signal_models.Signal, now: datetime
) -> signal_models.Signal:
    """Refuse to speak on an old candle; the reason stays the same from look to look."""
    if signal.refusal is None and signal.candle is not None:
        closed = _minute(signal.candle.closed)
        said = f"stale: the newest candle that was followed closed {closed}: {START}"
    else:  # it was followed: its source is what is late
        said = (
            f"{signal.refusal or 'no candle'} (said {_minute(signal.made)}; if scripts/paper does"
            " not run, start it)"
        )
    refusal = refusal_of(configuration, said, now)
    return refusal.model_copy(update={"candle": signal.candle})


def _as_row(configuration: Configuration, signal: signal_models.Signal) -> signal_models.Signal:
    """Give a signal the stage and the switch of its row, and no more than its size."""
    size = 0.0
    if signal.refusal is None:
        size = min(signal.size, configuration.position_size)
    share = size / signal.size if signal.size else 0.0
    return signal.model_copy(
        update={
            "stage": configuration.lifecycle_stage,
            "synthetic": configuration.synthetic,
            "active": configuration.is_active,
            "size": size,
            "notional": signal.notional * share,
        }
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
