"""Candles to serve: a walk whose every row differs from every other."""

import numpy as np

CANDLE_START = 1_672_531_200_000  # 2023-01-01 00:00 UTC


def candle_series(count, step=300_000, start=CANDLE_START, seed=0, absent=()):
    """Rows ``[open time in ms, open, high, low, close, volume]``; bars in ``absent`` left out.

    Prices to two decimals and volumes to five, as exchanges print them, so that text and back
    changes nothing.
    """
    rng = np.random.default_rng(seed)
    close = np.round(20_000 * np.exp(np.cumsum(rng.normal(0, 0.001, count))), 2)
    opened = np.r_[20_000.0, close[:-1]]
    spread = np.round(rng.uniform(0, 10, (2, count)), 2)
    high = np.round(np.maximum(opened, close) + spread[0], 2)
    low = np.round(np.minimum(opened, close) - spread[1], 2)
    volume = np.round(rng.uniform(0.1, 10, count), 5)
    table = np.column_stack([opened, high, low, close, volume]).tolist()
    gone = set(absent)
    return [[start + step * bar, *row] for bar, row in enumerate(table) if bar not in gone]
