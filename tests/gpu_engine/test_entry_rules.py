"""Which signals become trades: fills rules §6 and §8."""

import numpy as np
import pytest

from gpu_engine import REASONS, RiskLimits, Window
from support.backtest import FREE, Backtest, Signal, make_candles

QUIET = [(100, 101, 99, 100)] * 10  # an entry stays open to the end
HOLD_2 = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None, max_holding_bars=2)
HOLD_1 = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None, max_holding_bars=1)


def traded(backend, signals, bars=QUIET, filled=(), **options):
    """(signal bar, entry bar, exit bar) of every trade."""
    trades = Backtest(make_candles(bars, filled), signals, **options).run(backend).trades
    return [(t["signal_bar"], t["entry_bar"], t["exit_bar"]) for t in trades]


def test_entry_is_the_open_after_the_signal(backend):
    bars = [(1, 2, 3, 4), (100, 101, 99, 100.5), (90, 91, 89, 90)]
    (trade,) = Backtest(make_candles(bars), (Signal(0, setup_bar=0),)).run(backend).trades
    assert (trade["setup_bar"], trade["signal_bar"], trade["entry_bar"]) == (0, 0, 1)
    assert trade["entry"] == 100


def test_a_signal_on_the_last_bar_has_no_entry(backend):
    assert traded(backend, (Signal(9),)) == []
    assert traded(backend, (Signal(8),)) == [(8, 9, 9)]


def test_a_filled_bar_never_fills_an_entry(backend):
    signals = (Signal(2), Signal(5))
    assert traded(backend, signals, filled=[3]) == [(5, 6, 9)]


def test_an_entry_needs_a_bar_after_the_last_exit(backend):
    """In at 2, out at 3: a signal on bar 2 would enter on 3, one on bar 3 enters on 4."""
    signals = (Signal(1), Signal(2), Signal(3))
    assert traded(backend, signals, risk=HOLD_2) == [(1, 2, 3), (3, 4, 5)]


def test_an_exit_on_the_entry_bar_frees_the_next_bar(backend):
    signals = (Signal(1), Signal(2))
    assert traded(backend, signals, risk=HOLD_1) == [(1, 2, 2), (2, 3, 3)]


def test_the_first_of_several_rows_of_a_bar_is_taken(backend):
    signals = (Signal(4, -1, setup_bar=1), Signal(4, +1, setup_bar=3))
    (trade,) = Backtest(make_candles(QUIET), signals).run(backend).trades
    assert (trade["side"], trade["setup_bar"]) == (-1, 1)


def test_a_row_that_fails_a_threshold_leaves_its_bar_to_the_next(backend):
    signals = (Signal(4, -1, setup_bar=1, features=(0.9,)), Signal(4, +1, features=(1.0,)))
    test = Backtest(make_candles(QUIET), signals, thresholds=(1.0,), senses=(+1,))
    (trade,) = test.run(backend).trades
    assert (trade["side"], trade["setup_bar"]) == (+1, 4)


@pytest.mark.parametrize(
    ("sense", "threshold", "passing"),
    [
        (+1, 2.0, [2.0, 3.0]),  # >= includes equality
        (-1, 2.0, [1.0, 2.0]),  # <= includes equality
        (+1, -np.inf, [1.0, 2.0, 3.0]),  # off
        (-1, np.inf, [1.0, 2.0, 3.0]),  # off
        (+1, 3.5, []),
    ],
)
def test_thresholds(backend, sense, threshold, passing):
    features = (1.0, 2.0, np.nan, 3.0)  # NaN fails, even where the filter is off
    signals = tuple(Signal(2 * i, features=(value,)) for i, value in enumerate(features))
    rules = {"thresholds": (threshold,), "senses": (sense,)}
    trades = Backtest(make_candles(QUIET), signals, risk=HOLD_1, **rules).run(backend).trades
    assert [features[t["signal_bar"] // 2] for t in trades] == passing


def test_every_threshold_must_pass(backend):
    signals = (
        Signal(0, features=(2.0, 1.0)),
        Signal(2, features=(1.0, 1.0)),
        Signal(4, features=(2.0, 2.0)),
    )
    rules = {"thresholds": (2.0, 1.0), "senses": (+1, -1)}
    assert traded(backend, signals, risk=HOLD_1, **rules) == [(0, 1, 1)]


@pytest.mark.parametrize(
    ("direction", "sides"), [("both", [-1, +1, -1]), ("long", [+1]), ("short", [-1, -1])]
)
def test_direction(backend, direction, sides):
    risk = RiskLimits(1.0, None, None, max_holding_bars=1, direction=direction)
    signals = (Signal(1, -1), Signal(3, +1), Signal(5, -1))
    trades = Backtest(make_candles(QUIET), signals, FREE, risk).run(backend).trades
    assert trades["side"].tolist() == sides


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (3, 10, [(5, 6, 9)]),  # swept at 3 or later
        (4, 10, []),  # the sweep came before the window, its reversal does not count
        (3, 7, [(5, 6, 6)]),  # the entry bar may be the window's last
        (3, 6, []),  # but not lie beyond it
    ],
)
def test_a_window_holds_sweep_and_entry(backend, start, end, expected):
    signals = (Signal(5, setup_bar=3),)
    assert traded(backend, signals, window=Window(start, end)) == expected


def test_a_sweep_before_the_window_leaves_its_bar_to_the_next(backend):
    signals = (Signal(5, -1, setup_bar=3), Signal(5, +1, setup_bar=4), Signal(6, setup_bar=6))
    test = Backtest(make_candles(QUIET), signals, window=Window(4, 10))
    (trade,) = test.run(backend).trades
    assert (trade["side"], trade["setup_bar"], trade["exit_bar"]) == (+1, 4, 9)


def test_rows_that_differ_in_atr_alone_end_differently(backend):
    """Entries are shared between combinations; these two must not be."""
    bars = [*QUIET[:4], (100, 100, 98, 98), *QUIET[5:]]
    near, far = Signal(1, atr=2.0, features=(1.0,)), Signal(1, atr=4.0, features=(2.0,))
    rules = {"senses": (+1,)}
    first = Backtest(make_candles(bars), (near, far), thresholds=(1.0,), **rules).run(backend)
    second = Backtest(make_candles(bars), (near, far), thresholds=(2.0,), **rules).run(backend)
    assert REASONS[first.trades["reason"][0]] == "stop"
    assert (first.trades["exit_bar"][0], first.trades["exit"][0]) == (4, 98)
    assert REASONS[second.trades["reason"][0]] == "end"
