"""Compute indicators of candles (candles rules §2); value ``[t]`` uses bars up to ``t`` only."""

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Bool, Candles, Float, Int32, Int64
from pipeline.strategies import compiled
from pipeline.strategies.averages import carried

WILDER_PERIOD = 14  # bars, of ATR and RSI
VOLUME_PERIOD = 20  # bars
SWING_REACH = 3  # bars on each side of a swing point


def true_range(candles: Candles) -> Float:
    """Return ``max(high - low, |high - close[-1]|, |low - close[-1]|)``, float64 of shape (n,).

    The first bar has no close before it: its range is ``high - low``.
    """
    result = candles.high - candles.low
    before = candles.close[:-1]
    np.maximum(result[1:], np.abs(candles.high[1:] - before), out=result[1:])
    np.maximum(result[1:], np.abs(candles.low[1:] - before), out=result[1:])
    return result


def average_true_range(candles: Candles) -> Float:
    """Return Wilder's ATR, float64 of shape (n,), quote currency; NaN before bar 13 (§2.1)."""
    return wilder_average(true_range(candles))


def wilder_average(values: Float) -> Float:
    """Average by Wilder's rule, float64 of shape (n,): ``(13 * average[-1] + value) / 14``.

    It begins at index 13 with the mean of the first 14 values, NaN before; or at index 0, with what
    the thread carries on (`pipeline.strategies.averages`). The recursion runs bar by bar: a closed
    form rounds differently, and on coarse ticks a comparison such as ``body >= 1.0 * ATR`` is often
    an equality.
    """
    result = np.full(len(values), np.nan)
    averages = carried()
    seed, first = None if averages is None else averages.seed(), 0
    if seed is None and len(values) >= WILDER_PERIOD:
        # cumsum adds one by one, as a plain loop does; NumPy's sum adds pairs.
        seed, first = (
            float(np.cumsum(values[:WILDER_PERIOD])[-1]) / WILDER_PERIOD,
            WILDER_PERIOD - 1,
        )
    if seed is not None:
        result[first] = seed
        recursion = _wilder if (kernels := compiled.kernels()) is None else kernels.wilder
        recursion(values, first, result)
    if averages is not None:
        averages.add(result)
    return result


def _wilder(values: Float, first: int, average: Float) -> None:
    """Fill ``average`` after index ``first``, where its first value stands."""
    last = float(average[first])
    averages = []
    for value in values[first + 1 :].tolist():
        last = (13.0 * last + value) / 14.0
        averages.append(last)
    average[first + 1 :] = averages


def rsi(close: Float) -> Float:
    """Return Wilder's RSI, float64 of shape (n,), 0 to 100; NaN before bar 14 (§2.4).

    50 where no close moved. ``rsi(-close)`` is the mirror, ``100 * V / (U + V)``, to the last bit.
    """
    change = np.diff(close)
    up = wilder_average(np.where(change > 0, change, 0.0))
    down = wilder_average(np.where(change < 0, -change, 0.0))
    total = up + down
    result = np.full(len(close), np.nan)
    result[1:] = np.divide(100 * up, total, out=np.full(len(total), 50.0), where=total != 0)
    return result


def volume_baseline(candles: Candles) -> Float:
    """Return the mean volume of the 20 bars before, float64 of shape (n,); NaN for ``t < 20``."""
    volume, n = candles.volume, len(candles)
    result = np.full(n, np.nan)
    total = np.zeros(max(n - VOLUME_PERIOD, 0))
    for lag in range(VOLUME_PERIOD):  # oldest first, the order a plain loop adds in
        total += volume[lag : lag + len(total)]
    result[VOLUME_PERIOD:] = total / VOLUME_PERIOD
    return result


def volume_ratio(candles: Candles, baseline: Float | None = None) -> Float:
    """Return volume over its baseline, float64 of shape (n,) (§2.2).

    0 where the baseline is 0, NaN for ``t < 20``. ``baseline`` is that of `volume_baseline`, where
    somebody has it.
    """
    baseline = volume_baseline(candles) if baseline is None else baseline
    return np.divide(candles.volume, baseline, out=np.zeros_like(baseline), where=baseline != 0)


def rolling_max(values: Float, length: int) -> Float:
    """Return ``max(values[t - length], ..., values[t - 1])``, float64 (§2.5).

    ``values`` and the result are of shape (n,), or (k, n) for k series. These are the ``length``
    bars before ``t``, without ``t`` itself: the upper edge of a channel that bar ``t`` may break.
    NaN for ``t < length``, and where one of these values is NaN.

    Raises
    ------
    ValueError
        If ``length`` is below 1.
    """
    return _rolling(np.maximum, values, length)


def rolling_min(values: Float, length: int) -> Float:
    """Return ``min(values[t - length], ..., values[t - 1])``; the rest as `rolling_max`."""
    return _rolling(np.minimum, values, length)


def _rolling(extreme: np.ufunc, values: Float, length: int) -> Float:
    if length < 1:
        raise ValueError(f"a rolling extreme needs 1 bar or more; got {length}")
    result = np.full(values.shape, np.nan)
    if values.shape[-1] <= length:
        return result
    # Extremes of 1, 2, 4, ... bars from each bar on; two of them overlap to any length.
    window, width = values[..., :-1], 1
    while 2 * width <= length:
        window, width = extreme(window[..., :-width], window[..., width:]), 2 * width
    rest = length - width
    extreme(window[..., : window.shape[-1] - rest], window[..., rest:], out=result[..., length:])
    return result


def sums_before(values: Float, bar: Int64, length: int) -> Float:
    """Sum ``values[t - length], ..., values[t - 1]`` of some bars t >= ``length``, shape (q,).

    One by one, the oldest first, the order a plain loop adds in.
    """
    result = np.zeros(len(bar))
    if (kernels := compiled.kernels()) is not None:
        kernels.sums_before(values, bar, length, result)
        return result
    for lag in range(length, 0, -1):
        result += values[bar - lag]
    return result


def swing_lows(low: Float) -> Bool:
    """Mark bars whose low is strictly below the 3 on each side; known 3 bars later (§2.3)."""
    result: NDArray[np.bool_] = np.zeros(len(low), np.bool_)
    inner = slice(SWING_REACH, len(low) - SWING_REACH)
    if len(low) <= 2 * SWING_REACH:
        return result
    centre = low[inner]
    strict = np.ones(len(centre), np.bool_)
    for reach in range(1, SWING_REACH + 1):
        strict &= centre < low[SWING_REACH - reach : len(low) - SWING_REACH - reach]
        strict &= centre < low[SWING_REACH + reach : len(low) - SWING_REACH + reach]
    result[inner] = strict
    return result


def bars_since(marks: Bool) -> Int64:
    """Count the bars after the last marked one, the bar itself included, int64 (n,).

    0 on a marked bar; where none was marked yet, every bar so far counts.
    """
    index = np.arange(len(marks))
    return index - np.maximum.accumulate(np.where(marks, index, -1))


def runs(close: Float) -> tuple[Int64, Int64]:
    """Count the closes in a row, up to each bar, that rise and that fall; shape (n,) each.

    Strictly: an equal close ends both. The first bar, which has none before it, is in neither.
    """
    change = np.diff(close, prepend=close[:1])
    return bars_since(~(change > 0)), bars_since(~(change < 0))


def next_true(marks: Bool) -> Int32:
    """Return at each bar the first later one that is marked, int32 (n,); -1 where none is yet.

    It looks ahead on purpose: it is for ``exit_signal_bar`` alone (exits rules §1.2).
    """
    marked = np.append(np.flatnonzero(marks), -1).astype(np.int32)
    return marked[np.cumsum(marks)]  # as many are at or before the bar


def first_after(bars: Int64, bar: Int64) -> Int32:
    """Return the first of ``bars``, which ascend, after each bar, int32 (q,); -1 where none is.

    It looks ahead on purpose, as `next_true`.
    """
    return np.append(bars, -1).astype(np.int32)[np.searchsorted(bars, bar, side="right")]


def count_near(values: Float, start: Int32, after: Int32, centre: Float, width: Float) -> Int64:
    """Count the ``values[start:after]`` within ``width`` of ``centre``, int64 of shape (q,)."""
    size = np.maximum(after - start, 0)
    query = np.repeat(np.arange(len(size)), size)
    offset = np.arange(len(query)) - np.repeat(np.cumsum(size) - size, size)
    near = np.abs(values[start[query] + offset] - centre[query]) <= width[query]
    return np.bincount(query[near], minlength=len(size))
