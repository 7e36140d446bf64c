"""One rule after the other of liquidity_sweep rules §4 and §5, each also mirrored.

Bars are (100, 101, 99, 100) but for bar 25, whose low of 97 is the only swing low, and bar 30,
which sweeps it to 96 on threefold volume and closes at 100.5: body 3, ATR 2.2.
"""

import numpy as np
import pytest

from pipeline.strategies.indicators import average_true_range
from support.backtest import make_candles

QUIET = (100, 101, 99, 100)
SWING = (100, 101, 97, 100)
SWEEP = (97.5, 101, 96, 100.5)
PARAMETERS = {
    "pierce_depth": 0.001,
    "rejection_candles": 3,
    "volume_spike_threshold": 1.5,
    "reversal_candle_size": 1.0,
    "key_level_lookback": 20,
    "min_stop_density_score": 0.5,
    "max_spread_tolerance": None,
}


@pytest.fixture(params=[+1, -1], ids=["long", "short"])
def side(request):
    return request.param


def market(side, changes=(), swing=25, sweep=30, volume=3.0, filled=()):
    bars = np.array([QUIET] * 50, np.float64)
    bars[swing] = SWING
    bars[sweep] = SWEEP
    for bar, values in dict(changes).items():
        bars[bar] = values
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    candles = make_candles(bars, filled)
    candles.volume[sweep] = volume
    return candles


def rows(events, candles, **changes):
    """(sweep bar, signal bar) of every row."""
    table = events(candles, PARAMETERS | changes)
    return list(zip(table.setup_bar.tolist(), table.signal_bar.tolist(), strict=True))


def test_a_sweep_and_its_features(events, side):
    candles = market(side)
    table = events(candles, PARAMETERS)
    level = 97 if side > 0 else 103
    assert table.setup_bar.tolist() == table.signal_bar.tolist() == [30]
    assert table.side.tolist() == [side]
    assert table.atr.tolist() == [average_true_range(candles)[30]]
    assert table.features.tolist() == [[1 / level, 1.0, 3.0, 0.5, 0.0]]


@pytest.mark.parametrize(
    ("name", "limit", "beyond"),
    [
        ("volume_spike_threshold", 3.0, 3.01),
        ("min_stop_density_score", 0.5, 0.51),
    ],
)
def test_a_threshold_includes_its_limit(events, side, name, limit, beyond):
    assert rows(events, market(side), **{name: limit}) == [(30, 30)]
    assert rows(events, market(side), **{name: beyond}) == []


def test_the_pierce_depth_is_a_fraction_of_the_level(events, side):
    depth = 1 / 97 if side > 0 else 1 / 103
    assert rows(events, market(side), pierce_depth=depth) == [(30, 30)]
    assert rows(events, market(side), pierce_depth=np.nextafter(depth, 1)) == []


def test_a_level_touched_is_not_pierced(events, side):
    at_the_level = {30: (97.5, 101, 97, 100.5)}
    assert rows(events, market(side, at_the_level), pierce_depth=0.0) == []


def test_a_level_must_be_intact_before(events, side):
    at_the_level = {29: (100, 101, 97, 97)}
    above_it = {29: (100, 101, 97, 97.01)}
    assert rows(events, market(side, at_the_level)) == []
    assert rows(events, market(side, above_it)) == [(30, 30)]


def test_a_filled_bar_is_no_sweep(events, side):
    assert rows(events, market(side, filled=[30])) == []


@pytest.mark.parametrize(("sweep", "expected"), [(28, []), (29, [(29, 29)]), (45, [(45, 45)])])
def test_a_swing_point_is_known_four_bars_later(events, side, sweep, expected):
    assert rows(events, market(side, sweep=sweep)) == expected


def test_a_swing_point_is_forgotten_after_the_lookback(events, side):
    assert rows(events, market(side, sweep=46)) == []
    assert rows(events, market(side, sweep=46), key_level_lookback=21) == [(46, 46)]


def test_the_first_setup_bar_is_20(events, side):
    assert rows(events, market(side, swing=14, sweep=19), volume_spike_threshold=0.0) == []
    assert rows(events, market(side, swing=14, sweep=20)) == [(20, 20)]


def test_the_level_is_the_most_extreme_swing_point(events, side):
    """A deeper swing low at 21 is the level: 96 is not below 95.5."""
    assert rows(events, market(side, {21: (100, 101, 95.5, 100)})) == []
    assert rows(events, market(side, {21: (100, 101, 98, 100)})) == [(30, 30)]


@pytest.mark.parametrize(("second", "score"), [(97.0, 0.75), (97.5, 0.75), (97.6, 0.5)])
def test_stop_density_counts_swing_points_near_the_level(events, side, second, score):
    """Near: within a quarter of the ATR before the sweep, 2.16 here."""
    candles = market(side, {21: (100, 101, second, 100)})
    assert 0.5 < 0.25 * average_true_range(candles)[29] < 0.6
    (features,) = events(candles, PARAMETERS).features
    assert features[3] == score


def test_three_touches_score_seven_eighths(events, side):
    candles = market(side, {17: SWING, 21: SWING})
    (features,) = events(candles, PARAMETERS).features
    assert features[3] == 0.875


LATE = {30: (97.5, 101, 96, 98), 31: (98, 99, 97.5, 98), 32: (97.5, 101, 97.5, 101)}


def test_the_signal_is_the_first_qualifying_bar(events, side):
    """Bodies 0.5, 0, 3.5; a further large body at 33 changes nothing."""
    assert rows(events, market(side, LATE)) == [(30, 32)]
    assert rows(events, market(side, LATE | {33: (97.5, 101, 97.5, 101)})) == [(30, 32)]


def test_rejection_candles_count_from_the_setup_bar(events, side):
    assert rows(events, market(side, LATE), rejection_candles=2) == []
    (features,) = events(market(side, LATE), PARAMETERS).features
    assert features[1] == 3


def test_a_filled_bar_is_no_reversal_but_counts(events, side):
    assert rows(events, market(side, LATE, filled=[32])) == []
    late = LATE | {33: (97.5, 101, 97.5, 101)}
    assert rows(events, market(side, late, filled=[32])) == []
    assert rows(events, market(side, late, filled=[32]), rejection_candles=4) == [(30, 33)]


def test_a_reversal_needs_a_body_of_its_atr(events, side):
    candles = market(side)
    size = 3 / average_true_range(candles)[30]
    assert rows(events, candles, reversal_candle_size=size * 0.999) == [(30, 30)]
    assert rows(events, candles, reversal_candle_size=size * 1.001) == []


def exact_market(side, second_low=95.5):
    """Every true range is 2, so every ATR is; swing lows at 17 and 25 (95), bar 30 sweeps."""
    path = {14: 99, 15: 98, 16: 97, 17: second_low + 1, 18: 97, 19: 98, 20: 99}
    path |= {22: 99, 23: 98, 24: 97, 25: 96, 26: 97, 27: 98, 28: 97, 29: 96}
    bars = {bar: (close, close + 1, close - 1, close) for bar, close in path.items()}
    candles = market(side, bars | {30: (94, 96, 94, 96)})
    if second_low == 95.5:
        assert average_true_range(candles)[13:31].tolist() == [2.0] * 18
    return candles


def test_a_body_of_exactly_its_atr_qualifies(events, side):
    assert rows(events, exact_market(side), reversal_candle_size=1.0) == [(30, 30)]
    assert rows(events, exact_market(side), reversal_candle_size=np.nextafter(1, 2)) == []


def test_a_touch_at_exactly_a_quarter_of_the_atr_counts(events, side):
    (features,) = events(exact_market(side), PARAMETERS).features
    assert features[3] == 0.75
    (features,) = events(exact_market(side, 95.5 + 1e-9), PARAMETERS).features
    assert features[3] == 0.5


def test_a_reversal_closes_beyond_the_level(events, side):
    at_the_level = {30: (93, 98, 92, 97), 31: (100, 101, 99, 100)}
    above_it = {30: (93, 98, 92, 97.01)}
    assert rows(events, market(side, at_the_level)) == []
    assert rows(events, market(side, above_it)) == [(30, 30)]


def test_a_body_against_the_trade_is_no_reversal(events, side):
    down = {30: (101, 101, 96, 97.5)}
    assert rows(events, market(side, down), reversal_candle_size=0.0) == [(30, 31)]
    assert rows(events, market(side, down)) == []


def test_a_reversal_after_the_last_bar_is_not_there(events, side):
    assert rows(events, market(side, LATE).cut(0, 32)) == []
    assert rows(events, market(side, LATE).cut(0, 33)) == [(30, 32)]


def test_at_one_signal_bar_the_earlier_sweep_comes_first(events, side):
    both = LATE | {31: (98, 99, 95.5, 98)}
    candles = market(side, both)
    candles.volume[31] = 4.0
    assert rows(events, candles) == [(30, 32), (31, 32)]


def test_the_order_at_one_signal_bar_is_by_sweep_then_long_first(events):
    """A doji signals both ways where any body does: a short swept at 30, both sides at 31."""
    changes = {21: (100, 103, 99, 100), 30: (98, 104, 98, 101), 31: (105, 105, 96, 104)}
    candles = market(+1, changes | {32: (100, 101, 99, 100)})
    candles.volume[31] = 4.0
    table = events(candles, PARAMETERS | {"reversal_candle_size": 0.0})
    assert table.signal_bar.tolist() == [32, 32, 32]
    assert table.setup_bar.tolist() == [30, 31, 31]
    assert table.side.tolist() == [-1, +1, -1]


def test_a_sweep_of_both_sides_is_a_long_and_a_short(events):
    """A swing high at 21 beside the low at 25; bar 30 pierces both. One signal each, by bar."""
    changes = {21: (100, 103, 99, 100), 30: (100, 104, 96, 100), 31: (97.5, 101, 97, 101)}
    candles = market(+1, changes | {32: (103, 103, 98, 98)})
    table = events(candles, PARAMETERS)
    assert table.setup_bar.tolist() == [30, 30]
    assert table.signal_bar.tolist() == [31, 32]
    assert table.side.tolist() == [+1, -1]
