"""Replace what comes after a bar: candles that are the same up to it and different from there.

Each kind of future answers one kind of leak, and a check asks for more than one:

- ``mirror``: every later price is reflected at the last close on a log scale, and every later
  volume at the last volume. What rose falls, what was above is below.
- ``gap``: a few filled bars, then bars of another time of the same market. A leak that waits for a
  quiet or a filled bar sees one.
- ``shock``: a jump of some per cent on a multiple of the volume, then bars of another time. A leak
  that waits for an extreme sees one.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from gpu_engine import Bool, Candles, Float

Future = Literal["mirror", "gap", "shock"]

GAP_BARS = 6  # filled bars at the start of ``gap``
JUMP = 0.2  # of the price, at the start of ``shock``; up or down
BURST = 30.0  # x the last volume, there


def with_future(candles: Candles, cut: int, kind: Future, seed: int) -> Candles:
    """Return as many candles, the same before bar ``cut`` and of another future from it on.

    Parameters
    ----------
    candles : Candles
    cut : int
        First bar that is replaced, > 0.
    kind : {"mirror", "gap", "shock"}
    seed : int
        Of what is drawn: the other time, and the direction of a jump.
    """
    generator = np.random.default_rng((seed, cut))
    later = candles.cut(cut, len(candles))
    anchor, volume = float(candles.close[cut - 1]), _volume(candles, cut)
    if kind == "mirror":
        future = _mirrored(later, anchor, volume)
    else:
        future = _borrowed(candles, later, anchor, generator)
        head = slice(0, GAP_BARS if kind == "gap" else 1)
        if kind == "gap":
            _fill(future, head, anchor)
        else:
            _jump(future, anchor, volume, float(generator.choice((1 - JUMP, 1 + JUMP))))
    names = ("open", "high", "low", "close", "volume", "filled")
    columns: dict[str, Any] = {
        n: np.append(getattr(candles, n)[:cut], getattr(future, n)) for n in names
    }
    return replace(candles, timestamp=candles.timestamp.copy(), **columns)


def _volume(candles: Candles, cut: int) -> float:
    """Return the last volume before ``cut`` that is not 0."""
    known = candles.volume[max(0, cut - 1000) : cut]
    traded = known[known > 0]
    return float(traded[-1]) if len(traded) else 1.0


def _mirrored(later: Candles, anchor: float, volume: float) -> Candles:
    square = anchor * anchor
    traded = np.where(later.volume > 0, later.volume, volume / 2)
    return replace(
        later,
        open=square / later.open,
        high=square / later.low,
        low=square / later.high,
        close=square / later.close,
        volume=volume * volume / traded,
        filled=np.zeros(len(later), np.bool_),
    )


def _borrowed(
    candles: Candles, later: Candles, anchor: float, generator: np.random.Generator
) -> Candles:
    """Take bars of another time, scaled so that the first opens at ``anchor``."""
    start, n = int(generator.integers(0, len(candles))), len(candles)
    source = (start + np.arange(len(later))) % n
    # Where the history starts again, the price must not jump: chain by what each bar did.
    before = candles.close[source - 1]
    before[source == 0] = candles.open[0]
    step: Float = candles.close[source] / before
    base = anchor * np.append(1.0, np.cumprod(step)[:-1])
    columns = {k: base * (getattr(candles, k)[source] / before) for k in ("open", "high", "low")}
    filled: Bool = candles.filled[source]
    return replace(
        later, **columns, close=base * step, volume=candles.volume[source], filled=filled.copy()
    )


def _fill(future: Candles, head: slice, anchor: float) -> None:
    for column in (future.open, future.high, future.low, future.close):
        column[head] = anchor
    future.volume[head], future.filled[head] = 0.0, True


def _jump(future: Candles, anchor: float, volume: float, factor: float) -> None:
    for column in (future.open, future.high, future.low, future.close):
        column *= factor
    future.open[0] = anchor
    future.high[0] = max(anchor, float(future.high[0]))
    future.low[0] = min(anchor, float(future.low[0]))
    future.volume[0], future.filled[0] = BURST * volume, False
