"""Evidence gathered from one market (validation rules §3 to §5)."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.validation import LuckTests
from pipeline.search import evaluator as evaluators
from pipeline.search.loop import SearchSettings
from pipeline.validation import luck as module
from pipeline.validation.bootstrap import REALITY_CHECK, generator, mean_block, stationary_indices
from pipeline.validation.luck import LuckPlan, gather
from pipeline.validation.overfitting import probability_of_backtest_overfitting
from pipeline.validation.reality_check import MaxSharpe
from pipeline.validation.statistics import deflated_sharpe_ratio, moments
from pipeline.validation.whole_history import search_whole_history
from pipeline.validation.windows import whole_days
from support.parameters import DEPTH, SIZE, TARGET
from support.spaces import coarse_market, small_space
from support.validation import LUCK

SETTINGS = SearchSettings("grid", 0, 7, "net_profit", "plateau", 5, seed=2)
GRIDS = {
    DEPTH: (0.001, 0.004, 0.008),
    SIZE: (0.25, 1.0),
    TARGET: (1.0, 2.0, 3.0),
}


class Progress:
    """Remembers what was advanced."""

    def __init__(self):
        self.done = {}

    @contextmanager
    def __call__(self, stage, total):
        heard = []
        yield heard.append
        self.done[stage] = (sum(heard), total)


CHECK = LuckPlan(reality_check=True, surrogates=())


def gathered(settings=SETTINGS, progress=None, backend="numba", tests=CHECK, **luck):
    evaluator = coarse_market(small_space(**GRIDS), n_bars=40 * 288, backend=backend)
    config = LuckTests(**{**LUCK, **luck})
    days = whole_days(evaluator.candles)
    found = gather(evaluator, days, settings, 3, config, tests, 1, progress or Progress())
    return evaluator, days, found


@pytest.fixture(scope="module")
def whole():
    return gathered()


def test_the_statistics_are_those_of_the_whole_matrix(whole):
    evaluator, days, found = whole
    search = search_whole_history(evaluator, days, SETTINGS, 3, lambda n: None)
    columns = np.concatenate(list(search.columns(64, lambda n: None)))
    winner = search.best_active()
    rng = generator(2, REALITY_CHECK)
    block = mean_block(winner)
    indices = stationary_indices(days.count, days.count, 99, block, rng)
    with MaxSharpe(indices, block) as check:
        check.add(columns)
        reality = check.result()
    cscv = probability_of_backtest_overfitting(columns.T, 10)
    assert found.statistics["reality_check_p"] == reality.p_value
    assert found.reality_check.maxima.tobytes() == reality.maxima.tobytes()
    assert found.statistics["pbo"] == cscv.pbo
    assert found.statistics["p_oos_loss"] == cscv.p_oos_loss
    assert found.statistics["oos_slope"] == pytest.approx(cscv.slope)
    assert found.search["columns"] == len(columns)
    assert found.search["best_sharpe_ratio"] == search.best


def test_the_deflated_sharpe_ratio_is_a_band_over_the_number_of_trials(whole):
    evaluator, days, found = whole
    search = search_whole_history(evaluator, days, SETTINGS, 3, lambda n: None)
    own = moments(search.best_active())
    all_of_them = deflated_sharpe_ratio(
        own.sharpe, days.count, own.skew, own.kurtosis, search.admissible, 1 / (days.count - 1)
    )
    band = found.statistics["deflated_sharpe_ratio"]
    assert all_of_them in (pytest.approx(band["low"]), pytest.approx(band["high"]))
    assert 0.0 <= band["low"] <= band["high"] <= 1.0


def test_progress_covers_the_search_and_the_check():
    progress = Progress()
    _, _, found = gathered(progress=progress)
    assert progress.done["whole history"] == (18, 18)
    assert progress.done["reality check"] == (found.search["admissible"],) * 2


@pytest.mark.parametrize("luck", [{"memory_gb": 1e-6}, {"memory_gb": 4.0}])
def test_memory_changes_nothing_but_memory(whole, luck):
    _, _, found = gathered(**luck)
    assert found.statistics == whole[2].statistics


def test_backends_agree(whole):
    _, _, found = gathered(backend="numpy")
    for name, value in whole[2].statistics.items():
        assert found.statistics[name] == pytest.approx(value, rel=1e-9)


def test_a_seed_is_a_result(whole):
    _, _, other = gathered(replace(SETTINGS, seed=3))
    ours = whole[2].reality_check.maxima
    assert gathered()[2].reality_check.maxima.tobytes() == ours.tobytes()
    assert other.reality_check.maxima.tobytes() != ours.tobytes()


def test_surrogates_come_without_the_reality_check():
    progress = Progress()
    tests = LuckPlan(reality_check=False, surrogates=("permuted", "bar_flipped"))
    _, _, found = gathered(progress=progress, tests=tests)
    assert set(found.statistics) == {"surrogate_p"}
    assert found.reality_check is None
    assert found.statistics["surrogate_p"] == max(t.p_value for t in found.surrogates.values())
    assert progress.done["surrogates"] == (40, 40)
    assert set(found.search["surrogates"]) == set(found.surrogates) <= {"permuted", "bar_flipped"}


def test_no_tests_search_nothing():
    progress = Progress()
    _, _, found = gathered(progress=progress, tests=LuckPlan(False, ()))
    assert (found.statistics, found.search, progress.done) == ({}, {}, {})


def test_nothing_admissible_leaves_every_statistic_undefined():
    _, _, found = gathered(replace(SETTINGS, min_trades=10_000))
    assert (found.statistics, found.reality_check) == ({}, None)
    assert found.search["admissible"] == 0


@pytest.mark.parametrize("method", ["grid", "random"])
def test_a_grid_too_large_to_hold_is_not_tested(monkeypatch, method):
    monkeypatch.setattr(module, "PLATEAU_LIMIT", 17)
    assert gathered(replace(SETTINGS, method=method, budget=5))[2].statistics == {}


@pytest.mark.parametrize(("method", "tested"), [("grid", True), ("random", False)])
def test_a_grid_whose_outcomes_take_more_than_the_bound_is_tested_where_it_is_searched(
    monkeypatch, method, tested
):
    monkeypatch.setattr(evaluators, "WHOLE_BYTES", 0)
    found = gathered(replace(SETTINGS, method=method, budget=5))[2]
    assert bool(found.statistics) == tested
