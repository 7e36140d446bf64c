"""Candles and indicators as lists, by loops that anyone can read (candles rules §1, §2).

Written from the rules alone and apart from `pipeline.strategies`: these are what the product's
event tables are held against.
"""

from typing import NamedTuple

NAN = float("nan")


class Bars(NamedTuple):
    """One market, bar by bar; ``atr`` and ``volume_ratio`` are NaN where undefined."""

    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    filled: list[bool]
    baseline: list[float]
    volume_ratio: list[float]
    atr: list[float]

    def __len__(self):
        return len(self.close)


def bars_of(candles):
    """Read candles into lists, with the indicators that every strategy shares."""
    high, low, close = candles.high.tolist(), candles.low.tolist(), candles.close.tolist()
    volume = candles.volume.tolist()
    baseline = _baseline(volume)
    return Bars(
        candles.open.tolist(), high, low, close, volume, candles.filled.tolist(), baseline,
        _volume_ratio(volume, baseline), _average_true_range(high, low, close),
    )  # fmt: skip


def swing_points(extreme, side):
    """Mark the bars strictly below (short: above) the 3 on each side (candles rules §2.3)."""
    marks = [False] * len(extreme)
    for i in range(3, len(extreme) - 3):
        around = [*extreme[i - 3 : i], *extreme[i + 1 : i + 4]]
        marks[i] = all(side * extreme[i] < side * price for price in around)
    return marks


def _baseline(volume):
    """Mean volume of the 20 bars before each bar, added oldest first; NaN before bar 20."""
    means = [NAN] * len(volume)
    for t in range(20, len(volume)):
        total = 0.0
        for i in range(t - 20, t):
            total += volume[i]
        means[t] = total / 20
    return means


def _volume_ratio(volume, baseline):
    """Volume over its baseline, 0 where that is 0; NaN before bar 20 (candles rules §2.2)."""
    ratios = []
    for own, mean in zip(volume, baseline, strict=True):
        ratios.append(0.0 if mean == 0 else own / mean)
    return ratios


def _average_true_range(high, low, close):
    """Wilder's ATR of period 14 (candles rules §2.1); NaN before bar 13."""
    atr = []
    total = 0.0
    for t in range(len(close)):
        reach = high[t] - low[t]
        if t > 0:
            reach = max(reach, abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1]))
        if t < 14:
            total += reach
            atr.append(total / 14 if t == 13 else NAN)
        else:
            atr.append((13 * atr[-1] + reach) / 14)
    return atr
