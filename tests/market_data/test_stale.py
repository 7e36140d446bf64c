"""Stale stretches, counted by hand."""

import pytest

from pipeline.market_data.quality.measures import Stale, longest_stale

START, STEP = 1_672_531_200_000, 300_000


def test_nothing_is_stale_where_every_candle_moves(rows):
    assert longest_stale(rows(range(20))) == Stale(0, None)


def test_copies_of_a_candle_with_a_range(rows):
    raw = rows(range(10))
    for name in ("open", "high", "low", "close"):
        getattr(raw, name)[4:7] = getattr(raw, name)[3]
    assert longest_stale(raw) == Stale(3, START + 4 * STEP)


def test_flat_candles_at_the_close_before(rows):
    raw = rows(range(10))
    for name in ("open", "high", "low", "close"):
        getattr(raw, name)[6:] = raw.close[5]  # that one still has a range
    assert longest_stale(raw) == Stale(4, START + 6 * STEP)


def test_a_flat_candle_at_another_price_is_news(rows):
    raw = rows(range(4))
    for name in ("open", "high", "low", "close"):
        getattr(raw, name)[2] = 90.0
    assert longest_stale(raw) == Stale(0, None)


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_one_price_that_differs_is_news(rows, name):
    raw = rows(range(3), open=[10.0] * 3, high=[12.0] * 3, low=[8.0] * 3, close=[11.0] * 3)
    assert longest_stale(raw).candles == 2
    getattr(raw, name)[1:] += 0.5
    assert longest_stale(raw) == Stale(1, START + 2 * STEP)


def test_the_earliest_of_the_longest_across_a_gap(rows):
    price = [100, 100, 100, 101, 101, 101]
    raw = rows([0, 1, 9, 10, 11, 12], open=price, high=price, low=price, close=price)
    assert longest_stale(raw) == Stale(2, START + STEP)
