"""Windows over whole UTC days (validation rules §1)."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpu_engine import Window
from pipeline.config import TrainTestSplit, WalkForward
from pipeline.errors import UserError
from pipeline.validation.windows import Days, final_window, splits, whole_days
from support.backtest import HOUR, MIDNIGHT, make_candles
from support.validation import LUCK


def walk_forward(train=90, gap=7, test=30, step=None, anchored=False):
    return WalkForward(
        method="walk_forward", train=train, gap=gap, test=test, step=step, anchored=anchored, **LUCK
    )


def train_test_split(ratio=0.7, gap=7, test=30):
    return TrainTestSplit(method="train_test_split", ratio=ratio, gap=gap, test=test, **LUCK)


def in_days(validation, days):
    """Windows as ((train start, train end), (test start, test end)), one bar a day."""
    return [
        ((s.train.start, s.train.end), (s.test.start, s.test.end))
        for s in splits(validation, Days(0, 1, days))
    ]


def test_a_year_gives_eight_windows():
    windows = in_days(walk_forward(), 365)
    assert len(windows) == 8
    assert windows[0] == ((0, 90), (97, 127))
    assert windows[1] == ((30, 120), (127, 157))
    assert windows[7] == ((210, 300), (307, 337))


def test_a_window_whose_test_does_not_fit_whole_is_not_made():
    assert len(in_days(walk_forward(), 366)) == 8
    assert len(in_days(walk_forward(), 367)) == 9
    assert in_days(walk_forward(), 367)[-1] == ((240, 330), (337, 367))


def test_purged_windows_are_those_of_skfolio():
    """skfolio 1.12: WalkForward(train_size=4, test_size=2, purged_size=1) on 10 rows."""
    assert in_days(walk_forward(4, 1, 2), 10) == [((0, 4), (5, 7)), ((2, 6), (7, 9))]


def test_anchored_windows_are_those_of_skfolio():
    """skfolio 1.12: WalkForward(train_size=4, test_size=2, expand_train=True) on 10 rows."""
    assert in_days(walk_forward(4, 0, 2, anchored=True), 10) == [
        ((0, 4), (4, 6)),
        ((0, 6), (6, 8)),
        ((0, 8), (8, 10)),
    ]


def test_a_step_above_the_test_leaves_days_out():
    assert in_days(walk_forward(4, 1, 2, step=3), 13) == [
        ((0, 4), (5, 7)),
        ((3, 7), (8, 10)),
        ((6, 10), (11, 13)),
    ]


SETTINGS = st.builds(
    lambda train, gap, test, extra, anchored: walk_forward(
        train, gap, test, None if extra is None else test + extra, anchored
    ),
    st.integers(1, 40),
    st.integers(0, 20),
    st.integers(1, 20),
    st.none() | st.integers(0, 10),
    st.booleans(),
)


@given(SETTINGS, st.integers(1, 300))
def test_every_setting_keeps_its_gap_and_its_tests_apart(validation, days):
    assume(validation.complaint(days) is None)
    windows = in_days(validation, days)
    assert len(windows) >= 2
    for number, (train, test) in enumerate(windows):
        start = number * validation.stride
        assert train == (0 if validation.anchored else start, start + validation.train)
        assert test[0] - train[1] == validation.gap
        assert test[1] - test[0] == validation.test
    ends = [test for _, test in windows]
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(ends))
    assert ends[-1][1] <= days < ends[-1][1] + validation.stride


@given(SETTINGS)
def test_two_windows_are_the_least(validation):
    needed = validation.train + validation.gap + validation.test + validation.stride
    assert len(in_days(validation, needed)) == 2
    with pytest.raises(UserError) as refusal:
        in_days(validation, needed - 1)
    assert f"needs {needed} days" in str(refusal.value)
    assert f"the history has {needed - 1}." in str(refusal.value)


def test_final_window_is_the_last_train_days():
    assert final_window(walk_forward(), Days(0, 1, 365)) == Window(275, 365)
    assert final_window(walk_forward(), Days(5, 24, 365)) == Window(5 + 275 * 24, 5 + 365 * 24)


def test_final_window_of_an_anchored_walk_forward_is_everything():
    assert final_window(walk_forward(anchored=True), Days(5, 24, 365)) == Window(5, 5 + 365 * 24)


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
