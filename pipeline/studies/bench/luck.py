"""Time the tests against luck: reality check, CSCV, surrogates, and arch beside them."""

import importlib.util
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np

from gpu_engine import Candles, Float, Int32
from pipeline.cli.console import Console
from pipeline.search.backends import named_backend
from pipeline.studies.bench.training import Training
from pipeline.training.provenance import peak_memory
from pipeline.validation.bootstrap import stationary_indices
from pipeline.validation.luck import MOST_HELD
from pipeline.validation.overfitting import BlockSums
from pipeline.validation.reality_check import MaxSharpe
from pipeline.validation.surrogates import SurrogateSearch, against_surrogates
from pipeline.validation.whole_history import search_whole_history
from pipeline.validation.windows import whole_days

#: The size that the targets are for.
COMBINATIONS, DAYS, RESAMPLES, CSCV_BLOCKS = 201_600, 365, 1000, 10
SURROGATES = 99
#: Columns that `arch` is given: it holds columns x resamples x 3 doubles.
ARCH_COLUMNS = 1000
#: Seconds on two cores, and bytes beyond the candles.
TARGETS = {"reality_check": 6.0, "cscv": 3.0, "surrogates": 60.0}
TARGET_PEAK = 1.5e9


def measure_luck(training: Training, candles: Candles, console: Console) -> dict[str, Any]:
    """Time everything; the agreement with a plain loop and with `arch` comes first."""
    agreement = _agreement()
    console.note("timing reality check and CSCV on independent columns")
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        independent = pool.submit(_independent).result()
    console.note("timing the same on this market's grid")
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        market = pool.submit(_market, training, candles).result()
    console.note("timing surrogates")
    return {
        "agreement": agreement,
        "independent": independent,
        "market": market,
        "surrogates": _surrogates(training, candles),
        "arch": _beside_arch(),
    }


def _agreement() -> float:
    """Largest difference between matrix products and a plain loop over resamples in float64."""
    returns = np.random.default_rng(0).standard_normal((DAYS, 200)) * 0.02
    indices = np.random.default_rng(1).integers(DAYS, size=(99, DAYS))
    with MaxSharpe(indices, 1.0) as check:
        check.add(returns.T)
        maxima = check.result().maxima
    own = _sharpe(returns)
    plain = [np.max(_sharpe(returns[index]) - own) for index in indices]
    difference = float(np.abs(maxima - plain).max())
    if difference > 1e-5:
        raise AssertionError(f"the reality check is {difference:.2g} off its definition")
    return difference


def _sharpe(returns: Float) -> Float:
    ratio: Float = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    return ratio


def _noise(columns: int) -> Iterator[Float]:
    rng = np.random.default_rng(0)
    for first in range(0, columns, MOST_HELD):
        yield rng.standard_normal((min(MOST_HELD, columns - first), DAYS)) * 0.02


def _resamples(n_days: int) -> Int32:
    return stationary_indices(n_days, n_days, RESAMPLES, 1.0, np.random.default_rng(0))


def _independent() -> dict[str, float]:
    """Every combination a column of its own: the most that a grid of this size can be."""
    cscv = BlockSums(DAYS, CSCV_BLOCKS)
    before, seconds = peak_memory(), {"reality_check": 0.0, "cscv": 0.0}
    with MaxSharpe(_resamples(DAYS), 1.0) as check:
        for columns in _noise(COMBINATIONS):
            seconds["reality_check"] += _timed(partial(check.add, columns))
        seconds["reality_check"] += _timed(check.result)
    for columns in _noise(COMBINATIONS):
        seconds["cscv"] += _timed(partial(cscv.add, columns))
    seconds["cscv"] += _timed(cscv.result)
    return seconds | {"columns": COMBINATIONS, "peak_bytes": peak_memory() - before}


def _market(training: Training, candles: Candles) -> dict[str, float]:
    """Run the pass as a training run makes it: search, daily returns, distinct active columns."""
    days = whole_days(candles)
    evaluator = training.setting.evaluator(candles, named_backend("auto"))
    settings = replace(training.search, method="grid")
    search_whole_history(evaluator, days, settings, 0, _ignore)
    before, start = peak_memory(), perf_counter()
    found = search_whole_history(evaluator, days, settings, 0, _ignore)
    searched = perf_counter()
    cscv = BlockSums(days.count, CSCV_BLOCKS)
    with MaxSharpe(_resamples(days.count), 1.0) as check:
        for columns in found.columns(MOST_HELD, _ignore):
            check.add(columns)
            cscv.add(columns)
        columns_tested = check.result().n_columns
    cscv.result()
    return {
        "search": searched - start,
        "check_and_cscv": perf_counter() - searched,
        "admissible": found.admissible,
        "columns": columns_tested,
        "peak_bytes": peak_memory() - before,
    }


def _surrogates(training: Training, candles: Candles) -> dict[str, float]:
    """Repeat the whole-history search on surrogates; none ends the drawing. Mean of both kinds."""
    backend = named_backend("auto")
    evaluator = training.setting.evaluator(candles, backend)
    search = SurrogateSearch.of(evaluator, replace(training.search, method="grid"), 0)
    workers = os.cpu_count() or 1
    start = perf_counter()
    tests = against_surrogates(search, math.inf, SURROGATES, backend, workers, _ignore)
    each = (perf_counter() - start) / len(tests)
    return {"seconds": each, "surrogates": SURROGATES, "workers": workers}


def _beside_arch() -> dict[str, float] | None:
    """Time White's check of means in `arch`; None where the extra dev is not installed."""
    if importlib.util.find_spec("arch") is None:
        return None
    from arch.bootstrap import SPA  # for development only

    returns = next(_noise(ARCH_COLUMNS)).T
    spa = SPA(np.zeros(DAYS), -returns, block_size=1, reps=RESAMPLES, seed=0)

    def ours() -> None:
        with MaxSharpe(_resamples(DAYS), 1.0) as check:
            check.add(returns.T)
            check.result()

    return {"columns": ARCH_COLUMNS, "spa": _timed(spa.compute), "ours": _timed(ours)}


def _timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _ignore(done: int) -> None:
    pass


def print_luck(console: Console, report: dict[str, Any]) -> None:
    """Print what `measure_luck` measured."""
    independent, market, arch = report["independent"], report["market"], report["arch"]
    console.print(
        f"agreement with a plain loop in float64: {report['agreement']:.1e} in a Sharpe ratio a day"
    )
    rows = [
        (name, f"{independent[key]:.2f}", f"{TARGETS[key]:g}")
        for name, key in (("reality check", "reality_check"), ("CSCV, S = 10", "cscv"))
    ]
    rows.append(
        (
            f"{report['surrogates']['surrogates']} surrogate searches",
            f"{report['surrogates']['seconds']:.1f}",
            f"{TARGETS['surrogates']:g}",
        )
    )
    console.table(
        f"{COMBINATIONS:,} independent columns x {DAYS} days x {RESAMPLES:,} resamples, seconds",
        ("test", "seconds", "target"),
        rows,
    )
    console.print(
        f"peak memory beyond the start: {independent['peak_bytes'] / 1e6:.0f} MB"
        f" (target {TARGET_PEAK / 1e6:.0f})"
    )
    console.print(
        f"this market: {market['admissible']:,} admissible, {market['columns']:,} distinct and"
        f" active; search {market['search']:.2f} s, returns + check + CSCV"
        f" {market['check_and_cscv']:.2f} s, {market['peak_bytes'] / 1e6:.0f} MB"
    )
    if arch is None:
        console.print("arch is not installed (extra dev): nothing to compare with")
        return
    console.print(
        f"{arch['columns']:,} columns: arch.bootstrap.SPA {arch['spa']:.2f} s (means, not Sharpe"
        f" ratios), ours {arch['ours']:.2f} s"
    )
