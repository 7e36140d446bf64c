"""Statistics of one daily return series (validation §3). No annualised number goes in.

Notation: ``sharpe`` per observation with ddof 1, ``skew`` and ``kurtosis`` the population moments
g3 and g4, ``kurtosis`` non-excess (normal = 3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from gpu_engine.records import Float


class SharpeTest(NamedTuple):
    """One-sided test of a Sharpe ratio against 0; both None where it is undefined."""

    z_score: float | None
    p_value: float | None


def probabilistic_sharpe_ratio(
    sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float = 0.0
) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark``.

    Bailey & Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, J. Risk 15(2), eq. 4.

    Returns
    -------
    float
        NaN when the variance of the estimate is not positive or ``n < 2``.
    """
    return float(ndtr(_z_score(sharpe, n, skew, kurtosis, benchmark)))


def sharpe_test(daily: Float) -> SharpeTest:
    """Test a daily series against a Sharpe ratio of 0: ``p = 1 - PSR``.

    Parameters
    ----------
    daily : float64 array of shape (T,)

    Returns
    -------
    SharpeTest
        Undefined (None, None) without variance or for T < 2; an undefined p fails every gate.
    """
    n = len(daily)
    if n < 2 or np.ptp(daily) == 0.0:
        return SharpeTest(None, None)
    centred = daily - daily.mean()
    variance = float((centred**2).mean())
    skew = float((centred**3).mean()) / variance**1.5
    kurtosis = float((centred**4).mean()) / variance**2
    z = _z_score(float(daily.mean() / daily.std(ddof=1)), n, skew, kurtosis, 0.0)
    if np.isnan(z):
        return SharpeTest(None, None)
    return SharpeTest(z, float(ndtr(-z)))  # not 1 - ndtr(z), which underflows


def _z_score(sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float) -> float:
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n < 2 or not variance > 0.0:
        return float("nan")
    return float((sharpe - benchmark) * np.sqrt(n - 1.0) / np.sqrt(variance))
