"""Exits rules §5 as tables: a long at 100, its stop at 98 and its target at 103, and its mirror.

Bar 0 is the signal bar; the rows are bars 1, 2, ... as (open, high, low, close).
"""

import numpy as np
import pytest

from gpu_engine import REASONS, Costs, RiskLimits, Window
from support.backtest import Backtest, Signal, make_candles

SIGNAL_BAR = (100, 100, 100, 100)
QUIET = (100, 101, 99, 100)  # touches nothing

HOLD_2 = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None, max_holding_bars=2)
HOLD_1 = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None, max_holding_bars=1)

# name: rows, (exit bar, exit price, reason)
ALONE = {
    "5.1 opens below the stop": ([QUIET, (97, 97.5, 96, 97)], (2, 97, "stop_gap")),
    "5.1 opens at the stop": ([QUIET, (98, 99, 97, 99)], (2, 98, "stop_gap")),
    "5.1 opens just above the stop": ([QUIET, (98.01, 99, 97, 99)], (2, 98, "stop")),
    "5.1 comes before the target": ([QUIET, (97, 104, 97, 104)], (2, 97, "stop_gap")),
    "5.2 opens above the target": ([QUIET, (104, 105, 104, 105)], (2, 103, "target_gap")),
    "5.2 opens at the target": ([QUIET, (103, 103, 99, 100)], (2, 103, "target_gap")),
    "5.2 opens just below the target": ([QUIET, (102.99, 104, 99, 100)], (2, 103, "target")),
    "5.2 comes before the stop": ([QUIET, (104, 104, 97, 98)], (2, 103, "target_gap")),
    "5.4 trades below the stop": ([(100, 101, 97, 99)], (1, 98, "stop")),
    "5.4 touches the stop": ([(100, 101, 98, 99)], (1, 98, "stop")),
    "5.4 stops just short of it": ([(100, 101, 98.01, 99), QUIET], (2, 100, "end")),
    "5.4 comes before the target": ([(100, 104, 97, 103)], (1, 98, "stop")),
    "5.5 trades above the target": ([(100, 104, 99, 103)], (1, 103, "target")),
    "5.5 touches the target": ([(100, 103, 99, 100)], (1, 103, "target")),
    "5.5 stops just short of it": ([(100, 102.99, 99, 100), QUIET], (2, 100, "end")),
    "5.5 much later": ([QUIET] * 5 + [(100, 103, 99, 100)], (6, 103, "target")),
    "5.7 at the last close": ([QUIET, (100, 102, 99, 101.5)], (2, 101.5, "end")),
    "5.7 on the entry bar": ([(100, 102, 99, 101)], (1, 101, "end")),
}
TIMED = {
    "5.6 at the close of the last bar allowed": (
        HOLD_2,
        [QUIET, (100, 101, 99, 100.5), QUIET],
        (2, 100.5, "time"),
    ),
    "5.6 on the entry bar": (HOLD_1, [(100, 101, 99, 100.5), QUIET], (1, 100.5, "time")),
    "5.6 comes after the stop": (HOLD_1, [(100, 101, 98, 99), QUIET], (1, 98, "stop")),
    "5.6 comes after the target": (HOLD_1, [(100, 103, 99, 99), QUIET], (1, 103, "target")),
    "5.6 comes after a gap": (HOLD_2, [QUIET, (97, 97, 97, 97), QUIET], (2, 97, "stop_gap")),
    "5.6 comes before the end": (HOLD_2, [QUIET, QUIET], (2, 100, "time")),
    "5.7 when the window is shorter": (HOLD_2, [(100, 102, 99, 101)], (1, 101, "end")),
}


def only_exit(backend, side, rows, **options):
    """Exit bar, price and reason of the one trade; a short sees prices mirrored about 100."""
    bars = np.array([SIGNAL_BAR, *rows], np.float64)
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    filled = options.pop("filled", ())
    test = Backtest(make_candles(bars, filled), (Signal(0, side),), **options)
    (trade,) = test.run(backend).trades
    assert (trade["side"], trade["entry_bar"], trade["entry"]) == (side, 1, 100)
    price = trade["exit"] if side > 0 else 200 - trade["exit"]
    return trade["exit_bar"], pytest.approx(price, rel=1e-14), REASONS[trade["reason"]]


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("rows", "expected"), ALONE.values(), ids=ALONE)
def test_exit(backend, side, rows, expected):
    assert only_exit(backend, side, rows) == expected


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("risk", "rows", "expected"), TIMED.values(), ids=TIMED)
def test_exit_with_a_time_limit(backend, side, risk, rows, expected):
    assert only_exit(backend, side, rows, risk=risk) == expected


@pytest.mark.parametrize(("side", "entry", "exit_"), [(+1, 103, 100 * 0.97), (-1, 97, 100 * 1.03)])
def test_no_stop_of_the_entry_bar_fills_better_than_its_open(backend, side, entry, exit_):
    """Slippage puts the stop, at 101 or 99, beyond the open: §5.4; §5.1 needs ``j > e``."""
    candles = make_candles([SIGNAL_BAR, (100, 100, 100, 100), QUIET])
    test = Backtest(candles, (Signal(0, side),), costs=Costs(fee_rate=0.0, slippage=0.03))
    (trade,) = test.run(backend).trades
    assert (trade["exit_bar"], REASONS[trade["reason"]]) == (1, "stop")
    assert (trade["entry"], trade["exit"]) == pytest.approx((entry, exit_), rel=1e-14)


@pytest.mark.parametrize("side", [+1, -1])
def test_a_row_without_a_distance_is_dropped(backend, side):
    signals = (Signal(0, side, atr=0.0), Signal(0, side, atr=2.0))
    (trade,) = Backtest(make_candles([SIGNAL_BAR, QUIET, QUIET]), signals).run(backend).trades
    assert (trade["stop"], trade["target"]) == (100 - 2 * side, 100 + 3 * side)


def test_a_filled_bar_counts_as_a_bar(backend):
    rows = [(100, 101, 99, 100.5), (100.5, 100.5, 100.5, 100.5), QUIET]
    exit_ = only_exit(backend, +1, rows, risk=HOLD_2, filled=[2])
    assert exit_ == (2, 100.5, "time")


def test_stop_and_target_are_in_atr_of_the_signal_bar(backend):
    """stop_distance 0.5 and multiple 4 of ATR 2: stop 99, target 104."""
    settings = {"stop_distance": 0.5, "target_multiple": 4.0}
    assert only_exit(backend, +1, [(100, 104, 99.01, 100)], **settings) == (1, 104, "target")
    assert only_exit(backend, +1, [(100, 103.99, 99, 100)], **settings) == (1, 99, "stop")


@pytest.mark.parametrize(
    ("end", "expected"),
    [(4, (3, 101, "end")), (5, (4, 98, "stop")), (6, (4, 98, "stop")), (2, (1, 100, "end"))],
)
def test_a_window_closes_what_it_cuts(backend, end, expected):
    """Fills rules §8: windows share the outcome; the one that ends before bar 4 closes it."""
    rows = [QUIET, QUIET, (100, 102, 99, 101), (101, 101, 97, 97), QUIET]
    assert only_exit(backend, +1, rows, window=Window(0, end)) == expected
