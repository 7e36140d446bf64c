"""The sequential test of live days against the out-of-sample promise (validation rules §8)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.validation.band import YEAR, promised_paths
from pipeline.validation.sequential import (
    LEVEL,
    live_band,
    sequential_test,
    shortfall,
)

FEW = 300  # paths, where only equality is asked for


def days(n, seed=0, mean=0.001, spread=0.01):
    return np.random.default_rng(seed).normal(mean, spread, n)


def plain_statistic(oos, live):
    """The statistic of the last live day, as the rule writes it."""
    t, k, m, s = len(oos), len(live), oos.mean(), oos.std(ddof=1)
    v = (30 * s**2 + sum((y - m) ** 2 for y in live)) / (30 + k)
    return (k * m - sum(live)) / (k * v + k**2 * s**2 / t) ** 0.5 * (k / (t + k)) ** 0.25


def test_the_statistic_is_that_of_the_rule():
    oos, live = days(200), days(50, 1)
    found = live_band(oos, live, 1, n_paths=FEW).test
    assert found.statistic == pytest.approx(plain_statistic(oos, live), rel=1e-9)


def test_golden_values():
    """Made by this program on 2026-11-29; they change with numpy's generator alone."""
    found = live_band(days(200), days(100, 1, mean=-0.002), 7)
    assert found.test.limit == pytest.approx(2.2321336084478136, rel=1e-9)
    assert found.test.statistic == pytest.approx(2.540598691931544, rel=1e-9)
    assert (found.test.p, found.test.alarm_day) == (pytest.approx(13 / 2001), 80)
    assert (found.position, found.left_path) == (0.001, True)
    assert found.band is not None
    curves = [getattr(found.band, name)[99] for name in ("low", "median", "high")]
    assert curves == pytest.approx([0.91305555, 1.11121343, 1.37375648], rel=1e-7)


def test_no_more_than_the_level_of_the_paths_exceed_the_limit():
    oos = days(150)
    paths = promised_paths(oos, 3)
    limit = sequential_test(oos, np.empty(0), paths).limit
    beyond = (shortfall(oos, paths) > limit).any(axis=1).sum()
    assert (beyond + 1) / (len(paths) + 1) <= LEVEL < (beyond + 2) / (len(paths) + 1)


@pytest.mark.parametrize("drop", [0.002, 0.01])
def test_p_is_at_most_the_level_where_and_only_where_the_alarm_is(drop):
    oos, live = days(200), days(200, 1, mean=-drop)
    alarm = live_band(oos, live, 1, n_paths=FEW).test.alarm_day
    assert alarm is not None
    for n, alarmed in ((alarm - 1, False), (alarm, True), (len(live), True)):
        found = live_band(oos, live[:n], 1, n_paths=FEW).test
        assert (found.p <= LEVEL) is alarmed
        assert found.alarm_day == (alarm if alarmed else None)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 500), st.floats(-0.01, 0.002))
def test_later_days_move_neither_an_alarm_nor_the_limit(seed, cut, mean):
    oos, live = days(120, seed), days(500, seed + 1, mean=mean)
    whole, part = (live_band(oos, live[:n], seed, n_paths=FEW).test for n in (500, cut))
    assert part.limit == whole.limit
    expected = whole.alarm_day
    assert part.alarm_day == (None if expected is None or expected > cut else expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.25, 0.5, 2.0, 3.0, 7.0]))
def test_exposure_changes_nothing(seed, exposure):
    oos, live = days(120, seed), days(90, seed + 1)
    one = live_band(oos, live, seed, n_paths=FEW).test
    other = live_band(exposure * oos, exposure * live, seed, n_paths=FEW).test
    assert other.limit == pytest.approx(one.limit, rel=1e-9)
    assert other.statistic == pytest.approx(one.statistic, rel=1e-6, abs=1e-9)
    assert (other.p, other.alarm_day) == (one.p, one.alarm_day)


def test_the_order_of_live_days_does_not_matter_to_the_last_statistic():
    oos, live = days(120), days(90, 1)
    shuffled = np.random.default_rng(2).permutation(live)
    one, other = (live_band(oos, x, 1, n_paths=FEW).test.statistic for x in (live, shuffled))
    assert other == pytest.approx(one, rel=1e-9)


def test_a_new_year_begins_anew_and_an_alarm_stays():
    oos = days(200, spread=0.005)
    lost = np.concatenate((np.full(100, -0.02), np.full(2 * YEAR, oos.mean())))
    found = live_band(oos, lost, 1, n_paths=FEW).test
    assert found.alarm_day < 100
    assert abs(found.statistic) < 1e-9
    assert found.p <= LEVEL
    late = np.concatenate((np.full(YEAR, oos.mean()), np.full(100, -0.02)))
    second = live_band(oos, late, 1, n_paths=FEW).test
    assert second.alarm_day == YEAR + found.alarm_day


def test_seeds_agree_and_each_is_itself():
    oos, live = days(120), days(60, 1)
    one, again, other = (live_band(oos, live, seed, n_paths=1000).test for seed in (1, 1, 2))
    assert one == again
    assert one.limit != other.limit
    assert one.limit == pytest.approx(other.limit, rel=0.1)


def test_a_few_live_days_that_lost_as_days_do_are_no_alarm():
    oos = days(300)
    assert live_band(oos, np.full(3, np.quantile(oos, 0.1)), 1).test.alarm_day is None


@pytest.mark.parametrize(
    ("oos", "words"),
    [
        (np.empty(0), "0 days out of sample"),
        (days(59), "59 days out of sample; 60 are needed"),
        (np.zeros(300), "0 days out of sample with a return"),
        (np.append(np.zeros(300), days(9)), "9 days out of sample with a return; 10 are needed"),
        (np.full(300, 0.01), "do not vary"),
        (np.append(days(100), np.nan), "a day out of sample has no return"),
        (np.append(days(100), np.inf), "a day out of sample has no return"),
    ],
)
def test_what_promises_nothing_says_so(oos, words):
    found = live_band(oos, days(30), 1)
    assert words in found.test.unknown
    assert (found.test.limit, found.test.p, found.test.alarm_day) == (None, None, None)
    assert (found.band, found.position, found.left_path) == (None, None, None)
    assert found.figures()["live_days"] == 30


def test_a_live_day_without_a_return_says_nothing():
    found = live_band(days(100), np.array([0.01, np.nan]), 1)
    assert "live day" in found.test.unknown


def test_before_the_first_live_day_there_is_a_limit_and_no_statistic():
    found = live_band(days(100), np.empty(0), 1, n_paths=FEW)
    assert found.test.limit > 0.0
    assert (found.test.statistic, found.test.p, found.test.alarm_day) == (None, None, None)
    assert (found.position, found.figures()["equity"]) == (None, None)


def test_days_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="oos_daily must have one dimension"):
        live_band(np.zeros((2, 100)), np.empty(0), 1)


def test_live_days_without_a_trade_are_an_alarm_in_the_end():
    """A promise that is not kept because nothing trades any more is not kept."""
    oos = np.where(np.arange(400) % 4 == 0, days(400, mean=0.02), 0.0)
    assert live_band(oos, np.zeros(YEAR), 1).test.alarm_day is not None
