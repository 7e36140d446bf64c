"""Windows over whole UTC days (validation rules §1)."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from gpu_engine import Window
from pipeline.config import Rolling, TrainTestSplit, WalkForward
from pipeline.errors import UserError
from pipeline.validation.windows import Days, final_window, splits, whole_days
from support.backtest import HOUR, MIDNIGHT, make_candles
from support.validation import LUCK


def walk_forward(train=90, gap=7, test=30, step=None, max_train=720):
    days = {"train": train, "gap": gap, "test": test, "step": step, "max_train": max_train}
    return WalkForward(method="walk_forward", **days, **LUCK)


def rolling(train=90, gap=7, test=30, step=None):
    return Rolling(method="rolling", train=train, gap=gap, test=test, step=step, **LUCK)


def train_test_split(ratio=0.7, gap=7, test=30):
    return TrainTestSplit(method="train_test_split", ratio=ratio, gap=gap, test=test, **LUCK)


def in_days(validation, days):
    """Windows as ((train start, train end), (test start, test end)), one bar a day."""
    return [
        ((s.train.start, s.train.end), (s.test.start, s.test.end))
        for s in splits(validation, Days(0, 1, days))
    ]


def test_a_year_gives_eight_windows_of_which_each_has_a_step_more_to_train_on():
    assert in_days(walk_forward(), 365) == [
        ((0, 90), (97, 127)),
        ((0, 120), (127, 157)),
        ((0, 150), (157, 187)),
        ((0, 180), (187, 217)),
        ((0, 210), (217, 247)),
        ((0, 240), (247, 277)),
        ((0, 270), (277, 307)),
        ((0, 300), (307, 337)),
    ]


def test_a_rolling_year_trains_on_ninety_days_each_time():
    assert in_days(rolling(), 365) == [
        ((0, 90), (97, 127)),
        ((30, 120), (127, 157)),
        ((60, 150), (157, 187)),
        ((90, 180), (187, 217)),
        ((120, 210), (217, 247)),
        ((150, 240), (247, 277)),
        ((180, 270), (277, 307)),
        ((210, 300), (307, 337)),
    ]


def test_four_years_reach_the_limit_after_two():
    windows = in_days(walk_forward(), 1460)
    lengths = [end - start for (start, end), _ in windows]
    assert lengths == [*range(90, 720, 30), *[720] * 24]
    assert windows[21] == ((0, 720), (727, 757))
    assert windows[22] == ((30, 750), (757, 787))
    assert windows[44] == ((690, 1410), (1417, 1447))


def test_a_limit_between_two_steps_is_kept_to_the_day():
    windows = in_days(walk_forward(max_train=100), 365)
    assert [end - start for (start, end), _ in windows] == [90, *[100] * 7]
    assert windows[1] == ((20, 120), (127, 157))


def test_a_limit_of_train_is_a_rolling_window():
    assert in_days(walk_forward(max_train=90), 1460) == in_days(rolling(), 1460)


def test_a_limit_below_the_first_search_is_refused():
    with pytest.raises(ValidationError, match=r"at least validation\.train \(90\)"):
        walk_forward(max_train=89)


def test_a_window_whose_test_does_not_fit_whole_is_not_made():
    assert len(in_days(walk_forward(), 366)) == 8
    assert len(in_days(walk_forward(), 367)) == 9
    assert in_days(walk_forward(), 367)[-1] == ((0, 330), (337, 367))
    assert in_days(rolling(), 367)[-1] == ((240, 330), (337, 367))


def test_purged_windows_are_those_of_skfolio():
    """skfolio 1.12: WalkForward(train_size=4, test_size=2, purged_size=1) on 10 rows."""
    assert in_days(rolling(4, 1, 2), 10) == [((0, 4), (5, 7)), ((2, 6), (7, 9))]


def test_windows_without_a_limit_are_those_of_skfolio():
    """skfolio 1.12: WalkForward(train_size=4, test_size=2, expand_train=True) on 10 rows."""
    assert in_days(walk_forward(4, 0, 2, max_train=None), 10) == [
        ((0, 4), (4, 6)),
        ((0, 6), (6, 8)),
        ((0, 8), (8, 10)),
    ]


def test_limited_windows_are_those_of_scikit_learn():
    """scikit-learn 1.9: TimeSeriesSplit(3, max_train_size=5, test_size=2, gap=1) on 11 rows."""
    assert in_days(walk_forward(4, 1, 2, max_train=5), 11) == [
        ((0, 4), (5, 7)),
        ((1, 6), (7, 9)),
        ((3, 8), (9, 11)),
    ]


def test_a_step_above_the_test_leaves_days_out():
    assert in_days(rolling(4, 1, 2, step=3), 13) == [
        ((0, 4), (5, 7)),
        ((3, 7), (8, 10)),
        ((6, 10), (11, 13)),
    ]


@st.composite
def settings(draw):
    """Both moving methods, with every length a small number of days."""
    train, test = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    extra = draw(st.none() | st.integers(0, 10))
    days = (train, draw(st.integers(0, 20)), test, None if extra is None else test + extra)
    if draw(st.booleans()):
        return rolling(*days)
    return walk_forward(*days, max_train=draw(st.none() | st.integers(train, 120)))


def longest(validation):
    """Days that a search of ``validation`` sees at most."""
    if isinstance(validation, Rolling):
        return validation.train
    return 10**9 if validation.max_train is None else validation.max_train


@given(settings(), st.integers(1, 300))
def test_every_setting_keeps_its_gap_and_its_tests_apart(validation, days):
    assume(validation.complaint(days) is None)
    windows = in_days(validation, days)
    assert len(windows) >= 2
    for number, (train, test) in enumerate(windows):
        assert train[1] == validation.train + number * validation.stride
        assert train[1] - train[0] == min(longest(validation), train[1])
        assert test[0] - train[1] == validation.gap
        assert test[1] - test[0] == validation.test
    ends = [test for _, test in windows]
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(ends))
    assert ends[-1][1] <= days < ends[-1][1] + validation.stride


@given(settings(), st.integers(1, 300))
def test_the_method_decides_what_is_trained_on_and_never_what_is_tested(validation, days):
    assume(validation.complaint(days) is None)
    lengths = (validation.train, validation.gap, validation.test, validation.step)
    tested = [test for _, test in in_days(validation, days)]
    assert [test for _, test in in_days(rolling(*lengths), days)] == tested


@given(settings(), st.integers(1, 300), st.integers(0, 40))
def test_more_history_leaves_the_windows_that_there_were(validation, days, more):
    assume(validation.complaint(days) is None)
    windows = in_days(validation, days)
    assert in_days(validation, days + more)[: len(windows)] == windows


@given(settings(), st.integers(1, 300))
def test_the_final_search_sees_what_the_next_window_would(validation, days):
    assume(validation.complaint(days) is None)
    final = final_window(validation, Days(0, 1, days))
    assert final == Window(days - min(longest(validation), days), days)
    assert final.end - final.start >= validation.train


@given(settings())
def test_two_windows_are_the_least(validation):
    needed = validation.train + validation.gap + validation.test + validation.stride
    assert len(in_days(validation, needed)) == 2
    with pytest.raises(UserError) as refusal:
        in_days(validation, needed - 1)
    assert f"needs {needed} days" in str(refusal.value)
    assert f"the history has {needed - 1}." in str(refusal.value)


@pytest.mark.parametrize(
    ("validation", "days", "start"),
    [
        (walk_forward(), 365, 0),
        (walk_forward(), 1460, 740),
        (walk_forward(max_train=None), 1460, 0),
        (rolling(), 365, 275),
        (rolling(), 1460, 1370),
    ],
)
def test_final_window_is_as_long_as_the_next_search(validation, days, start):
    assert final_window(validation, Days(0, 1, days)) == Window(start, days)
    assert final_window(validation, Days(5, 24, days)) == Window(5 + start * 24, 5 + days * 24)


def test_train_test_split_tests_on_all_that_is_left():
    assert in_days(train_test_split(), 365) == [((0, 255), (262, 365))]
    assert final_window(train_test_split(), Days(0, 1, 365)) == Window(0, 255)


def test_train_test_split_too_short_says_both_numbers():
    assert in_days(train_test_split(0.5, 7, 30), 74) == [((0, 37), (44, 74))]
    with pytest.raises(UserError, match=r"leaves 29 of 72 days.*at least 30 are needed"):
        in_days(train_test_split(0.5, 7, 30), 72)
    with pytest.raises(UserError, match=r"leaves 0 of 3 days"):
        in_days(train_test_split(0.5, 7, 30), 3)


def hourly(first_hour, hours):
    return make_candles(np.full((hours, 4), 100.0), start=MIDNIGHT + first_hour * HOUR)


@pytest.mark.parametrize(
    ("first_hour", "hours", "expected"),
    [
        (0, 72, Days(0, 24, 3)),
        (0, 71, Days(0, 24, 2)),
        (1, 72, Days(23, 24, 2)),
        (23, 72, Days(1, 24, 2)),
        (23, 73, Days(1, 24, 3)),
        (12, 12, Days(12, 24, 0)),
        (1, 5, Days(0, 24, 0)),
    ],
)
def test_history_is_cut_from_the_first_midnight_to_the_last(first_hour, hours, expected):
    if expected.count == 0:
        assert whole_days(hourly(first_hour, hours)).count == 0
    else:
        days = whole_days(hourly(first_hour, hours))
        assert days == expected
        assert days.whole == Window(expected.first_bar, expected.first_bar + 24 * expected.count)


def test_windows_are_whole_days_of_bars():
    candles = hourly(22, 24 * 30)
    days = whole_days(candles)
    for split in splits(walk_forward(5, 1, 2), days):
        for window in (split.train, split.test):
            assert candles.timestamp[window.start] % (24 * HOUR) == 0
            assert candles.timestamp[window.end - 1] % (24 * HOUR) == 23 * HOUR


def test_daily_candles_have_days_of_one_bar():
    candles = make_candles(np.full((10, 4), 100.0), step_ms=24 * HOUR)
    assert whole_days(candles) == Days(0, 1, 10)


@pytest.mark.parametrize(
    ("days", "ratio", "train"), [(90, 0.7, 63), (100, 0.29, 29), (365, 0.7, 255)]
)
def test_the_ratio_is_the_decimal_that_was_written(days, ratio, train):
    assert train_test_split(ratio).train_days(days) == train


def test_a_split_without_a_train_day_is_refused():
    with pytest.raises(UserError, match="leaves no day of 365 to train on"):
        in_days(train_test_split(0.001), 365)
