"""Turn metrics into scores: what is admissible is decided here alone (validation rules §2.3).

`score` in kernels/reduce.cu does the same on a device; a test holds the two together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import METRICS, Float

MINIMISED = ("max_drawdown",)
SIGNIFICANT_DIGITS = 12


@dataclass(frozen=True)
class ScoreRule:
    """What is maximised (or, for a drawdown, minimised), and the fewest trades that count.

    ``objective`` is any field of `METRICS` but ``sample_size`` and ``n_days``.
    """

    objective: str = "net_profit"
    min_trades: int = 10

    @property
    def minimise(self) -> bool:
        """Whether less is better; scores are then negated."""
        return self.objective in MINIMISED

    @property
    def fields(self) -> tuple[str, ...]:
        """The metrics that a score needs, in the order of `METRICS`."""
        needed = {self.objective, "sample_size", "win_rate"}
        return tuple(name for name in METRICS.names or () if name in needed)


def scores_of(metrics: NDArray[Any], rule: ScoreRule) -> Float:
    """Score every combination; more is better, NaN is inadmissible.

    Parameters
    ----------
    metrics : array of dtype `METRICS`, any shape

    Returns
    -------
    float64 array of the same shape, rounded so that backends rank alike.
    """
    score: Float = metrics[rule.objective].astype(np.float64)
    if rule.objective == "profit_factor":  # validation rules §2.2: +inf
        score = np.where(np.isnan(score) & (metrics["win_rate"] > 0), np.inf, score)
    if rule.minimise:
        score = -score
    score = np.where(metrics["sample_size"] >= rule.min_trades, score, np.nan)
    return round_significant(score)


def round_significant(values: Float) -> Float:
    """Round to 12 significant digits; NaN, infinities and 0 stay what they are."""
    finite = np.isfinite(values) & (values != 0)
    magnitude = np.floor(np.log10(np.abs(values), where=finite, out=np.zeros_like(values)))
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - np.where(finite, magnitude, 0.0))
    return np.where(finite, np.rint(values * scale) / scale, values)
