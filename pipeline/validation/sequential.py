"""Test every day whether live days still keep what the out-of-sample days promised.

A one-sided cumulative sum of the shortfall, as in Chu, Stinchcombe & White (1996), Monitoring
Structural Change, Econometrica 64(5), 1045-1065, with the boundary of Horváth, Hušková, Kokoszka &
Steinebach (2004), Monitoring changes in linear models, Journal of Statistical Planning and
Inference 126(1), 225-251. Its limit is not asymptotic: it comes from bootstrap paths of the series
itself, as Hušková & Kirch (2012), Bootstrapping sequential change-point tests for linear
regression, Metrika 75(5), 673-708, propose (validation rules §8).

Symbols: ``T`` out-of-sample (OOS) days with mean ``m`` and deviation ``s``, ``n`` live days, ``k``
the day of the test's year. Daily returns are net, fractions, float64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_engine import Float
from pipeline.validation.band import (
    PATHS,
    YEAR,
    EquityBand,
    equity_band,
    equity_of,
    promised_paths,
    too_little,
)

#: Share of paths that may exceed the limit within a year. It is smaller than the promise of 5 %:
#: few OOS days know their tails and dependence badly, and what was chosen for its OOS days promises
#: more than it keeps. docs/band.md has what it comes to.
LEVEL = 0.015
#: Exponent of the boundary: at 0 the limit is reached late but surely, near 1/2 early or never.
EARLINESS = 0.25
#: Days that the OOS variance counts for in that of the live days. Live days that are wilder than
#: the OOS days must fall further short: volatility comes and goes without the edge.
PRIOR_DAYS = 30


@dataclass(frozen=True)
class SequentialTest:
    """What live days say of the promise.

    ``unknown`` says why nothing can be said; then every other field is None. ``statistic`` is that
    of the last live day and ``limit`` what no more than `LEVEL` of the paths exceed in a year.
    ``p`` is the share of paths that fall as far below the promise within a year as the live days
    have in the worst of their years. ``alarm_day`` is the first live day, from 1, above the limit:
    there is one where ``p`` is at most `LEVEL`. Before the first live day ``statistic`` and ``p``
    are None.
    """

    unknown: str | None = None
    statistic: float | None = None
    limit: float | None = None
    p: float | None = None
    alarm_day: int | None = None


@dataclass(frozen=True, eq=False)
class LiveBand:
    """Where live days lie in what the OOS days promised (validation rules §8).

    Attributes
    ----------
    oos_days, live_days : int
    test : SequentialTest
    band : EquityBand or None
        From the day before the first live one, at least `YEAR` days; None where the test is
        unknown.
    equity : float64 array of shape (live_days,)
        Of the live days, a multiple of that before the first.
    position : float or None
        Share of the paths with a lower equity on the last live day; equal ones count half.
    """

    oos_days: int
    live_days: int
    test: SequentialTest
    band: EquityBand | None
    equity: Float
    position: float | None

    @property
    def left_path(self) -> bool | None:
        """Whether the equity was outside the band of whole paths on any day, above or below."""
        if self.band is None:
            return None
        n = self.live_days
        low, high = self.band.path_low[:n], self.band.path_high[:n]
        return bool(((self.equity < low) | (self.equity > high)).any())

    def figures(self) -> dict[str, Any]:
        """Return what an event keeps: plain values of the last live day, without the curves."""
        last = self.live_days - 1
        band = self.band if self.live_days else None
        return {
            "oos_days": self.oos_days,
            "live_days": self.live_days,
            "unknown": self.test.unknown,
            "equity": float(self.equity[last]) if self.live_days else None,
            "low": None if band is None else float(band.low[last]),
            "median": None if band is None else float(band.median[last]),
            "high": None if band is None else float(band.high[last]),
            "path_low": None if band is None else float(band.path_low[last]),
            "path_high": None if band is None else float(band.path_high[last]),
            "position": self.position,
            "left_path": self.left_path if self.live_days else None,
            "statistic": self.test.statistic,
            "limit": self.test.limit,
            "p": self.test.p,
            "alarm_day": self.test.alarm_day,
        }


def live_band(
    oos_daily: Float, live_daily: Float, seed: int, days: int = YEAR, n_paths: int = PATHS
) -> LiveBand:
    """Return the band of the days ahead and the sequential test of the live days so far.

    Parameters
    ----------
    oos_daily : float64 array of shape (T,)
        Of the stored configuration, as its record holds them.
    live_daily : float64 array of shape (n,)
        Of full UTC days since, of the same share of the account as ``oos_daily``. May be empty.
    seed : int
        Of the training. The same arrays and seed give the same answer.
    days : int
        Days ahead that the band covers, from the first live day on; never fewer than `YEAR`, nor
        than there are live days.
    n_paths : int
        B.

    Raises
    ------
    ValueError
        Where an array is not one-dimensional.
    """
    oos, live = _series("oos_daily", oos_daily), _series("live_daily", live_daily)
    reason = too_little(oos)
    if reason is None and not np.isfinite(live).all():
        reason = "a live day has no return"
    equity = equity_of(live)
    if reason is not None:
        return LiveBand(len(oos), len(live), SequentialTest(reason), None, equity, None)
    paths = promised_paths(oos, seed, max(days, YEAR, len(live)), n_paths)
    paths_equity = equity_of(paths)
    position = None
    if len(live):
        ahead = paths_equity[:, len(live) - 1]
        position = float((ahead < equity[-1]).mean() + (ahead == equity[-1]).mean() / 2.0)
    test = sequential_test(oos, live, paths[:, :YEAR])
    return LiveBand(len(oos), len(live), test, equity_band(paths_equity), equity, position)


def sequential_test(oos_daily: Float, live_daily: Float, paths: Float) -> SequentialTest:
    """Test live days against the paths that the OOS days promise (validation rules §8.4).

    Parameters
    ----------
    oos_daily : float64 array of shape (T,)
        With nothing that `pipeline.validation.band.too_little` objects to.
    live_daily : float64 array of shape (n,)
    paths : float64 array of shape (B, YEAR)
        `pipeline.validation.band.promised_paths` of ``oos_daily``.
    """
    largest = np.sort(shortfall(oos_daily, paths).max(axis=1))
    above = int(LEVEL * (len(largest) + 1)) - 1  # paths that may exceed the limit
    limit = float(largest[-1 - max(above, 0)])
    statistic, alarm, reached = None, None, len(largest)
    for start in range(0, len(live_daily), YEAR):
        path = shortfall(oos_daily, live_daily[None, start : start + YEAR])[0]
        beyond = np.flatnonzero(path > limit)
        if alarm is None and len(beyond):
            alarm = start + int(beyond[0]) + 1
        worse = len(largest) - int(np.searchsorted(largest, path.max(), side="left"))
        statistic, reached = float(path[-1]), min(reached, worse)
    p = None if statistic is None else (1.0 + reached) / (len(largest) + 1.0)
    return SequentialTest(None, statistic, limit, p, alarm)


def shortfall(oos_daily: Float, daily: Float) -> Float:
    """How far the days of a year fall short of the promise, in deviations, weighed by the day.

    ``(k m - sum y) / √(k v + k² s² / T) · (k / (T + k))^(1/2 - γ)`` for each day k of a row, with
    ``v = (30 s² + sum (y - m)²) / (30 + k)``. Were v equal to s², this would be the detector over
    the boundary of Horváth and others, ``√T (1 + k/T) (k / (T + k))^γ``.

    Parameters
    ----------
    oos_daily : float64 array of shape (T,)
    daily : float64 array of shape (B, H)

    Returns
    -------
    float64 array of shape (B, H)
    """
    n, day = len(oos_daily), np.arange(1, daily.shape[1] + 1)
    mean, variance = oos_daily.mean(), oos_daily.var(ddof=1)
    away = daily - mean
    own = (PRIOR_DAYS * variance + np.cumsum(away**2, axis=1)) / (PRIOR_DAYS + day)
    deviation = np.sqrt(day * own + day**2 * variance / n)
    short: Float = -np.cumsum(away, axis=1) / deviation * (day / (n + day)) ** (0.5 - EARLINESS)
    return short


def _series(name: str, values: Float) -> Float:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, and has the shape {array.shape}.")
    return array
