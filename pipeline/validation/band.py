"""Paths that live days may take if they come from the out-of-sample process (validation rules §8).

A path is a year that the stationary bootstrap draws from the out-of-sample (OOS) days, seen from an
OOS series that the same bootstrap draws: it is measured in that series' own mean and deviation, and
put back in the real ones. So the paths are as wide as both what days may do and what so few OOS
days leave unknown about their mean and spread.

Symbols: ``T`` OOS days, ``B`` paths, ``H`` days ahead. Daily returns are net, fractions, float64.
"""

from dataclasses import dataclass

import numpy as np

from gpu_engine import Float, deviation_of
from pipeline.validation.bootstrap import LIVE, generator, mean_block, stationary_indices

#: Days of one drawing of paths, and of one sequential test.
YEAR = 365
PATHS = 2_000
#: Fewer OOS days, or fewer of them with a return other than 0, promise nothing that can be held
#: against live days.
FEWEST_DAYS, FEWEST_ACTIVE = 60, 10
#: Share of the paths that a band holds: on each day, or all days long.
COVERAGE = 0.9
LOW = (1.0 - COVERAGE) / 2.0


@dataclass(frozen=True, eq=False)
class EquityBand:
    """Equity of the days ahead, as a multiple of the equity before the first of them.

    Every array is float64 of shape (H,), the first value at the end of the first day. ``low`` and
    ``high`` are the 5 % and 95 % quantiles of each day by itself. ``path_low`` and ``path_high``
    are wider: nine in ten paths stay between them on all H days.
    """

    low: Float
    median: Float
    high: Float
    path_low: Float
    path_high: Float


def too_little(oos_daily: Float) -> str | None:
    """Say why OOS days promise nothing that can be held against live days; None where they do."""
    if not np.isfinite(oos_daily).all():
        return "a day out of sample has no return"
    if len(oos_daily) < FEWEST_DAYS:
        return f"{len(oos_daily)} days out of sample; {FEWEST_DAYS} are needed"
    active = int(np.count_nonzero(oos_daily))
    if active < FEWEST_ACTIVE:
        return f"{active} days out of sample with a return; {FEWEST_ACTIVE} are needed"
    if not deviation_of(oos_daily) > 0.0:
        return "the days out of sample do not vary"
    return None


def block_of(oos_daily: Float) -> float:
    """Mean block length of the paths, days: the longer of those of the returns and of their sizes.

    Calm and wild weeks show in the sizes alone (validation rules §8.2).
    """
    return max(mean_block(oos_daily), mean_block(np.abs(oos_daily - oos_daily.mean())))


def promised_paths(oos_daily: Float, seed: int, days: int = YEAR, n_paths: int = PATHS) -> Float:
    """Daily returns of paths that go on from the OOS days (validation rules §8.2).

    Parameters
    ----------
    oos_daily : float64 array of shape (T,)
        With nothing that `too_little` objects to.
    seed : int
    days : int
        H. Each year draws random numbers of its own: what a day holds does not depend on H.
    n_paths : int
        B.

    Returns
    -------
    float64 array of shape (B, H)
        Paths whose own OOS series does not vary are left out, so B may be smaller by a few.
    """
    n, block = len(oos_daily), block_of(oos_daily)
    own = oos_daily[stationary_indices(n, n, n_paths, block, generator(seed, LIVE, 0))]
    mean, deviation = own.mean(axis=1), own.std(axis=1, ddof=1)
    varies = deviation > 1e-9 * oos_daily.std()
    mean, deviation = mean[varies, None], deviation[varies, None]
    years = []
    for year in range(1, -(-days // YEAR) + 1):
        drawn = stationary_indices(n, YEAR, n_paths, block, generator(seed, LIVE, year))
        years.append((oos_daily[drawn[varies]] - mean) / deviation)
    unit = np.concatenate(years, axis=1)[:, :days]
    paths: Float = oos_daily.mean() + oos_daily.std(ddof=1) * unit
    return paths


def equity_of(daily: Float) -> Float:
    """Equity after each day as a multiple of that before the first; 0 from ruin on.

    ``daily`` is a float64 array of shape (..., H).
    """
    growth = np.maximum(1.0 + daily, 0.0)  # an account cannot fall below nothing
    equity: Float = growth.cumprod(axis=-1)
    return equity


def equity_band(equity: Float) -> EquityBand:
    """Band of the equity of paths (validation rules §8.3).

    The band of whole paths has on each day the same share of paths outside, and that share is the
    largest that leaves `COVERAGE` of the paths inside on all days: the quantile-based simultaneous
    band of Montiel Olea & Plagborg-Møller (2019), Journal of Applied Econometrics 34(1), 1-17.

    Parameters
    ----------
    equity : float64 array of shape (B, H)
    """
    by_day = np.ascontiguousarray(equity.T)
    order = np.argsort(by_day, axis=1, kind="stable")
    ordered = np.take_along_axis(by_day, order, axis=1)
    n_paths = by_day.shape[1]
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(n_paths), order.shape), axis=1)
    to_an_end = np.minimum(rank, n_paths - 1 - rank).min(axis=0)  # on a path's worst day
    out = int(np.sort(to_an_end)[int((1.0 - COVERAGE) * n_paths)])
    low, median, high = (_quantile(ordered, q) for q in (LOW, 0.5, 1.0 - LOW))
    return EquityBand(low, median, high, ordered[:, out], ordered[:, n_paths - 1 - out])


def _quantile(ordered: Float, share: float) -> Float:
    """Quantile of each row of ordered values: `numpy.quantile`, which would order them again."""
    place = share * (ordered.shape[1] - 1)
    below = int(place)
    part = place - below
    above = min(below + 1, ordered.shape[1] - 1)
    value: Float = (1.0 - part) * ordered[:, below] + part * ordered[:, above]
    return value
