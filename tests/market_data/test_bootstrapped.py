"""Days drawn anew with mirrored bars, and candles read backwards."""

from itertools import pairwise

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.surrogate_candles import (
    MEAN_BLOCK,
    bootstrapped,
    rearranged,
    reversed_time,
)
from pipeline.market_data.synthetic import FIRST_MS, synthetic_candles
from support.coarse import coarse_candles

PRICES = ("open", "high", "low", "close")
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def candles():
    """Sixty days of hours that begin and end within a day, with outages."""
    raw = synthetic_candles(62, "1h", seed=4, first_ms=FIRST_MS + 5 * HOUR_MS)
    return make_regular(raw.take(np.r_[0:400, 410:1480]), "1h", "generated")[0]


def sizes(candles):
    """Size of every move within its bar, and its volume: what a flip keeps, rows by bar."""
    span = np.log(candles.high / candles.low)
    body = np.abs(np.log(candles.close / candles.open))
    return np.round(np.column_stack((span, body, candles.volume)), 9)


@pytest.mark.parametrize("days", [None, 10, 400])
def test_it_is_a_market_of_whole_days(candles, days):
    drawn = bootstrapped(candles, np.random.default_rng(1), days)
    assert len(drawn) == 24 * (60 if days is None else days)
    assert drawn.timestamp[0] % DAY_MS == 0
    assert candles.timestamp[0] < drawn.timestamp[0] < candles.timestamp[0] + DAY_MS
    assert (np.diff(drawn.timestamp) == HOUR_MS).all()
    assert (drawn.high >= np.maximum(drawn.open, drawn.close)).all()
    assert (drawn.low <= np.minimum(drawn.open, drawn.close)).all()
    assert (drawn.low > 0).all()


def test_every_day_is_a_day_of_the_candles_with_its_bars_mirrored_or_not(candles):
    drawn = bootstrapped(candles, np.random.default_rng(2), 300)
    rows, source = sizes(drawn), sizes(candles)
    first = int(-candles.timestamp[0] % DAY_MS) // HOUR_MS
    whole = (len(candles) - first) // 24
    days = [source[first + 24 * d : first + 24 * (d + 1)].tobytes() for d in range(whole)]
    found = [days.index(rows[24 * d : 24 * (d + 1)].tobytes()) for d in range(300)]
    assert len(set(found)) > 0.9 * whole
    follows = [b == (a + 1) % whole for a, b in pairwise(found)]
    assert np.mean(follows) == pytest.approx(1 - 1 / MEAN_BLOCK, abs=0.1)


def test_filled_bars_travel_and_stay_the_close_before_them(candles):
    drawn = bootstrapped(candles, np.random.default_rng(3), 600)
    bars = np.flatnonzero(drawn.filled)
    assert len(bars) > 10
    for name in PRICES:
        np.testing.assert_array_equal(getattr(drawn, name)[bars], drawn.close[bars - 1])


def test_no_direction_foretells_the_next(candles):
    drawn = bootstrapped(candles, np.random.default_rng(4), 3000)
    r = np.log(drawn.close / drawn.open)
    moved = (r[:-1] != 0) & (r[1:] != 0)
    same = np.sign(r[:-1]) == np.sign(r[1:])
    assert same[moved].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(moved.sum()))
    assert abs(r.mean() / r.std() * np.sqrt(len(r))) < 4


def test_the_seed_decides(candles):
    first, again, other = (rearranged(candles, "bootstrapped", s, 50).sha256 for s in (1, 1, 2))
    assert first == again != other


def test_less_than_a_day_is_refused():
    hours = coarse_candles(np.random.default_rng(0), 20, HOUR_MS, filled_share=0.0)
    with pytest.raises(UserError, match="draws whole UTC days, and these candles have none"):
        bootstrapped(hours, np.random.default_rng(0))


def test_read_backwards_twice_it_is_the_original(candles):
    assert candles.filled.any()
    backwards = rearranged(candles, "reversed", 0)
    assert backwards.sha256 != candles.sha256
    assert reversed_time(backwards).sha256 == candles.sha256


def test_read_backwards_by_hand(candles):
    backwards = reversed_time(candles)
    np.testing.assert_array_equal(backwards.timestamp, candles.timestamp)
    real = ~backwards.filled
    for name, other in zip(PRICES, ("close", "high", "low", "open"), strict=True):
        np.testing.assert_array_equal(
            getattr(backwards, name)[real], getattr(candles, other)[::-1][real]
        )
    bars = np.flatnonzero(backwards.filled)
    for name in PRICES:
        np.testing.assert_array_equal(getattr(backwards, name)[bars], backwards.close[bars - 1])
    np.testing.assert_array_equal(backwards.volume, candles.volume[::-1])
