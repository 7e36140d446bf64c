"""The walk-forward: what is stitched, counted and concluded from it."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import (
    METRICS,
    TRADE,
    Costs,
    RiskLimits,
    Window,
    annualised,
    choose,
    marked_metrics,
    metrics_of,
)
from pipeline.config import Rolling
from pipeline.search.evaluator import Evaluator
from pipeline.search.loop import SearchResult, SearchSettings, search
from pipeline.validation.out_of_sample import (
    parameter_spread,
    walk_forward_efficiency,
)
from pipeline.validation.walk_forward import Validation, WindowResult, validate
from pipeline.validation.windows import Split, final_window, splits, whole_days
from support.agreement import assert_same_metrics
from support.coarse import coarse_candles
from support.parameters import DEPTH, STOP
from support.repricing import repriced
from support.spaces import assert_identical, small_space
from support.validation import LUCK

DAYS = Rolling(method="rolling", train=3, gap=1, test=2, step=None, **LUCK)
GRIDS = {DEPTH: (0.001, 0.008), STOP: (0.5, 1.0, 2.0)}
SETTINGS = SearchSettings("grid", 0, 10, "net_profit", "plateau", 5, seed=0)
FRACTION = 0.5


def ignore(_):
    pass


def evaluator_of(candles):
    risk = RiskLimits(position_fraction=FRACTION)
    return Evaluator(candles, small_space(**GRIDS), Costs(), risk, choose("numba").backend)


def validated(candles, settings=SETTINGS, advance=ignore):
    days = whole_days(candles)
    evaluator = evaluator_of(candles)
    final = final_window(DAYS, days)
    return evaluator, validate(evaluator, splits(DAYS, days), final, settings, FRACTION, advance)


@pytest.fixture(scope="module")
def candles():
    """12 whole days and some hours on either side."""
    return coarse_candles(np.random.default_rng(5), 288 * 12 + 60)


@pytest.fixture(scope="module")
def run(candles):
    return validated(candles)


@pytest.fixture(scope="module")
def interrupted(candles):
    """Nothing trades on the first three days: the first window has no winner."""
    quiet = candles.timestamp < candles.timestamp[0] + 86_400_000 * 3.1
    volume = np.where(quiet, 0.0, candles.volume)
    return validated(replace(candles, volume=volume), replace(SETTINGS, min_trades=3))


def test_every_window_is_a_search_of_its_own(run):
    evaluator, result = run
    assert len(result.windows) == 4
    for window in result.windows:
        alone = search(evaluator, [window.split.train], SETTINGS, ignore)[0]
        assert alone.score == window.search.score
        np.testing.assert_array_equal(alone.point, window.search.point)


def test_winner_is_measured_on_both_parts(run):
    evaluator, result = run
    for window in result.windows:
        point = window.search.point[None]
        both = evaluator.points(point, (window.split.train, window.split.test))
        assert_identical(window.in_sample, both[0, 0])
        assert_identical(window.out_of_sample, both[1, 0])
        assert window.in_sample["net_profit"] == pytest.approx(window.search.score, rel=1e-11)


def test_out_of_sample_series_is_the_tests_stitched(run, candles):
    evaluator, result = run
    parts = [(w.search.point, w.split.test) for w in result.windows]
    closed = [evaluator.daily_returns(*part) for part in parts]
    np.testing.assert_array_equal(result.closed_daily, np.concatenate(closed))
    marked = [evaluator.marked_returns(evaluator.trades(*part), part[1]) for part in parts]
    np.testing.assert_array_equal(result.daily, np.concatenate(marked))
    first = candles.day[result.windows[0].split.test.start]
    np.testing.assert_array_equal(result.day, first + np.arange(8))


def test_metrics_of_the_series_are_the_product_of_the_windows(run):
    _, result = run
    growth = [1.0 + w.out_of_sample["net_profit"] for w in result.windows]
    assert result.metrics["net_profit"] == pytest.approx(np.prod(growth) - 1.0, rel=1e-12)
    assert result.metrics["sample_size"] == sum(
        w.out_of_sample["sample_size"] for w in result.windows
    )
    assert result.metrics["n_days"] == len(result.daily) == 8
    assert result.metrics["sample_size"] == len(result.trades) > 10
    returns = FRACTION * result.trades["ret"]
    assert_same_metrics(result.metrics, marked_metrics(returns, result.daily))
    assert_same_metrics(result.closed_metrics, metrics_of(returns, result.closed_daily))
    assert np.prod(1.0 + result.daily) == pytest.approx(np.prod(growth), rel=1e-12)


def test_marked_series_is_the_account_at_every_close(run, candles):
    """The OOS series against an account kept bar by bar, window after window."""
    evaluator, result = run
    equity: list[float] = []
    for window in result.windows:
        test = window.split.test
        own = result.trades[
            (result.trades["entry_bar"] >= test.start) & (result.trades["exit_bar"] < test.end)
        ]
        before = equity[-1] if equity else 1.0
        ends = repriced(candles, own, test, evaluator.costs, FRACTION)
        equity += [before * end for end in ends]
    np.testing.assert_allclose(np.cumprod(1.0 + result.daily), equity, rtol=1e-12)


def test_trades_lie_in_their_test_parts(run):
    _, result = run
    bars = [(trade["setup_bar"], trade["exit_bar"]) for trade in result.trades]
    tests = [w.split.test for w in result.windows]
    assert all(any(t.start <= s and e < t.end for t in tests) for s, e in bars)
    assert (np.diff(result.trades["entry_bar"]) > 0).all()


def test_final_search_is_on_the_last_train_days(run, candles):
    _, result = run
    days = whole_days(candles)
    assert result.final.window == days.window(9, 12)


def test_every_evaluation_is_counted(candles):
    advanced = []
    _, result = validated(candles, advance=advanced.append)
    assert sum(advanced) == 6 * 5
    assert result.evaluations == 6 * 5 + 4  # the winners, each on its test part


def test_a_window_without_a_winner_gives_days_of_zero(interrupted):
    _, result = interrupted
    first, *others = result.windows
    assert (first.search.point, first.in_sample, first.out_of_sample) == (None, None, None)
    assert all(w.search.point is not None for w in others)
    assert len(result.daily) == len(result.day) == 8
    np.testing.assert_array_equal(result.daily[:2], 0.0)
    assert result.daily[2:].any()
    assert result.evaluations == 6 * 5 + 3


def test_no_winner_anywhere_is_a_series_of_zeros(candles):
    _, result = validated(candles, replace(SETTINGS, min_trades=10_000))
    np.testing.assert_array_equal(result.daily, np.zeros(8))
    np.testing.assert_array_equal(result.closed_daily, np.zeros(8))
    assert len(result.trades) == 0
    assert result.metrics["net_profit"] == 0.0
    assert result.metrics["sharpe_ratio"] == 0.0
    assert result.final.point is None
    assert walk_forward_efficiency(result) is None
    assert parameter_spread(result, [DEPTH]) == {}


def record(**figures):
    metrics = np.zeros((), METRICS)
    for name, value in figures.items():
        metrics[name] = value
    return metrics


def made(in_sample, out_of_sample, days=60, points=None):
    """A validation of hand-made records; None in ``in_sample`` is a window without winner."""
    window = Window(0, 1)
    points = np.zeros((len(in_sample), 2)) if points is None else points
    windows = [
        WindowResult(
            Split(window, window),
            SearchResult(window, 1, 1, None if metrics is None else point, 0.0, None),
            metrics,
            metrics,
        )
        for metrics, point in zip(in_sample, points, strict=True)
    ]
    final = SearchResult(window, 1, 0, None, None, None)
    daily = np.zeros(days)
    return Validation(
        windows=tuple(windows),
        daily=daily,
        closed_daily=daily,
        day=np.arange(days),
        trades=np.zeros(0, TRADE),
        metrics=out_of_sample,
        closed_metrics=out_of_sample,
        final=final,
    )


def test_efficiency_compares_annualised_profits():
    # In sample 10 % and 30 % in 73 days, a fifth of a year; out of sample 15 % in 73 days.
    windows = [record(net_profit=0.1, n_days=73), record(net_profit=0.3, n_days=73)]
    result = made(windows, record(net_profit=0.15), days=73)
    promised = ((1.1**5 - 1) + (1.3**5 - 1)) / 2
    assert walk_forward_efficiency(result) == pytest.approx((1.15**5 - 1) / promised, rel=1e-12)
    assert annualised(0.15, 73) == pytest.approx(1.15**5 - 1, rel=1e-12)


@pytest.mark.parametrize("profits", [[-0.1], [0.1, -0.9], [None]])
def test_efficiency_means_nothing_without_an_in_sample_profit(profits):
    records = [None if p is None else record(net_profit=p, n_days=365) for p in profits]
    assert walk_forward_efficiency(made(records, record(net_profit=0.2))) is None


def test_efficiency_after_ruin_is_negative():
    result = made([record(net_profit=0.5, n_days=365)], record(net_profit=-1.2), days=365)
    assert walk_forward_efficiency(result) == pytest.approx(-1.0 / 0.5)


def test_parameter_spread_is_over_the_windows_with_a_winner():
    points = [
        np.array([1.0, 0.3]),
        np.array([9.0, 9.0]),
        np.array([2.0, 0.1]),
        np.array([5.0, 0.2]),
    ]
    records = [record(), None, record(), record()]
    spread = parameter_spread(made(records, record(), points=points), ["a", "b"])
    assert spread == {
        "a": {"min": 1.0, "median": 2.0, "max": 5.0},
        "b": {"min": 0.1, "median": 0.2, "max": 0.3},
    }
