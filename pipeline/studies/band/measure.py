"""Watch invented strategies for a year and note when the alarm comes, and what the band held.

Every process has mean 0 and variance 1 before `with_edge` adds a mean. Arrays of days are float64
of shape (cases, days).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float
from pipeline.validation.band import (
    YEAR,
    EquityBand,
    equity_band,
    equity_of,
    promised_paths,
    too_little,
)
from pipeline.validation.decay import MIN_NEW_TRADES, PROFIT_SHARE, RECENT_DAYS, RECENT_SHARE
from pipeline.validation.sequential import sequential_test

#: Days ahead on which the band is asked what it held.
HORIZONS = (30, 90, YEAR)
#: Cases that share a stream of random numbers: what a worker does at once.
BLOCK = 50

#: Annualised Sharpe ratio of every process, and the deviation of its days.
SHARPE, DEVIATION = 2.0, 0.01
MEAN = SHARPE / np.sqrt(365.0)
#: Share of days with a return in `rare`, and how much a winner makes for a loser's 1.
ACTIVE, PAYOFF = 0.15, 2.5
#: Days before the first that is returned, so that it does not matter how a process begins.
_RUN_IN = 200

Process = Callable[[np.random.Generator, int, int], Float]


@dataclass(frozen=True, eq=False)
class Watched:
    """What came of cases; each array has one row a case that said something at all.

    ``alarm`` is int64 of shape (cases, changes): the day, or 0 where none came in a year. ``held``
    is bool of shape (cases, horizons + 1): whether the equity was within the band on that day, and
    within that of whole paths all year, where nothing changed; ``left`` of shape (cases, changes)
    whether it was outside the latter on any day. ``sharpe`` is the annualised ratio
    out of sample. ``decay`` is the day of the first sign of validation rules §6.3 where nothing
    changed, 0 for none. ``silent`` counts the cases of which nothing could be said.
    """

    alarm: NDArray[np.int64]
    held: NDArray[np.bool_]
    left: NDArray[np.bool_]
    sharpe: Float
    decay: NDArray[np.int64]
    silent: int


def watch(process: str, oos_days: int, seed: int, n_paths: int, cases: int = BLOCK) -> Watched:
    """Draw cases of a process, and watch each for a year after every change.

    The live days of a case are the same noise after every change.
    """
    rng = np.random.default_rng((seed, list(PROCESSES).index(process), oos_days))
    noise = PROCESSES[process](rng, cases, oos_days + YEAR)
    alarm, held, left, sharpe, decay = [], [], [], [], []
    for case, row in enumerate(noise):
        oos = with_edge(row[None, :oos_days], 1.0)[0]
        if too_little(oos) is not None:
            continue
        paths = promised_paths(oos, seed * cases + case, YEAR, n_paths)
        live = {change: changed(row[None, oos_days:], change)[0] for change in CHANGES}
        tests = [sequential_test(oos, daily, paths) for daily in live.values()]
        alarm.append([test.alarm_day or 0 for test in tests])
        band = equity_band(equity_of(paths))
        equity = [equity_of(daily) for daily in live.values()]
        held.append(_coverage(band, equity[0]))
        left.append([_left(band, curve) for curve in equity])
        sharpe.append(oos.mean() / oos.std(ddof=1) * np.sqrt(365.0))
        decay.append(first_sign_of_decay(oos, live["nothing"]))
    return Watched(
        np.array(alarm, np.int64).reshape(-1, len(CHANGES)),
        np.array(held, np.bool_).reshape(-1, len(HORIZONS) + 1),
        np.array(left, np.bool_).reshape(-1, len(CHANGES)),
        np.array(sharpe, np.float64),
        np.array(decay, np.int64),
        cases - len(alarm),
    )


def together(parts: list[Watched]) -> Watched:
    """Join what came of several blocks of cases."""
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Watched)
        if field.name != "silent"
    }
    return Watched(**joined, silent=sum(part.silent for part in parts))


def _coverage(band: EquityBand, equity: Float) -> list[bool]:
    days = np.array(HORIZONS) - 1
    each = (band.low[days] <= equity[days]) & (equity[days] <= band.high[days])
    return [*each.tolist(), not _left(band, equity)]


def _left(band: EquityBand, equity: Float) -> bool:
    return bool(((equity < band.path_low) | (equity > band.path_high)).any())


def first_sign_of_decay(oos: Float, live: Float) -> int:
    """First live day on which validation rules §6.3 calls DECAY, looked at every day; 0 for none.

    A day with a return counts as one trade. `pipeline.validation.decay.reassess`, all days at once.
    """
    n, whole = len(oos), np.concatenate((oos, live))
    day = np.arange(1, len(live) + 1)
    lifetime = _sharpe(whole, np.zeros(len(live), np.int64), n + day)
    recent = _sharpe(whole, n + day - RECENT_DAYS, n + day)
    before = np.log1p(oos).mean()
    after = np.cumsum(np.log1p(live)) / day
    applies = (np.cumsum(live != 0.0) >= MIN_NEW_TRADES) & (lifetime > 0.0)
    less = (np.expm1(before) > 0.0) & (np.expm1(after) < PROFIT_SHARE * np.expm1(before))
    signs = np.flatnonzero(applies & (less | (recent < RECENT_SHARE * lifetime)))
    return int(signs[0]) + 1 if len(signs) else 0


def _sharpe(daily: Float, start: NDArray[np.int64], end: NDArray[np.int64]) -> Float:
    """Annualised Sharpe ratio of the days from ``start`` to before ``end``, one for each pair."""
    first, second = (np.concatenate(([0.0], np.cumsum(daily**power))) for power in (1, 2))
    n = end - start
    mean = (first[end] - first[start]) / n
    variance = np.maximum((second[end] - second[start]) - n * mean**2, 0.0) / (n - 1)
    with np.errstate(all="ignore"):
        ratio: Float = np.where(variance > 1e-18, mean / np.sqrt(variance), 0.0) * np.sqrt(365.0)
    return ratio


def normal(rng: np.random.Generator, cases: int, days: int) -> Float:
    """Draw independent normal days."""
    return rng.standard_normal((cases, days))


def student(rng: np.random.Generator, cases: int, days: int) -> Float:
    """Draw independent days of Student's t with 3 degrees of freedom."""
    daily: Float = rng.standard_t(3.0, (cases, days)) / np.sqrt(3.0)
    return daily


def garch(rng: np.random.Generator, cases: int, days: int) -> Float:
    """Draw a GARCH(1,1) with a persistence of 0.98 and t(5) innovations."""
    reaction, memory = 0.10, 0.88
    shock = rng.standard_t(5.0, (_RUN_IN + days, cases)) / np.sqrt(5.0 / 3.0)
    daily, variance = np.empty_like(shock), np.ones(cases)
    for day, now in enumerate(shock):
        daily[day] = np.sqrt(variance) * now
        variance = 1.0 - reaction - memory + reaction * daily[day] ** 2 + memory * variance
    return np.ascontiguousarray(daily[_RUN_IN:].T)


def rare(rng: np.random.Generator, cases: int, days: int) -> Float:
    """Trade on 15 % of days only: a stop that costs 1, a target that makes 2.5."""
    won = rng.random((cases, days)) < 1.0 / (1.0 + PAYOFF)
    size = np.where(won, PAYOFF, -1.0) * (1.0 + 0.2 * rng.standard_normal((cases, days)))
    unit = np.sqrt(ACTIVE * PAYOFF * 1.04)  # E[size²] = 2.5 (1 + 0.2²)
    return np.where(rng.random((cases, days)) < ACTIVE, size / unit, 0.0)


def autocorrelated(rng: np.random.Generator, cases: int, days: int) -> Float:
    """Draw normal days, each with a correlation of 0.3 to the day before."""
    shock = rng.standard_normal((_RUN_IN + days, cases)) * np.sqrt(1.0 - 0.3**2)
    daily = np.empty_like(shock)
    last = np.zeros(cases)
    for day, now in enumerate(shock):
        daily[day] = last = 0.3 * last + now
    return np.ascontiguousarray(daily[_RUN_IN:].T)


PROCESSES: Mapping[str, Process] = {
    "normal": normal,
    "student": student,
    "garch": garch,
    "rare": rare,
    "autocorrelated": autocorrelated,
}


def with_edge(daily: Float, edges: float, spread: float = 1.0) -> Float:
    """Give days a mean of ``edges`` times the promised one, and ``spread`` times their deviation.

    A day without a trade stays at 0; the others carry the mean of all.
    """
    active = daily != 0.0
    share = ACTIVE if not active.all() else 1.0
    return DEVIATION * np.where(active, spread * daily + edges * MEAN / share, 0.0)


#: What becomes of the edge in the first live year: edges, spread, first day of the change.
CHANGES: Mapping[str, tuple[float, float, int]] = {
    "nothing": (1.0, 1.0, 0),
    "edge gone": (0.0, 1.0, 0),
    "edge reversed": (-1.0, 1.0, 0),
    "edge gone after half a year": (0.0, 1.0, 182),
    "volatility doubled": (1.0, 2.0, 0),
}


def changed(daily: Float, change: str) -> Float:
    """Return live days (of mean 0, variance 1) with the edge that is left after a change."""
    edges, spread, day = CHANGES[change]
    before, after = with_edge(daily, 1.0), with_edge(daily, edges, spread)
    return np.concatenate((before[..., :day], after[..., day:]), axis=-1)
