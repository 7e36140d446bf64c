"""Set a daily series beside buying and holding the market (validation rules §3.11, §3.12).

A strategy that is often long earns in a rising market whatever it knows. What it earns beyond its
share of the market's own return is its *alpha*, the intercept of a regression of its days on the
market's; the slope is its *beta*.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy as sp  # which imports a part when it is used

from gpu_engine import DAYS_PER_YEAR, NO_DEVIATION, Candles, Float, Int32, deviation_of, metrics_of


class Regression(NamedTuple):
    """Daily returns of a series as ``alpha + beta · hold + residual``; None where undefined.

    ``alpha`` is a day's, a fraction of equity; ``alpha_p`` is one-sided, against an alpha of 0 or
    less.
    """

    beta: float | None
    alpha: float | None
    alpha_p: float | None

    @property
    def alpha_a_year(self) -> float | None:
        """Alpha of 365 days, not compounded."""
        return None if self.alpha is None else DAYS_PER_YEAR * self.alpha


class LeastSquares(NamedTuple):
    """A fitted line; ``market`` is what it was fitted on less its mean, ``spread`` its squares."""

    beta: float
    alpha: float
    residual: Float
    market: Float
    spread: float


def hold_returns(candles: Candles, day: Int32) -> Float:
    """Compute the market's own return of some UTC days, from close to close.

    Parameters
    ----------
    candles : Candles
    day : int32 array of shape (T,)
        UTC days with candles, days since the epoch; there may be gaps between them.

    Returns
    -------
    float64 array of shape (T,)
        Close of the day's last bar over that of the day before's, less 1. Where the candles begin
        with a day, its first open takes the place of the close before.
    """
    last = np.searchsorted(candles.day, day, "right") - 1
    before = np.searchsorted(candles.day, day, "left") - 1
    base = np.where(before >= 0, candles.close[before], candles.open[0])
    returns: Float = candles.close[last] / base - 1.0
    return returns


def regression(daily: Float, hold: Float) -> Regression:
    """Regress a daily series on the market's by least squares, and test the intercept.

    The error of the intercept is that of Newey & West (1987), A Simple, Positive Semi-Definite,
    Heteroskedasticity and Autocorrelation Consistent Covariance Matrix, Econometrica 55(3), with
    the Bartlett kernel, `lags` lags and the correction T / (T - 2) for two coefficients. The
    p-value is that of Student's t with T - 2 degrees of freedom.

    Parameters
    ----------
    daily, hold : float64 arrays of shape (T,)
        Returns of the same days.

    Returns
    -------
    Regression
        Undefined (None) for T < 3 + lags, for a value that is not finite, and where either series
        has no deviation (fills rules §10.1). ``alpha_p`` alone is None where nothing is left beside
        beta and alpha: no error, no test.
    """
    days = len(daily)
    if days < 3 + lags(days) or not (deviation_of(daily) > 0.0 and deviation_of(hold) > 0.0):
        return Regression(None, None, None)
    beta, alpha, residual, market, spread = least_squares(daily, hold)
    if np.abs(residual).max() <= NO_DEVIATION * np.abs(daily).max():
        return Regression(beta, alpha, None)
    # Each day's part in the error of the intercept: least squares is a weighted sum of days.
    share = (1.0 / days - hold.mean() * market / spread) * residual
    variance = share @ share
    for lag in range(1, lags(days) + 1):
        weight = 1.0 - lag / (lags(days) + 1.0)
        variance += 2.0 * weight * (share[lag:] @ share[:-lag])
    variance *= days / (days - 2.0)
    return Regression(beta, alpha, one_sided_p(days - 2, alpha, variance))


def one_sided_p(degrees: int, alpha: float, variance: float) -> float | None:
    """Return Student's p of an alpha against one of 0 or less; None where it does not vary."""
    return (
        float(sp.special.stdtr(degrees, -alpha / math.sqrt(variance))) if variance > 0.0 else None
    )


def least_squares(daily: Float, hold: Float) -> LeastSquares:
    """Fit ``daily = alpha + beta · hold + residual``, float64 arrays of shape (T,)."""
    market = hold - hold.mean()
    spread = float(market @ market)
    beta = float(market @ daily / spread)
    alpha = float(daily.mean() - beta * hold.mean())
    return LeastSquares(beta, alpha, daily - alpha - beta * hold, market, spread)


def lags(days: int) -> int:
    """Lags of the errors' autocorrelation, ``⌊4 (T / 100)^(2/9)⌋``.

    The rule of thumb of Newey & West (1994), Automatic Lag Selection in Covariance Matrix
    Estimation, Review of Economic Studies 61(4), for the Bartlett kernel.
    """
    return int(4.0 * (days / 100.0) ** (2.0 / 9.0))


def holding_figures(candles: Candles, day: Int32, daily: Float, exposure: float) -> dict[str, Any]:
    """Compute the figures of a daily series that stand beside holding the market, by name.

    Parameters
    ----------
    candles : Candles
    day : int32 array of shape (T,)
        UTC days of the series, days since the epoch.
    daily : float64 array of shape (T,)
        Its returns.
    exposure : float
        Notional of every trade, as a share of the equity. A small position does not ride the market
        less.

    Returns
    -------
    dict
        ``hold`` (`series_figures` of the market), ``excess_net_profit``, ``beta`` of a position of
        the whole equity, ``alpha`` a year and ``alpha_p``.
    """
    market = hold_returns(candles, day)
    hold, line = series_figures(market), regression(daily, market)
    return {
        "hold": hold,
        "excess_net_profit": series_figures(daily)["net_profit"] - hold["net_profit"],
        "beta": None if line.beta is None else line.beta / exposure,
        "alpha": line.alpha_a_year,
        "alpha_p": line.alpha_p,
    }


def series_figures(daily: Float) -> dict[str, float]:
    """Net profit, Sharpe ratio (a year) and largest drawdown of daily returns, by their names."""
    metrics = metrics_of(daily, daily)
    return {n: float(metrics[n]) for n in ("net_profit", "sharpe_ratio", "max_drawdown")}
