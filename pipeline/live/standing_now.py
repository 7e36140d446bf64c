"""Say what a stored signal is worth now: its stage may have fallen, and its candle grown old.

A signal is stored with every candle and read at any time after. So stage, size and switch are those
of the row as it is when the signal is read, and a signal whose next candle is late is a refusal.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from pipeline.live.signal import LATE_AFTER_MS, refusal_of
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.live_models import StoredSignal
from pipeline.results.records import Configuration
from pipeline.results.signal_models import Signal

#: What to do where nobody writes signals.
START = "start scripts/paper, which follows what is switched on"


class SignalNow(NamedTuple):
    """A signal as it is now; it stays so until ``until``, or for as long as nobody writes another.

    The row may change before.
    """

    signal: Signal
    until: datetime | None


def signal_now(
    configuration: Configuration, stored: StoredSignal | None, now: datetime
) -> SignalNow:
    """Return the signal of a configuration that is switched on, as it is now.

    Parameters
    ----------
    configuration : Configuration
        Its row, as it agrees with its audit trail.
    stored : StoredSignal or None
        What was stored last.
    """
    if configuration.synthetic:
        # No advice: the service says the same of it.
        reason = "generated candles: nothing comes after them"
        return SignalNow(refusal_of(configuration, reason, now), None)
    if stored is None:
        return SignalNow(refusal_of(configuration, f"no signal is stored: {START}", now), None)
    try:
        signal = Signal.model_validate(stored.signal)
    except ValidationError:
        reason = f"its stored signal cannot be read, another version wrote it: {START}"
        return SignalNow(refusal_of(configuration, reason, now), None)
    late = timedelta(milliseconds=timeframe_ms(configuration.timeframe) + LATE_AFTER_MS)
    since = signal.made if signal.candle is None else signal.candle.closed
    if now >= since + late:
        return SignalNow(_stale(configuration, signal, now), None)
    return SignalNow(_as_row(configuration, signal), since + late)


def _stale(configuration: Configuration, signal: Signal, now: datetime) -> Signal:
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


def _as_row(configuration: Configuration, signal: Signal) -> Signal:
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
