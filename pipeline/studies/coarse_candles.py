"""Draw random candles on coarse ticks: equal prices everywhere, so every tie of a rule happens."""

import numpy as np

from gpu_engine import Candles

TICK = 0.5
START = 1_704_060_000_000  # 2023-12-31 22:00 UTC: the first day is a part day


def coarse_candles(
    rng: np.random.Generator,
    n_bars: int,
    step_ms: int = 300_000,
    filled_share: float = 0.05,
    hunt_share: float = 0.0,
) -> Candles:
    """Draw candles around 100 with spikes of volume, some of them filled (candles rules §1).

    Parameters
    ----------
    rng : numpy.random.Generator
    n_bars : int
    step_ms : int
        Bar length.
    filled_share : float
        Of the bars, those in which nothing traded.
    hunt_share : float
        Of the bars, those that trade far through one side on high volume: stop hunts.
    """
    gap = rng.choice([0, 0, 0, 0, -1, 1, -4, 4], n_bars)
    body = rng.integers(-4, 5, n_bars)
    upper, lower = rng.integers(0, 4, (2, n_bars))
    volume = rng.choice([1.0, 1.0, 2.0, 3.0, 8.0], n_bars)
    if hunt_share:
        for wick in (upper, lower):
            hunt = rng.random(n_bars) < hunt_share / 2
            wick[hunt] += rng.integers(6, 16, n_bars)[hunt]
            volume[hunt] = 12.0
    filled = rng.random(n_bars) < filled_share
    filled[:1] = False
    bars = np.empty((n_bars, 4))
    close = 200
    for i in range(n_bars):
        if filled[i]:
            bars[i] = close
            continue
        pull = (200 - close) // 40  # keeps prices far from zero
        opening = close + int(gap[i])
        close = opening + int(body[i]) + pull
        bars[i] = opening, max(opening, close) + upper[i], min(opening, close) - lower[i], close
    opening, high, low, closing = (TICK * bars).T.copy()
    timestamp = START + step_ms * np.arange(n_bars)
    volume[filled] = 0.0
    return Candles(timestamp, opening, high, low, closing, volume, filled, step_ms)
