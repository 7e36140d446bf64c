"""The search repeated on candles without an edge (validation rules §5)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine import Costs, RiskLimits
from pipeline.market_data.surrogate_candles import SURROGATES
from pipeline.search.evaluator import Evaluator
from pipeline.search.loop import SearchSettings
from pipeline.validation import surrogates
from pipeline.validation.bootstrap import generator
from pipeline.validation.surrogates import (
    KINDS,
    SurrogateSearch,
    against_surrogates,
    kinds_for,
    sequential_p,
)
from pipeline.validation.whole_history import search_whole_history, top_sharpe
from pipeline.validation.windows import whole_days
from support.backends import named
from support.coarse import coarse_candles
from support.parameters import DEPTH, STOP
from support.spaces import small_space

SETTINGS = SearchSettings("grid", 0, 10, "net_profit", "plateau", 5, seed=4)
NUMBA = named("numba")


def search_on(settings=SETTINGS, **space):
    candles = coarse_candles(np.random.default_rng(1), 4000, hunt_share=0.02)
    space = small_space(**(space or {DEPTH: (0.001, 0.008), STOP: (0.5, 2.0)}))
    risk = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None)
    return SurrogateSearch(candles, space, Costs(), risk, settings, number=9)


def test_four_at_least_as_good_end_the_drawing():
    draws = iter([0.0, 1.0] * 100)
    test = sequential_p(1.0, draws, 399)
    assert test.p_value == 4 / 8
    assert len(test.top) == 8


def test_all_drawn_counts_the_candles_themselves():
    test = sequential_p(2.0, iter([0.0] * 96 + [2.0, 3.0, -1.0]), 99)
    assert test.p_value == 3 / 100
    assert len(test.top) == 99


@given(st.lists(st.floats(-3, 3), min_size=50, max_size=50), st.floats(-3, 3))
def test_a_sequential_p_is_the_full_one_or_above_a_stop(draws, observed):
    test = sequential_p(observed, iter(draws), 50)
    reached = np.count_nonzero(np.array(draws) >= observed)
    if reached < 4:
        assert test.p_value == (1 + reached) / 51
    else:
        assert test.p_value == 4 / len(test.top)
        assert 0.08 <= test.p_value <= 1.0


def test_the_sequential_p_keeps_its_size():
    """P(p < 0.05) where the real candles are one of many alike: 4 of the first 81 ranks."""
    rng = np.random.default_rng(3)
    p = [sequential_p(x[0], iter(x[1:]), 99).p_value for x in rng.random((4000, 100))]
    share = np.mean(np.array(p) < 0.05)
    assert abs(share - 4 / 81) < 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_a_surrogate_on_which_nothing_trades_says_nothing_against_luck():
    assert sequential_p(2.0, iter([-np.inf] * 99), 99).p_value == 1.0
    assert sequential_p(2.0, iter([0.0] * 9 + [-np.inf]), 10).p_value == 2 / 11


def test_a_surrogate_is_a_search_on_its_candles():
    search = search_on()
    rng = generator(4, 1, KINDS.index("bar_flipped"), 3)
    candles = SURROGATES["bar_flipped"](search.candles, rng)
    evaluator = Evaluator(candles, search.space, search.costs, search.risk, NUMBA)
    found = search_whole_history(evaluator, whole_days(candles), SETTINGS, 9, lambda n: None)
    assert search.top("bar_flipped", 3, NUMBA) == found.top


def test_surrogates_and_kinds_differ():
    search = search_on()
    top = {search.top(kind, number, NUMBA) for kind in KINDS for number in range(4)}
    assert len(top) == 8


def test_no_admissible_combination_is_minus_infinity():
    search = search_on(replace(SETTINGS, min_trades=10_000))
    assert search.top("permuted", 0, NUMBA) == -np.inf


@pytest.fixture
def at_once(monkeypatch):
    """Have the workers help after the first surrogate, however quick it was."""
    monkeypatch.setattr(surrogates, "ALONE", 0.0)


def test_after_a_kind_that_decides_the_next_is_not_drawn(at_once):
    search, seen = search_on(), []
    for workers in (1, 3):
        tests = against_surrogates(search, -np.inf, 40, NUMBA, workers, seen.append)
        assert list(tests) == ["permuted"]
        assert tests["permuted"].p_value == 1.0
        top = [search.top("permuted", number, NUMBA) for number in range(4)]
        np.testing.assert_array_equal(tests["permuted"].top, top)
    assert sum(seen) == 2 * 2 * 40


def test_workers_and_backends_change_nothing(at_once):
    search, seen = search_on(), []
    alone = against_surrogates(search, 1e6, 20, NUMBA, 1, seen.append)
    assert sum(seen) == 2 * 20
    assert [test.p_value for test in alone.values()] == [1 / 21, 1 / 21]
    shared = against_surrogates(search, 1e6, 20, named("numpy"), 2, lambda n: None)
    for kind in KINDS:
        assert shared[kind].p_value == alone[kind].p_value
        assert shared[kind].top.tobytes() == alone[kind].top.tobytes()


def test_the_statistic_is_the_mean_of_the_best_active():
    """250 active: the best three; trades below the floor and inadmissible ones do not count."""
    sharpe = np.concatenate((np.arange(250.0), [1e6, np.nan]))
    trades = np.concatenate((np.full(250, 70.0), [59.0, 500.0]))
    assert top_sharpe(sharpe, trades, 360) == (249 + 248 + 247) / 3


def test_where_trades_are_rare_the_busiest_tenth_is_active():
    sharpe, trades = np.arange(11.0), np.array([*range(5, 50, 5), 60.0, 60.0])
    assert top_sharpe(sharpe, trades, 3650) == 10.0  # the floor is 60, not 608
    assert top_sharpe(sharpe[::-1], trades, 3650) == 1.0
    assert top_sharpe(sharpe, np.full(11, 19.0), 3650) is None  # nor below 20
    assert top_sharpe(np.full(3, np.nan), np.full(3, 99.0), 365) is None


def test_a_search_that_rides_the_market_is_held_against_candles_with_its_drift():
    assert kinds_for("both", 0.0) == ("permuted", "bar_flipped")
    assert kinds_for("both", None) == ("permuted", "bar_flipped")
    assert kinds_for("long", 0.0) == kinds_for("short", None) == ("permuted",)
    assert kinds_for("both", 0.21) == kinds_for("both", -0.21) == ("permuted",)
