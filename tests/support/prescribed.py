"""Bars whose trades earn a prescribed return: each is held from the open to the close of one bar.

Four bars a UTC day (6 hours each), so a week of trades is written on one line.
"""

from dataclasses import replace

import numpy as np

from support.backtest import NO_BREAKERS, Backtest, Signal, make_candles

STEP = 6 * 3_600_000
FAR = 1_000.0  # an ATR that puts stop and target out of reach


def prescribed(returns, side=+1, risk=NO_BREAKERS, **options):
    """A backtest with a signal on every bar; bar ``i`` earns ``returns[i]``, bar 0 cannot."""
    close = 100.0 + side * 100.0 * np.array(returns, np.float64)
    opening = np.full(len(close), 100.0)
    bars = np.stack([opening, np.maximum(opening, close), np.minimum(opening, close), close])
    signals = tuple(Signal(bar, side, atr=FAR) for bar in range(len(close)))
    risk = replace(risk, max_holding_bars=risk.max_holding_bars or 1)
    return Backtest(make_candles(bars.T, step_ms=STEP), signals, risk=risk, **options)
