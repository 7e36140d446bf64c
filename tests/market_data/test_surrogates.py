"""Surrogates keep every bar and lose what an edge would be made of (validation rules §5)."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from gpu_engine import Candles
from pipeline.market_data.surrogate_candles import bar_flipped, permuted, sign_flipped
from support.coarse import coarse_candles

KINDS = (permuted, sign_flipped, bar_flipped)
HOUR_MS = 3_600_000
PRICES = ("open", "high", "low", "close")


def _differences(candles):
    """Rows of log gap, high, low, close and volume, bar 0 without its gap."""
    before = np.concatenate((candles.open[:1], candles.close[:-1]))
    ratios = [candles.open / before]
    ratios += [getattr(candles, name) / candles.open for name in ("high", "low", "close")]
    return np.column_stack([*(np.log(ratio) for ratio in ratios), candles.volume])


def _sorted_rows(rows):
    return rows[np.lexsort(np.round(rows, 9).T)]


def _same(a, b):
    return a.sha256 == b.sha256


@st.composite
def markets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return coarse_candles(rng, draw(st.integers(1, 80)), step_ms=HOUR_MS, filled_share=0.15)


seeds = st.integers(0, 2**32).map(np.random.default_rng)


@pytest.mark.parametrize("surrogate", KINDS)
@given(candles=markets(), rng=seeds)
def test_it_is_a_market(surrogate, candles, rng):
    drawn = surrogate(candles, rng)
    assert np.array_equal(drawn.timestamp, candles.timestamp)
    assert drawn.step_ms == candles.step_ms
    assert drawn.open[0] == candles.open[0]
    assert (drawn.low > 0).all()
    assert (drawn.high >= np.maximum(drawn.open, drawn.close)).all()
    assert (drawn.low <= np.minimum(drawn.open, drawn.close)).all()


@pytest.mark.parametrize("surrogate", KINDS)
@given(candles=markets(), rng=seeds)
def test_a_filled_bar_is_the_close_before_it(surrogate, candles, rng):
    drawn = surrogate(candles, rng)
    bars = np.flatnonzero(drawn.filled)
    assert len(bars) == candles.filled.sum()
    assert not drawn.volume[bars].any()
    for name in PRICES:
        assert np.array_equal(getattr(drawn, name)[bars], drawn.close[bars - 1])


@given(candles=markets(), rng=seeds)
def test_a_permutation_has_the_same_bars(candles, rng):
    drawn = permuted(candles, rng)
    old, new = _differences(candles), _differences(drawn)
    assert new[0] == pytest.approx(old[0], abs=1e-12)
    assert _sorted_rows(new) == pytest.approx(_sorted_rows(old), abs=1e-9)
    assert drawn.close[-1] == pytest.approx(candles.close[-1], rel=1e-12)


@pytest.mark.parametrize("surrogate", [sign_flipped, bar_flipped])
@given(candles=markets(), rng=seeds)
def test_a_flip_keeps_every_move_where_it_was_but_its_sign(surrogate, candles, rng):
    drawn = surrogate(candles, rng)
    old, new = _differences(candles), _differences(drawn)
    assert np.abs(new[:, [0, 3]]) == pytest.approx(np.abs(old[:, [0, 3]]), abs=1e-12)
    assert new[:, 1] - new[:, 2] == pytest.approx(old[:, 1] - old[:, 2], abs=1e-12)
    assert np.array_equal(drawn.volume, candles.volume)
    assert np.array_equal(drawn.filled, candles.filled)


@given(candles=markets(), rng=seeds)
def test_a_day_flips_as_one(candles, rng):
    old, new = _differences(candles), _differences(sign_flipped(candles, rng))
    mirror = np.column_stack((-old[:, 0], -old[:, 2], -old[:, 1], -old[:, 3], old[:, 4]))
    for day in np.unique(candles.day):
        bars = candles.day == day
        kept, flipped = (np.allclose(new[bars], x[bars], atol=1e-12) for x in (old, mirror))
        assert kept or flipped


def test_bars_of_a_day_flip_apart():
    candles = coarse_candles(np.random.default_rng(0), 24 * 200, HOUR_MS, filled_share=0.0)
    drawn = bar_flipped(candles, np.random.default_rng(1))
    moved = candles.close != candles.open
    flipped = np.sign(drawn.close - drawn.open) != np.sign(candles.close - candles.open)
    assert flipped[moved].mean() == pytest.approx(0.5, abs=0.05)
    together = flipped[1:] == flipped[:-1]
    assert together[moved[1:] & moved[:-1]].mean() == pytest.approx(0.5, abs=0.05)


def test_a_mirrored_bar_by_hand():
    """Up 10 %, high 20 % up, low 5 % down: mirrored it falls to 1/1.1, with its low at 1/1.2."""
    one = [np.array([price]) for price in (100.0, 120.0, 95.0, 110.0)]
    candles = Candles(np.array([0]), *one, np.array([7.0]), np.array([False]), HOUR_MS)
    drawn = [sign_flipped(candles, np.random.default_rng(seed)) for seed in range(10)]
    outcomes = {tuple(round(getattr(d, name).item(), 4) for name in PRICES) for d in drawn}
    assert outcomes == {(100.0, 120.0, 95.0, 110.0), (100.0, 105.2632, 83.3333, 90.9091)}


@pytest.mark.parametrize("surrogate", KINDS)
def test_the_seed_decides(surrogate):
    candles = coarse_candles(np.random.default_rng(5), 500, step_ms=HOUR_MS)
    drawn = [surrogate(candles, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert _same(drawn[0], drawn[1])
    assert not _same(drawn[1], drawn[2])


def test_half_of_the_days_flip():
    candles = coarse_candles(np.random.default_rng(0), 24 * 1000, HOUR_MS, filled_share=0.0)
    drawn = sign_flipped(candles, np.random.default_rng(0))
    moved = candles.close != candles.open
    flipped = np.sign(drawn.close - drawn.open) != np.sign(candles.close - candles.open)
    assert flipped[moved].mean() == pytest.approx(0.5, abs=0.05)
