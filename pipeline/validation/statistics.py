"""Compute statistics of one daily return series and of the best of many (validation rules §3, §7).

All functions that §7 names are found here; the two that need all combinations' returns live in
modules of their own.

Notation: ``sharpe`` per observation with ddof 1, ``skew`` and ``kurtosis`` the population moments
g3 and g4, ``kurtosis`` non-excess (normal = 3), ``n`` observations. Only what is called
``sharpe_annual`` is annualised. Undefined is NaN for a number and None for a result.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy as sp  # which imports a part when it is used

from gpu_engine import DAYS_PER_YEAR, Float, deviation_of
from pipeline.validation.overfitting import (
    probability_of_backtest_overfitting as probability_of_backtest_overfitting,
)
from pipeline.validation.reality_check import max_sharpe_reality_check as max_sharpe_reality_check

#: Most independent trials that `implied_trials` reports.
MOST_TRIALS = 1e12


class Moments(NamedTuple):
    """Moments of a daily series, as the functions below want them; NaN where undefined."""

    sharpe: float
    skew: float
    kurtosis: float


class SharpeTest(NamedTuple):
    """One-sided test of a Sharpe ratio against 0; both None where it is undefined."""

    z_score: float | None
    p_value: float | None


def moments(daily: Float) -> Moments:
    """Sharpe ratio (ddof 1), skew and non-excess kurtosis (population moments) of a series.

    Parameters
    ----------
    daily : float64 array of shape (T,)

    Returns
    -------
    Moments
        All NaN without deviation (fills rules §10.1), for T < 2, and where a return is not finite.
    """
    deviation = float(deviation_of(daily))
    if not deviation > 0.0:
        return Moments(math.nan, math.nan, math.nan)
    centred = daily - daily.mean()
    variance = float((centred**2).mean())
    return Moments(
        sharpe=float(daily.mean()) / deviation,
        skew=float((centred**3).mean()) / variance**1.5,
        kurtosis=float((centred**4).mean()) / variance**2,
    )


def sharpe_test(daily: Float) -> SharpeTest:
    """Test a daily series against a Sharpe ratio of 0: ``p = 1 - PSR``.

    Parameters
    ----------
    daily : float64 array of shape (T,)

    Returns
    -------
    SharpeTest
        Undefined (None, None) where `moments` are; an undefined p fails every gate.
    """
    sharpe, skew, kurtosis = moments(daily)
    z = _z_score(sharpe, len(daily), skew, kurtosis, 0.0)
    if math.isnan(z):
        return SharpeTest(None, None)
    return SharpeTest(z, float(sp.special.ndtr(-z)))  # not 1 - ndtr(z), which underflows


def sharpe_interval(daily: Float) -> dict[str, float] | None:
    """Two-sided 95 % interval of the annualised Sharpe ratio, with the error of `sharpe_test`.

    Parameters
    ----------
    daily : float64 array of shape (T,)

    Returns
    -------
    dict or None
        ``low`` and ``high``; None where the test is undefined.
    """
    sharpe, skew, kurtosis = moments(daily)
    variance = _variance(sharpe, skew, kurtosis)
    if len(daily) < 2 or not variance > 0.0:
        return None
    reach = float(sp.special.ndtri(0.975)) * math.sqrt(variance / (len(daily) - 1.0))
    year = math.sqrt(DAYS_PER_YEAR)
    return {"low": year * (sharpe - reach), "high": year * (sharpe + reach)}


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
    return float(sp.special.ndtr(_z_score(sharpe, n, skew, kurtosis, benchmark)))


def minimum_track_record_length(
    sharpe: float, skew: float, kurtosis: float, benchmark: float, alpha: float
) -> float:
    """Observations after which ``sharpe`` exceeds ``benchmark`` at level ``alpha``.

    The ``n`` at which `probabilistic_sharpe_ratio` is ``1 - alpha``: Bailey & Lopez de Prado
    (2012), with the variance at ``sharpe``.

    Returns
    -------
    float
        Infinite when ``sharpe`` does not exceed ``benchmark``; NaN when the variance of the
        estimate is not positive.
    """
    variance = _variance(sharpe, skew, kurtosis)
    if not variance > 0.0:
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    return 1.0 + variance * float(sp.special.ndtri(alpha) / (sharpe - benchmark)) ** 2


def expected_maximum_sharpe(n_trials: float) -> float:
    """Largest Sharpe ratio to expect of independent trials without an edge.

    In standard deviations of the trials' Sharpe ratios. The false strategy theorem: Bailey & Lopez
    de Prado (2014), The Deflated Sharpe Ratio, J. Portfolio Management 40(5). It is 0.9 % above the
    exact integral at 100 trials and 0.13 % at 200,000; below 5 trials it is too low.

    Parameters
    ----------
    n_trials : float
        N; an effective number of trials need not be whole.

    Returns
    -------
    float
        0 for a single trial, and up to N = 1.28, where the approximation falls below 0; NaN for
        N < 1, which is no number of trials.
    """
    if not n_trials >= 1.0:
        return math.nan
    if n_trials == 1.0:
        return 0.0
    # -ndtri(q) is norm.isf(q): the upper tail itself, where norm.ppf(1 - 1/N) would round.
    typical, far = -sp.special.ndtri(1.0 / n_trials), -sp.special.ndtri(1.0 / (n_trials * math.e))
    return max(0.0, float((1.0 - np.euler_gamma) * typical + np.euler_gamma * far))


def implied_trials(mean_maximum: float) -> float:
    """Invert `expected_maximum_sharpe`: the independent trials that would show such a maximum.

    Parameters
    ----------
    mean_maximum : float
        Mean largest Sharpe ratio without an edge, in standard deviations of one trial's: of the
        bootstrap maxima of the reality check, times ``sqrt(T - 1)``.

    Returns
    -------
    float
        N in [1, 1e12], the ends standing for what lies beyond them; NaN for NaN.
    """
    if math.isnan(mean_maximum):
        return math.nan
    if mean_maximum <= 0.0:
        return 1.0
    if mean_maximum >= expected_maximum_sharpe(MOST_TRIALS):
        return MOST_TRIALS
    # By bisection: scipy.optimize takes longer to import than all else that a report computes.
    low, high = 0.0, math.log(MOST_TRIALS)
    while high - low > 1e-13:
        middle = (low + high) / 2.0
        if expected_maximum_sharpe(math.exp(middle)) < mean_maximum:
            low = middle
        else:
            high = middle
    return math.exp(high)


def deflated_sharpe_ratio(
    sharpe: float, n: int, skew: float, kurtosis: float, n_trials: float, trials_variance: float
) -> float:
    """Probability that the true Sharpe ratio exceeds the best to expect of ``n_trials`` by luck.

    `probabilistic_sharpe_ratio` against ``sqrt(trials_variance) * expected_maximum_sharpe``: Bailey
    & Lopez de Prado (2014). At 0.95 it is no test at 5 %: with the raw number of a grid's
    combinations it is far too strict, with too small an effective number too lax.

    Parameters
    ----------
    sharpe, n, skew, kurtosis
        Of the best trial.
    n_trials : float
        N, at least 1.
    trials_variance : float
        Variance of the trials' Sharpe ratios, per observation like ``sharpe``.

    Returns
    -------
    float
        NaN where the probabilistic Sharpe ratio or the expected maximum is.
    """
    benchmark = math.sqrt(trials_variance) * expected_maximum_sharpe(n_trials)
    return probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, benchmark)


def minimum_backtest_length(n_trials: float, sharpe_annual: float) -> float:
    """Years of history below which luck alone is expected to show ``sharpe_annual``.

    By the best of ``n_trials`` without an edge: ``(expected_maximum_sharpe / sharpe_annual)²``.
    Bailey, Borwein, Lopez de Prado & Zhu (2014), Pseudo-Mathematics and Financial Charlatanism,
    Notices AMS 61(5).

    Returns
    -------
    float
        Infinite for ``sharpe_annual <= 0``, which some trial shows after any number of years.
    """
    if sharpe_annual <= 0.0:
        return math.inf
    return (expected_maximum_sharpe(n_trials) / sharpe_annual) ** 2


def _variance(sharpe: float, skew: float, kurtosis: float) -> float:
    """Of the estimated Sharpe ratio, times the observations less one."""
    return 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2


def _z_score(sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float) -> float:
    variance = _variance(sharpe, skew, kurtosis)
    if n < 2 or not variance > 0.0:
        return math.nan
    return float((sharpe - benchmark) * np.sqrt(n - 1.0) / np.sqrt(variance))
