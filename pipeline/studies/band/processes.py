"""Invented daily returns of strategies whose edge is known, and what may become of the edge.

Every process has mean 0 and variance 1 before `with_edge` adds a mean. Arrays are float64 of shape
(cases, days).
"""

from collections.abc import Callable, Mapping

import numpy as np

from gpu_engine import Float

#: Annualised Sharpe ratio of every process, and the deviation of its days.
SHARPE, DEVIATION = 2.0, 0.01
MEAN = SHARPE / np.sqrt(365.0)
#: Share of days with a return in `rare`, and how much a winner makes for a loser's 1.
ACTIVE, PAYOFF = 0.15, 2.5
#: Days before the first that is returned, so that it does not matter how a process begins.
_RUN_IN = 200

Process = Callable[[np.random.Generator, int, int], Float]


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
