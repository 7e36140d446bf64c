"""The pass over the whole history: which combinations count (validation rules §4.2)."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.search.loop import SearchSettings
from pipeline.validation.whole_history import search_whole_history
from pipeline.validation.windows import whole_days
from support.parameters import DEPTH, SIZE, STOP, TARGET
from support.spaces import coarse_market, small_space

SETTINGS = SearchSettings("grid", 0, 7, "net_profit", "plateau", 5, seed=2)
GRIDS = {
    DEPTH: (0.001, 0.004, 0.008),
    SIZE: (0.25, 1.0, 3.0),
    TARGET: (1.0, 2.0, 2.0000001, 3.0),
}
DAYS = 34


def market(continuous=False, **more):
    ranges = {STOP: (0.5, 3.0)} if continuous else {}
    space = small_space(continuous, ranges, **GRIDS)
    return coarse_market(space, n_bars=DAYS * 288 + 100, **more)


def searched(evaluator, settings=SETTINGS):
    days = whole_days(evaluator.candles)
    return search_whole_history(evaluator, days, settings, 3, lambda n: None)


def naive_columns(evaluator, found, min_trades=5):
    """Every point one at a time (§4.2)."""
    kept = []
    for point in found.evaluator.space.points(np.arange(evaluator.space.size)):
        metrics = evaluator.points(point[None], (found.window,))[0, 0]
        daily = evaluator.daily_returns(point, found.window)
        enough = np.count_nonzero(daily) >= max(20, len(daily) / 6)
        new = not any(np.array_equal(daily.astype("f4"), k.astype("f4")) for k in kept)
        if metrics["sample_size"] >= min_trades and enough and new:
            kept.append(daily)
    return kept


@pytest.mark.parametrize("block", [1, 5, 64, 10_000])
def test_columns_are_the_active_admissible_and_distinct(block):
    evaluator = market()
    found = searched(evaluator)
    columns = np.concatenate(list(found.columns(block, lambda n: None)))
    expected = naive_columns(evaluator, found)
    assert 3 < len(expected) < evaluator.space.size
    assert columns.tobytes() == np.array(expected).tobytes()


def test_every_admissible_combination_is_heard_of_once():
    found, heard = searched(market()), []
    for _ in found.columns(8, heard.append):
        pass
    assert sum(heard) == found.admissible


def test_the_best_active_has_the_largest_sharpe_of_the_columns():
    found = searched(market())
    columns = np.concatenate(list(found.columns(64, lambda n: None)))
    ratios = columns.mean(1) / columns.std(1, ddof=1)
    best = found.best_active()
    assert best.tobytes() == columns[np.argmax(ratios)].tobytes()
    assert found.best >= ratios.max() * np.sqrt(365) - 1e-9


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_returns_that_are_no_numbers_leave_their_combination_out(monkeypatch, value):
    found = searched(market())
    clean = np.concatenate(list(found.columns(64, lambda n: None)))
    best = found.best_active()
    second = np.delete(clean, [row.tobytes() == best.tobytes() for row in clean], axis=0)
    of_engine = type(found.evaluator).daily_of, type(found.evaluator).stream_daily

    def spoiled(daily):
        daily = daily.copy()
        daily[(daily == best).all(axis=1), 5] = value
        return daily

    def daily_of(self, points, window):
        return spoiled(of_engine[0](self, points, window))

    def stream_daily(self, window, block, mask):
        for index, daily in of_engine[1](self, window, block, mask):
            yield index, spoiled(daily)

    monkeypatch.setattr(type(found.evaluator), "daily_of", daily_of)
    monkeypatch.setattr(type(found.evaluator), "stream_daily", stream_daily)
    assert np.concatenate(list(found.columns(64, lambda n: None))).tobytes() == second.tobytes()
    ratios = second.mean(1) / second.std(1, ddof=1)
    assert found.best_active().tobytes() == second[np.argmax(ratios)].tobytes()


def test_a_method_brings_what_it_asked_whatever_it_was_after():
    evaluator = market(continuous=True)
    random = replace(SETTINGS, method="random", budget=12, selection="peak")
    found = searched(evaluator, random)
    assert found.points.shape == (12, len(evaluator.space.dimensions))
    metrics = evaluator.points(found.points, (found.window,))[0]
    enough = metrics["sample_size"] >= 5
    assert found.admissible == enough.sum()
    assert found.best == pytest.approx(metrics["sharpe_ratio"][enough].max(), rel=1e-11)
    assert found.points.tobytes() == searched(evaluator, random).points.tobytes()


def test_nothing_admissible():
    found = searched(market(), replace(SETTINGS, min_trades=100_000))
    assert (found.admissible, found.best, found.best_active()) == (0, None, None)
    assert sum(len(c) for c in found.columns(8, lambda n: None)) == 0


def test_part_days_at_both_ends_do_not_count():
    evaluator = market()
    found = searched(evaluator)
    assert found.n_days == DAYS
    assert evaluator.candles.timestamp[found.window.start] % DAY_MS == 0
    assert 0 < found.window.start < found.window.end < len(evaluator.candles)
