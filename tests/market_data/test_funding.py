"""Funding over the days of candles: known payments, and what stands in for the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine import Candles
from pipeline.errors import UserError
from pipeline.market_data.funding import funding_history
from pipeline.market_data.raw import RawFunding, empty

HOUR, EIGHT = 3_600_000, 28_800_000
START = 1_672_531_200_000


def candles(bars, step=HOUR, start=START):
    price = np.full(bars, 100.0)
    time = start + step * np.arange(bars, dtype=np.int64)
    return Candles(time, price, price, price, price, price, np.zeros(bars, np.bool_), step)


def raw(times, rates=None):
    times = np.asarray(times, np.int64)
    return RawFunding(times, np.full(len(times), 3e-4) if rates is None else np.asarray(rates))


def test_payments_of_the_days_alone_by_the_minute():
    times = [START - EIGHT, START, START + EIGHT + 27, START + 2 * EIGHT - 9, START + 3 * EIGHT]
    history = funding_history(raw(times), candles(24), 1e-4, "x")
    np.testing.assert_array_equal(history.funding.timestamp, [START + EIGHT, START + 2 * EIGHT])
    assert (history.known, history.stood_in, history.gaps) == (2, 0, ())


def test_what_is_missing_is_stood_in_for_at_the_hours_of_the_day():
    times = [START + EIGHT, START + 5 * EIGHT]
    history = funding_history(raw(times), candles(48), 1e-4, "x")
    np.testing.assert_array_equal(history.funding.timestamp, START + EIGHT * np.arange(1, 6))
    np.testing.assert_array_equal(history.funding.rate, [3e-4, 1e-4, 1e-4, 1e-4, 3e-4])
    assert (history.known, history.stood_in) == (2, 3)
    assert history.gaps == ((START + EIGHT, START + 5 * EIGHT),)
    assert history.to_dict()["stand_in_rate"] == 1e-4


def test_a_payment_a_minute_late_is_one_and_other_hours_of_the_day_are_kept():
    late = [START + EIGHT, START + 2 * EIGHT + 61_000, START + 3 * EIGHT]
    assert funding_history(raw(late), candles(25), None, "x").known == 3
    four = START + 4 * HOUR + EIGHT * np.array([0, 1, 3, 4])
    history = funding_history(raw(four), candles(37), 1e-4, "x")
    assert history.funding.timestamp.tolist() == (START + 4 * HOUR + EIGHT * np.arange(5)).tolist()
    assert (history.known, history.stood_in) == (4, 1)


@pytest.mark.parametrize(
    ("hours", "due"), [(11, []), (12, [8]), (19, [8]), (20, [8, 16]), (28, [8, 16, 24]),
                       (36, [8, 16, 24, 32])]
)  # fmt: skip
def test_what_is_missing_between_two_is_due_every_8_hours_from_the_first(hours, due):
    known = START + HOUR * np.array([1, 1 + hours])
    history = funding_history(raw(known), candles(2 + hours), 1e-4, "x")
    assert ((history.funding.timestamp - known[0]) // HOUR).tolist() == [0, *due, hours]


def test_payments_every_hour_have_no_gap():
    history = funding_history(raw(START + HOUR * np.arange(48)), candles(48), None, "x")
    assert (history.known, history.stood_in) == (47, 0)


def test_nothing_known_is_all_stood_in():
    history = funding_history(empty(RawFunding), candles(240), -2e-4, "x")
    assert history.known == 0
    np.testing.assert_array_equal(history.funding.rate, np.full(29, -2e-4))


def test_without_a_stand_in_missing_payments_are_refused():
    with pytest.raises(UserError, match="not known from"):
        funding_history(empty(RawFunding), candles(48), None, "x")


@pytest.mark.parametrize("rate", [np.nan, np.inf, -0.6, 3.0])
def test_a_rate_that_is_none(rate):
    with pytest.raises(UserError, match="must be a fraction"):
        funding_history(raw([START + HOUR], [rate]), candles(48), 1e-4, "x")


def test_two_rates_of_one_minute_are_refused_and_the_same_twice_is_one():
    times = [START + EIGHT, START + EIGHT + 5]
    with pytest.raises(UserError, match="two funding rates"):
        funding_history(raw(times, [1e-4, -1e-4]), candles(24), 1e-4, "x")
    assert funding_history(raw(times), candles(24), 1e-4, "x").known == 1


def test_rates_in_per_cent_are_no_fractions():
    with pytest.raises(UserError, match="divide them by 100"):
        funding_history(raw(START + EIGHT * np.arange(9), np.full(9, 0.01)), candles(72), 1e-4, "x")


@pytest.mark.parametrize(
    ("hours", "newest", "due"),
    [([0, 8, 16], 23, None), ([0, 8, 16], 24, 24), ([0, 8, 16], 99, 40), ([4, 8, 12], 19, 16),
     ([4, 8, 12], 20, 20), ([0, 8, 16, 24], 24, None), ([], 99, None), ([8], 16, 16),
     ([0, 8, 16], 32, 32), ([5, 6, 7], 8, 8), ([5, 6, 7], 9, 9), ([5, 6, 7], 12, 9),
     ([0, 8, 16, 20], 24, 24), ([4, 8, 16], 20, 20)],
)  # fmt: skip
def test_a_payment_is_overdue_by_what_is_listed_whatever_stands_in(hours, newest, due):
    listed = START + HOUR * np.array(hours, np.int64) + np.arange(len(hours)) % 2 * 29
    history = funding_history(raw(listed), candles(newest + 1), 1e-4, "x")
    assert history.overdue(START + newest * HOUR) == (None if due is None else START + due * HOUR)


@given(st.sets(st.integers(0, 30)), st.integers(1, 30))
def test_no_eight_hours_within_the_candles_go_without_a_payment(known, days):
    times = START + EIGHT * np.array(sorted(known), np.int64)
    series = funding_history(raw(times), candles(24 * days), 1e-4, "x").funding
    assert (np.diff(series.timestamp) == EIGHT).all()
    assert len(series.timestamp) == 3 * days - 1


def test_the_hash_of_candles_tells_their_funding_and_a_cut_keeps_its_own():
    from dataclasses import replace

    plain = candles(48)
    paid = replace(plain, funding=funding_history(empty(RawFunding), plain, 1e-4, "x").funding)
    other = replace(plain, funding=funding_history(empty(RawFunding), plain, 2e-4, "x").funding)
    assert len({plain.sha256, paid.sha256, other.sha256}) == 3
    cut = paid.cut(0, 24)
    again = replace(candles(24), funding=None)
    whole = replace(again, funding=funding_history(empty(RawFunding), again, 1e-4, "x").funding)
    assert cut.sha256 == whole.sha256
