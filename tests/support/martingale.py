"""Figures by which generated candles are shown to hold no edge."""

import numpy as np

from gpu_engine import Candles


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of two samples."""
    return float(np.corrcoef(x, y)[0, 1])


def t_statistic(sample: np.ndarray) -> float:
    """Mean of a sample in standard errors."""
    return float(sample.mean() / sample.std(ddof=1) * np.sqrt(len(sample)))


def barrier_gains(candles: Candles, side: int, barrier: float) -> np.ndarray:
    """What every bar gives a ``side`` that leaves at a stop or target inside it, else at its close.

    ``barrier`` is a fraction of the open, negative for a stop.
    """
    up, down = candles.high / candles.open - 1, candles.low / candles.open - 1
    reach = up if side * barrier > 0 else -down
    held = side * (candles.close / candles.open - 1)
    return np.where(reach >= abs(barrier), barrier, held)
