"""Gather evidence for and against luck after the walk-forward (validation rules §3 to §5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import DAYS_PER_YEAR, Advance, Backend, Float, array_module
from pipeline.cli.console import Progress
from pipeline.config import PLATEAU_LIMIT, LuckTests
from pipeline.search import Evaluator
from pipeline.search.backends import workers
from pipeline.search.loop import SearchSettings
from pipeline.validation.bootstrap import REALITY_CHECK, generator, mean_block, stationary_indices
from pipeline.validation.overfitting import BlockSums
from pipeline.validation.reality_check import MaxSharpe, RealityCheck
from pipeline.validation.statistics import deflated_sharpe_ratio, implied_trials, moments
from pipeline.validation.surrogates import Kind, SurrogateSearch, SurrogateTest, against_surrogates
from pipeline.validation.whole_history import WholeHistory, search_whole_history
from pipeline.validation.windows import Days

#: Blocks of the CSCV (validation rules §3.4).
CSCV_BLOCKS = 10
#: Most combinations whose daily returns are held at a time, and copies of them that a block makes.
MOST_HELD, COPIES = 8192, 4


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the whole-history search and the surrogates say.

    ``statistics`` by their names in validation rules §3; ``search`` describes the pass itself;
    ``reality_check`` and ``surrogates`` hold the distributions of luck.
    """

    statistics: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    reality_check: RealityCheck | None = None
    surrogates: dict[Kind, SurrogateTest] = field(default_factory=dict)


class LuckPlan(NamedTuple):
    """Tests against luck to make: the reality check, and kinds of surrogates."""

    reality_check: bool
    surrogates: tuple[Kind, ...]


def gather(
    evaluator: Evaluator,
    days: Days,
    settings: SearchSettings,
    number: int,
    luck: LuckTests,
    tests: LuckPlan,
    threads: int | None,
    progress: Progress,
) -> Evidence:
    """Search the whole history and hold it against luck.

    Parameters
    ----------
    number : int
        Of this search among those of the run: it gives the draws of a method that draws.
    tests : LuckPlan
        Those to make; with none of them nothing is searched.
    threads : int or None
        Of the reality check, and processes that search surrogates; None for one a core.

    Returns
    -------
    Evidence
        Without any statistic for a grid of more than 10⁷ combinations, or one too large to hold.
    """
    space = evaluator.space
    held = settings.method == "grid" or evaluator.whole_fits
    too_large = space.discrete and (space.size > PLATEAU_LIMIT or not held)
    if too_large or not (tests.reality_check or tests.surrogates):
        return Evidence()
    size = space.size if space.discrete else settings.budget
    with progress("whole history", size) as advance:
        history = search_whole_history(evaluator, days, settings, number, advance)
    evidence = Evidence(search=_description(history, None))
    if history.best is None:
        return evidence
    if tests.reality_check:
        with progress("reality check", history.admissible) as advance:
            evidence = _of_columns(history, luck, settings.seed, threads, advance)
    if not tests.surrogates or history.top is None:
        return evidence
    search = SurrogateSearch.of(evaluator, settings, number)
    return _with_surrogates(
        evidence, history.top, search, evaluator.backend, luck, tests.surrogates, threads, progress
    )


def _of_columns(
    history: WholeHistory, luck: LuckTests, seed: int, threads: int | None, advance: Advance
) -> Evidence:
    """Reality check, CSCV and deflated Sharpe ratio over one stream of daily returns."""
    winner = history.best_active()
    if winner is None:
        return Evidence(search=_description(history, None))
    block = mean_block(winner)
    rng, xp = generator(seed, REALITY_CHECK), array_module(history.evaluator.backend)
    cscv = BlockSums(history.n_days, CSCV_BLOCKS)
    days = stationary_indices(history.n_days, history.n_days, luck.resamples, block, rng)
    with MaxSharpe(days, block, threads, xp) as check:
        for columns in history.columns(_block(luck, history.n_days), advance):
            check.add(columns)
            cscv.add(columns)
        reality, overfit = check.result(), cscv.result()
    statistics = {
        "reality_check_p": reality.p_value,
        "pbo": overfit.pbo,
        "p_oos_loss": overfit.p_oos_loss,
        "oos_slope": overfit.slope,
        "deflated_sharpe_ratio": _deflated(history, winner, reality),
    }
    return Evidence(statistics, _description(history, reality), reality)


def _block(luck: LuckTests, n_days: int) -> int:
    """Count the combinations whose returns fit the memory allowed."""
    bytes_each = n_days * np.dtype(np.float64).itemsize * COPIES
    return max(1, min(MOST_HELD, int(luck.memory_gb * 2**30) // bytes_each))


def _deflated(
    history: WholeHistory, winner: Float, reality: RealityCheck
) -> dict[str, float] | None:
    """Deflated Sharpe ratio of the best combination, as a band (validation rules §3.3).

    With N = all admissible combinations, and with the N whose expected maximum is the mean of the
    bootstrap maxima. The variance of the trials is that of a Sharpe ratio without an edge,
    1 / (T - 1): what the trials themselves show is mostly what costs take from those that trade
    often, and with an edge it is the edge.
    """
    own, n_days = moments(winner), len(winner)
    maxima = reality.maxima[np.isfinite(reality.maxima)]
    if not len(maxima):
        return None
    variance = 1.0 / (n_days - 1)
    effective = implied_trials(float(maxima.mean()) / math.sqrt(variance))
    low, high = (
        deflated_sharpe_ratio(own.sharpe, n_days, own.skew, own.kurtosis, n_trials, variance)
        for n_trials in sorted((float(history.admissible), effective), reverse=True)
    )
    return {"low": low, "high": high} if math.isfinite(low) and math.isfinite(high) else None


def _description(history: WholeHistory, reality: RealityCheck | None) -> dict[str, Any]:
    """Describe the pass: what was searched, and what the check was made of."""
    description = {
        "days": history.n_days,
        "admissible": history.admissible,
        "best_sharpe_ratio": history.best,
        "top_sharpe_ratio": history.top,
    }
    if reality is not None and reality.statistic is not None:
        description |= {
            "columns": reality.n_columns,
            "best_active_sharpe_ratio": reality.statistic * math.sqrt(DAYS_PER_YEAR),
            "mean_block": reality.mean_block,
            "resamples": len(reality.maxima),
        }
    return description


def _with_surrogates(
    evidence: Evidence,
    top: float,
    search: SurrogateSearch,
    backend: Backend,
    luck: LuckTests,
    kinds: Sequence[Kind],
    threads: int | None,
    progress: Progress,
) -> Evidence:
    """Add the test on surrogate candles: the larger p decides (validation rules §5.6)."""
    count = luck.most_surrogates
    with progress("surrogates", len(kinds) * count) as advance:
        tests = against_surrogates(
            search, top, count, backend, workers(backend.name, threads), advance, kinds
        )
    statistics = evidence.statistics | {"surrogate_p": max(t.p_value for t in tests.values())}
    drawn = {kind: len(test.top) for kind, test in tests.items()}
    described = evidence.search | {"surrogates": drawn}
    return Evidence(statistics, described, evidence.reality_check, tests)
