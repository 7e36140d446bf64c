"""Trades of two days, and their candles by a loop that anyone can read."""

import numpy as np

START, STEP = 1_675_123_200_000, 300_000  # 2023-01-31 00:00 UTC: a month ends in the middle
BARS = 576
END = START + BARS * STEP


def trade_rows(count=6_000, seed=0, first=START):
    """Rows (time in ns, price, volume, side): bursts at one time, and hours without a trade."""
    rng = np.random.default_rng(seed)
    ms = np.sort(rng.integers(first, END, count))
    ms = ms[(ms // STEP % 7 != 3) & ((ms < START + 100 * STEP) | (ms > START + 150 * STEP))]
    burst = rng.random(len(ms)) < 0.3
    ms[1:][burst[1:]] = ms[:-1][burst[1:]]
    price = np.round(20_000 * np.exp(np.cumsum(rng.normal(0, 1e-4, len(ms)))), 1)
    volume = np.round(rng.uniform(1e-4, 2, len(ms)), 8)
    rows = zip(ms * 1_000_000, price, volume, strict=True)
    return sorted((int(t), float(p), float(v), "b") for t, p, v in rows)


def candles_by_loop(trades, step_ms):
    """``{open time: [open, high, low, close, amounts]}`` of (time, price, amount) by time."""
    bars = {}
    for time_ns, price, amount in trades:
        opened = time_ns - time_ns % (step_ms * 1_000_000)
        bar = bars.setdefault(opened // 1_000_000, [price, price, price, price, []])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4].append(amount)
    return bars
