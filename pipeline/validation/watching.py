"""Judge the days that a configuration was watched on paper (validation rules §6.13).

No search and no person had seen these days when the watching began. Arrays are float64 of shape
(N,): daily net returns, fractions, marked to market (fills rules §10.4), and the market's own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_engine import Float, deviation_of
from pipeline.validation.holding import least_squares, one_sided_p, regression, series_figures
from pipeline.validation.statistics import sharpe_test

#: Watched days at which a configuration is judged, on exactly so many.
LOOKS = (90, 180, 270, 360)
#: Fewer trades than this say nothing.
FEWEST_TRADES = 30
#: Stages that may rise by it.
WATCHED_STAGES = ("PAPER", "DISCOVERY")


@dataclass(frozen=True)
class Look:
    """One of the `LOOKS` at a paper account.

    Attributes
    ----------
    days, trades : int
        Watched, and entered on them.
    accounts : int
        Ledgers of the database: each of them could have been the lucky one.
    p_value : float or None
        Of the watched days against a Sharpe ratio of 0 (`sharpe_test`); None where undefined.
    beta, alpha_p : float or None
        Of the watched days against holding the market (`regression`).
    weeks_p : float or None
        Of alpha again, by weeks (`alpha_of_weeks`).
    net_profit, sharpe_ratio : float
        Of the out-of-sample days and all days since, up to the last watched one.
    """

    days: int
    trades: int
    accounts: int
    p_value: float | None
    beta: float | None
    alpha_p: float | None
    weeks_p: float | None
    net_profit: float
    sharpe_ratio: float

    @property
    def watched_p(self) -> float | None:
        """The p-value of the look: the largest one, times all looks at all accounts; at most 1.

        None where one is undefined, or fewer than `FEWEST_TRADES` were seen.
        """
        known = [p for p in (self.p_value, self.alpha_p, self.weeks_p) if p is not None]
        if len(known) < 3 or self.trades < FEWEST_TRADES:
            return None
        return min(1.0, len(LOOKS) * self.accounts * max(known))

    def figures(self) -> dict[str, Any]:
        """Return the look as plain values."""
        return {**vars(self), "watched_p": self.watched_p}


def days_of_look(watched: int) -> int | None:
    """Return the days of the newest look that so many watched days allow; None before the first."""
    return max((days for days in LOOKS if days <= watched), default=None)


def look_at(earlier: Float, watched: Float, hold: Float, trades: int, accounts: int) -> Look:
    """Judge watched days, as many as a look has.

    Parameters
    ----------
    earlier : float64 array of shape (E,)
        Out-of-sample days, and those since that nobody watched.
    watched, hold : float64 arrays of shape (N,)
        Returns of the strategy and of the market on the watched days.
    trades : int
        Entered on them.
    accounts : int
        Ledgers that are watched, at least 1.
    """
    line = regression(watched, hold)
    lifetime = series_figures(np.concatenate((earlier, watched)))
    return Look(
        days=len(watched),
        trades=trades,
        accounts=accounts,
        p_value=sharpe_test(watched).p_value,
        beta=line.beta,
        alpha_p=line.alpha_p,
        weeks_p=alpha_of_weeks(watched, hold),
        net_profit=lifetime["net_profit"],
        sharpe_ratio=lifetime["sharpe_ratio"],
    )


def alpha_of_weeks(daily: Float, hold: Float) -> float | None:
    """Test the intercept of a regression of weeks on the market's: one-sided p-value.

    A week is the sum of 7 days, the last one ends with the series. Weeks hang together less than
    neighbouring days, and few of them are held against Student's t with two degrees fewer: where
    the p-value must be very small, errors that allow for dependence (`regression`) are too ready.

    Parameters
    ----------
    daily, hold : float64 arrays of shape (N,)
        Returns of the same days.

    Returns
    -------
    float or None
        None for fewer than 3 weeks, and where either series has no deviation (fills rules §10.1).
    """
    weeks = len(daily) // 7
    y, x = (series[len(series) - 7 * weeks :].reshape(weeks, 7).sum(1) for series in (daily, hold))
    if weeks < 3 or not (deviation_of(y) > 0.0 and deviation_of(x) > 0.0):
        return None
    line = least_squares(y, x)
    error = line.residual @ line.residual / (weeks - 2)
    variance = error * (1.0 / weeks + x.mean() ** 2 / line.spread)
    return one_sided_p(weeks - 2, line.alpha, variance)
