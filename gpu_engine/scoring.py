"""Turn metrics into scores: what is admissible is decided here alone (validation rules §2.3).

`score` in kernels/reduce.cu does the same on a device; a test holds the two together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import METRICS, Float

MINIMISED = ("max_drawdown",)
#: Metrics that are undefined where nothing was lost (fills rules §10).
MAY_BE_UNDEFINED = ("sortino_ratio", "calmar_ratio", "profit_factor")
SIGNIFICANT_DIGITS = 12
#: Powers of ten from 1e-297 to 1e308, each the nearest float64 to its literal. A number of decade
#: ``d`` is scaled by ``10 ** (11 - d)``, so that both ends are the other's.
LEAST_POWER = -297
POWERS = np.array([float(f"1e{power}") for power in range(LEAST_POWER, 309)])
#: ``e * LOG10_OF_2 >> LOG10_SHIFT`` is floor(log10(2 ** e)) for every exponent of a float64.
LOG10_OF_2, LOG10_SHIFT = 78913, 18


@dataclass(frozen=True)
class ScoreRule:
    """What is maximised (or, for a drawdown, minimised), and the fewest trades that count.

    ``objective`` is any field of `METRICS` but ``sample_size`` and ``n_days``; where there is a
    ``scorer``, it is its name. A scorer takes `METRICS` of any shape and returns a float64 score
    for each, by its own metrics alone; more is better.
    """

    objective: str = "net_profit"
    min_trades: int = 10
    scorer: Callable[[NDArray[Any]], Float] | None = None

    @property
    def minimise(self) -> bool:
        """Whether less is better; scores are then negated."""
        return self.scorer is None and self.objective in MINIMISED

    @property
    def fields(self) -> tuple[str, ...]:
        """The metrics that a score needs, in the order of `METRICS`."""
        if self.scorer is not None:
            return METRICS.names or ()
        needed = {self.objective, "sample_size"}
        if self.objective in MAY_BE_UNDEFINED:
            needed.add("net_profit")
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
    score: Float
    if rule.scorer is not None:
        score = rule.scorer(metrics)
    else:
        score = metrics[rule.objective].astype(np.float64)
    if rule.scorer is None and rule.objective in MAY_BE_UNDEFINED:  # validation rules §2.2
        undefined = np.where(metrics["net_profit"] > 0.0, np.inf, 0.0)
        score = np.where(np.isnan(score), undefined, score)
    if rule.minimise:
        score = -score
    score = np.where(metrics["sample_size"] >= rule.min_trades, score, np.nan)
    return round_significant(score)


def round_significant(values: Float) -> Float:
    """Round to 12 significant digits; NaN, infinities and 0 stay what they are.

    `rounded` in kernels/reduce.cu takes the same steps on the same table: neither log10 nor pow,
    which every library rounds in its own way. What is smaller than 1e-297 keeps fewer digits.
    """
    finite = np.isfinite(values) & (values != 0)
    kept = np.where(finite, values, 1.0)
    size = np.abs(kept)
    _, exponent = np.frexp(size)  # 2 ** (exponent - 1) <= size < 2 ** exponent
    decade = np.maximum((exponent - 1) * LOG10_OF_2 >> LOG10_SHIFT, LEAST_POWER)
    decade += size >= POWERS[decade + 1 - LEAST_POWER]
    scale = POWERS[SIGNIFICANT_DIGITS - 1 - decade - LEAST_POWER]
    return np.where(finite, np.rint(kept * scale) / scale, values)
