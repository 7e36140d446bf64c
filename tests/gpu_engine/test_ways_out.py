"""Exits rules §2 to §6 as tables: a long at 100 of ATR 2 under one setting, and its mirror.

Bar 0 is the signal bar; the rows are bars 1, 2, ... as (open, high, low, close). A short sees all
prices and levels mirrored about 100. `test_exit_rules` has the plain setting of a stop in ATR and a
target in stop distances.
"""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import REASONS, Costs, Funding, Window
from support.backtest import FREE, HOUR, MIDNIGHT, NO_BREAKERS, Backtest, Signal, make_candles

SIGNAL_BAR = (100, 100, 100, 100)
QUIET = (100, 101, 99, 100)
UP = (100, 102, 99, 101)  # its best price is one stop distance, or one ATR, from the entry
RUN = (100, 106, 100, 101)  # far up and back within the bar

BREAK_EVEN = {"stop_distance": 1, "break_even_trigger": 1}
TRAIL = {"trail_activation": 1, "trail_distance": 1}

# name: setting, columns of the row, rows, (exit bar, exit price, reason)
CASES = {
    "2 stop in ATR": ({"stop_distance": 1}, {}, [(100, 101, 98, 99)], (1, 98, "stop")),
    "2 stop as a fraction": ({"stop_fraction": 0.02}, {}, [(100, 101, 98, 99)], (1, 98, "stop")),
    "2 stop at a level": (
        {"stop_offset": 0}, {"stop_level": 98.5}, [(100, 101, 98.5, 99)], (1, 98.5, "stop")
    ),
    "2 stop beyond a level": (
        {"stop_offset": 0.5}, {"stop_level": 99}, [(100, 101, 98, 99)], (1, 98, "stop")
    ),
    "2 target in ATR": ({"target_distance": 1.5}, {}, [(100, 103, 90, 99)], (1, 103, "target")),
    "2 target as a fraction": (
        {"target_fraction": 0.03}, {}, [(100, 103, 90, 99)], (1, 103, "target")
    ),
    "2 target on the way to a level": (
        {"target_reach": 0.5}, {"target_level": 106}, [(100, 103, 90, 99)], (1, 103, "target")
    ),
    "2 target beyond a level": (
        {"target_reach": 1.5}, {"target_level": 102}, [QUIET, (100, 103, 90, 99)],
        (2, 103, "target"),
    ),
    "2 target in distances of a level's stop": (
        {"stop_offset": 0.5, "target_multiple": 1.5}, {"stop_level": 99}, [(100, 103, 98.5, 99)],
        (1, 103, "target"),
    ),
    "2.4 neither stop nor target": ({}, {}, [(100, 150, 50, 99), QUIET], (2, 100, "end")),
    "4.2 break even": (BREAK_EVEN, {}, [UP, (101, 101, 100, 100)], (2, 100, "stop")),
    "4.2 break even not triggered": (
        BREAK_EVEN, {}, [(100, 101.99, 99, 101), (101, 101, 98, 99)], (2, 98, "stop")
    ),
    "4.2 break even gaps": (BREAK_EVEN, {}, [UP, (99, 99.5, 98.5, 99)], (2, 99, "stop_gap")),
    "4.2 break even leaves a stop that is not reached": (
        BREAK_EVEN, {}, [UP, (101, 101, 100.5, 101)], (2, 101, "end")
    ),
    "4.3 trail": (TRAIL, {}, [(100, 103, 99, 103), (103, 103, 101, 102)], (2, 101, "stop")),
    "4.3 trail not activated": (
        TRAIL, {}, [(100, 101.99, 99, 101), (101, 101, 50, 100)], (2, 100, "end")
    ),
    "4.3 trail from the start": (
        {"trail_activation": 0, "trail_distance": 1}, {}, [QUIET, (100, 100, 99, 99.5)],
        (2, 99, "stop"),
    ),
    "4 the tightest is the first stop": (
        BREAK_EVEN | {"trail_activation": 0, "trail_distance": 3}, {},
        [QUIET, (100, 100, 98, 99)], (2, 98, "stop"),
    ),
    "4 the tightest is break even": (
        BREAK_EVEN | {"trail_activation": 1, "trail_distance": 2}, {},
        [UP, (101, 101, 97, 99)], (2, 100, "stop"),
    ),
    "4 the tightest is the trail": (
        BREAK_EVEN | {"trail_activation": 1, "trail_distance": 0.5}, {},
        [UP, (101.5, 101.5, 97, 99)], (2, 101, "stop"),
    ),
    "4.5 the entry bar does not move its own stop": (
        BREAK_EVEN | TRAIL, {}, [(100, 110, 99, 109), QUIET], (2, 100, "stop_gap")
    ),
    "4.5 a later bar does not either": (
        TRAIL, {}, [QUIET, (100, 110, 99, 109), (109, 109, 107, 107)], (3, 108, "stop")
    ),
    "4.6 a trail never loosens": (
        TRAIL, {}, [(100, 104, 100, 103), (103, 103, 102.5, 103), (103, 103, 102, 102)],
        (3, 102, "stop"),
    ),
    "4.7 a stop above the last close takes the open": (
        {"trail_activation": 1, "trail_distance": 0.5}, {}, [RUN, (101, 107, 101, 107)],
        (2, 101, "stop_gap"),
    ),
    "5.3 signal": (
        {"stop_distance": 1}, {"exit_signal_bar": 2}, [QUIET, QUIET, (99.5, 101, 99, 100)],
        (3, 99.5, "signal"),
    ),
    "5.3 signal at the close of the entry bar": (
        {}, {"exit_signal_bar": 1}, [QUIET, (99.5, 101, 99, 100)], (2, 99.5, "signal")
    ),
    "5.3 no signal": ({}, {"exit_signal_bar": -1}, [QUIET, QUIET], (2, 100, "end")),
    "5.3 comes after a stop gap": (
        {"stop_distance": 1}, {"exit_signal_bar": 1}, [QUIET, (97, 98, 97, 98)],
        (2, 97, "stop_gap"),
    ),
    "5.3 comes after a target gap": (
        {"target_distance": 1.5}, {"exit_signal_bar": 1}, [QUIET, (104, 104, 104, 104)],
        (2, 103, "target_gap"),
    ),
    "5.3 comes before stop and target": (
        {"stop_distance": 1, "target_distance": 1}, {"exit_signal_bar": 1},
        [QUIET, (100.5, 103, 97, 100)], (2, 100.5, "signal"),
    ),
    "5.6 holding time": ({"holding_bars": 2}, {}, [QUIET, QUIET, QUIET], (2, 100, "time")),
    "5.7 a signal of the last close comes too late": (
        {}, {"exit_signal_bar": 2}, [QUIET, (100, 101, 99, 100.5)], (2, 100.5, "end")
    ),
}  # fmt: skip


def mirrored(side, price):
    return price if side > 0 else 200 - price


def backtest(side, setting, columns, rows, **options):
    """The one trade's backtest; ``filled`` names bars in which nothing traded."""
    bars = np.array([SIGNAL_BAR, *rows], np.float64)
    if side < 0:
        bars = 200 - bars[:, [0, 2, 1, 3]]
    levels = {n: v if n == "exit_signal_bar" else mirrored(side, v) for n, v in columns.items()}
    signal = Signal(0, side)._replace(**levels)
    candles = make_candles(bars, options.pop("filled", ()))
    return Backtest(candles, (signal,), setting=setting, **options)


def the_exit(test, backend):
    """Exit bar, price as the long sees it, and reason of the only trade."""
    (trade,) = test.run(backend).trades
    price = mirrored(int(trade["side"]), trade["exit"])
    return trade["exit_bar"], pytest.approx(price, rel=1e-14), REASONS[trade["reason"]]


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("setting", "columns", "rows", "expected"), CASES.values(), ids=CASES)
def test_exit(backend, side, setting, columns, rows, expected):
    assert the_exit(backtest(side, setting, columns, rows), backend) == expected


FILLED = {
    "5.1 waits for a bar with trades": (
        {"trail_activation": 1, "trail_distance": 0.5}, {},
        [RUN, (101, 101, 101, 101), (100.5, 101, 100, 101)], (3, 100.5, "stop_gap"),
    ),
    "5.3 waits for a bar with trades": (
        {}, {"exit_signal_bar": 1}, [QUIET, (100, 100, 100, 100), (99.5, 101, 99, 100)],
        (3, 99.5, "signal"),
    ),
    "5.6 does not wait": (
        {"holding_bars": 2}, {}, [QUIET, (100, 100, 100, 100), QUIET], (2, 100, "time")
    ),
    "5.7 does not wait": (
        {}, {"exit_signal_bar": 1}, [QUIET, (100, 100, 100, 100)], (2, 100, "end")
    ),
}  # fmt: skip


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("setting", "columns", "rows", "expected"), FILLED.values(), ids=FILLED)
def test_nothing_fills_in_a_filled_bar(backend, side, setting, columns, rows, expected):
    """Exits rules §5.8; bar 2 is filled."""
    test = backtest(side, setting, columns, rows, filled=[2])
    assert the_exit(test, backend) == expected


@pytest.mark.parametrize(("own", "limit", "bar"), [(2, 3, 2), (3, 2, 2), (2, None, 2)])
def test_the_shorter_holding_time_counts(backend, own, limit, bar):
    risk = replace(NO_BREAKERS, max_holding_bars=limit)
    test = backtest(+1, {"holding_bars": own}, {}, [QUIET] * 4, risk=risk)
    assert the_exit(test, backend) == (bar, 100, "time")


# name: setting, columns, slippage, whether the row is kept; the entry bar opens at 100
DROPPED = {
    "3.2 the open is inside the level": ({"stop_offset": 0}, {"stop_level": 99}, 0, True),
    "3.2 the open is at the level": ({"stop_offset": 0}, {"stop_level": 100}, 0, False),
    "3.2 the open is beyond the level": ({"stop_offset": 0}, {"stop_level": 101}, 0, False),
    "3.2 slippage lifts the entry over it": ({"stop_offset": 0}, {"stop_level": 101}, 0.02, False),
    "3 a row without the level": ({"stop_offset": 0}, {"stop_level": np.nan}, 0, False),
    "3.3 the level is ahead": ({"target_reach": 1}, {"target_level": 102}, 0, True),
    "3.3 the entry is at the level": ({"target_reach": 1}, {"target_level": 100}, 0, False),
    "3.3 slippage carries it past": ({"target_reach": 1}, {"target_level": 101}, 0.02, False),
    "3 a level that is not used": ({"stop_distance": 1}, {"stop_level": 150}, 0, True),
}


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("setting", "columns", "slippage", "kept"), DROPPED.values(), ids=DROPPED)
def test_dropped_rows(backend, side, setting, columns, slippage, kept):
    rows = [(100, 103, 97, 100)]
    test = backtest(side, setting, columns, rows, costs=Costs(0.0, slippage))
    assert len(test.run(backend).trades) == kept


def test_a_dropped_row_blocks_nothing(backend):
    """§3: the second row of the same bar is taken, and the exit bar of the first is free."""
    rows = [SIGNAL_BAR, QUIET, QUIET]
    signals = (Signal(0, +1, stop_level=101.0), Signal(0, -1, stop_level=103.0))
    test = Backtest(make_candles(rows), signals, setting={"stop_offset": 0})
    (trade,) = test.run(backend).trades
    assert (trade["side"], trade["entry_bar"], trade["stop"]) == (-1, 1, 103)


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize("maker", [None, 0.0002, -0.0001])
def test_a_target_pays_the_makers_fee_and_a_stop_the_takers(backend, side, maker):
    costs = Costs(0.001, 0.0, maker)
    setting = {"stop_distance": 1, "target_multiple": 1.5}
    for row, price, fee in (
        ((100, 103, 99, 100), 103, 0.001 if maker is None else maker),
        ((100, 101, 98, 99), 98, 0.001),
    ):
        (trade,) = backtest(side, setting, {}, [row], costs=costs).run(backend).trades
        price = mirrored(side, price)
        expected = side * (price - 100) / 100 - (0.001 + fee * price / 100)
        assert trade["ret"] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(
    ("hour", "offset", "paid"),
    [(1, 0, False), (1, 1, True), (2, 0, True), (3, 0, True), (3, 1, False), (4, 0, False)],
)
def test_funding_after_the_entry_opens_until_the_exit_bar_opens(backend, side, hour, offset, paid):
    """§6.3: the trade lasts from bar 1 to bar 3; a long pays a positive rate."""
    time = MIDNIGHT + hour * HOUR + offset
    funding = Funding(np.array([time]), np.array([0.002]))
    costs = replace(FREE, funding=funding)
    test = backtest(side, {"holding_bars": 3}, {}, [QUIET] * 5, costs=costs)
    (trade,) = test.run(backend).trades
    assert trade["exit_bar"] == 3
    assert trade["ret"] == pytest.approx(-side * 0.002 if paid else 0.0, abs=1e-15)


def test_funding_that_cancels_leaves_nothing(backend):
    """0.0001 was paid before the trade; in it 0.0002 is paid and received: no losing trade."""
    times = MIDNIGHT + HOUR * np.array([1, 3, 4])
    costs = replace(FREE, funding=Funding(times, np.array([0.0001, 0.0002, -0.0002])))
    result = backtest(+1, {"holding_bars": 4}, {}, [QUIET] * 5, costs=costs).run(backend)
    assert result.trades["ret"].tolist() == [0.0]
    assert np.isnan(result.metrics["profit_factor"])


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize(("holding", "bars"), [(3, 3), (1, 1), (9, 4)])
def test_a_short_borrows_from_its_entry_to_the_close_of_its_exit(backend, side, holding, bars):
    """§6.4: 0.024 a day is 0.001 a bar of an hour, also where the window's end cuts it short."""
    options = {"costs": replace(FREE, borrow_rate=0.024), "window": Window(0, 5)}
    result = backtest(side, {"holding_bars": holding}, {}, [QUIET] * 8, **options).run(backend)
    paid = 0.001 * bars if side < 0 else 0.0
    assert result.trades["ret"].tolist() == [pytest.approx(-paid, abs=1e-15)]
    assert result.metrics["net_profit"] == pytest.approx(-paid, abs=1e-15)


def test_a_contract_borrows_nothing(backend):
    costs = replace(FREE, borrow_rate=0.024, funding=Funding(np.array([0]), np.array([0.01])))
    (trade,) = backtest(-1, {"holding_bars": 2}, {}, [QUIET] * 3, costs=costs).run(backend).trades
    assert trade["ret"] == 0.0


@pytest.mark.parametrize(
    ("times", "rates", "words"),
    [
        ([2, 1], [0.1, 0.1], "funding times must ascend; time 1"),
        ([1, 2], [0.1, np.nan], "funding rate 1 must be a finite number"),
        ([1, 2], [0.1], "one rate for each time; got 1 rates and 2 times"),
    ],
)
def test_a_funding_series_that_is_refused(times, rates, words):
    costs = replace(FREE, funding=Funding(np.array(times), np.array(rates)))
    with pytest.raises(ValueError, match=words):
        backtest(+1, {"holding_bars": 1}, {}, [QUIET], costs=costs).run("numpy")
