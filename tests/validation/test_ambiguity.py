"""Exit bars that touched both stop and target."""

import numpy as np
import pytest

from gpu_engine import LIQUIDATION, STOP, TARGET, TRADE, Costs
from gpu_engine.records import STOP_GAP
from pipeline.validation.out_of_sample import ambiguity
from support.backtest import make_candles

COSTS = Costs(fee_rate=0.001, slippage=0.002)
#: Entered at 100 or sold at 100, stop 2 away, target 4 away.
BARS = [(100, 101, 99, 100), (100, 105, 97, 100), (100, 103, 97, 98), (100, 102, 95, 101)]


def trade(side, exit_bar, reason=STOP):
    row = np.zeros(1, TRADE)
    price = {TARGET: 100 + 4 * side}.get(reason, (100 - 2 * side) * (1 - side * COSTS.slippage))
    row["side"], row["entry"], row["exit"], row["reason"] = side, 100.0, price, reason
    row["exit_bar"] = exit_bar
    row["ret"], row["target"] = net_return(side, price), 100 + 4 * side
    return row


def net_return(side, price):
    """Of an entry at 100 (exits rules §6)."""
    return side * (price - 100) / 100 - COSTS.fee_rate * (1 + price / 100)


def of(*trades, fraction=1.0):
    rows = np.concatenate(trades)
    return ambiguity(make_candles(BARS), rows, COSTS, fraction)


@pytest.mark.parametrize(
    ("side", "bar", "reason", "share"),
    [
        (+1, 1, STOP, 1.0),
        (+1, 2, STOP, 0.0),  # 103 is below the target of 104
        (-1, 3, STOP, 1.0),
        (-1, 2, STOP, 0.0),  # 97 is above the target of 96
        (+1, 1, STOP_GAP, 0.0),  # the open decided
        (+1, 1, TARGET, 0.0),
    ],
)
def test_only_a_stop_whose_bar_reached_the_target_is_ambiguous(side, bar, reason, share):
    assert of(trade(side, bar, reason)).exit_share == share


def test_the_target_first_is_worth_the_difference():
    lost, doubtful = trade(+1, 2), trade(-1, 3)
    found = of(lost, doubtful, fraction=0.5)
    won = net_return(-1, 96.0)
    assert found.exit_share == 0.5
    expected = (1 + 0.5 * lost["ret"][0]) * (1 + 0.5 * won) - 1
    assert found.net_profit_target_first == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("opening", "share"), [(100, 1.0), (97, 0.0)])
def test_a_liquidation_is_ambiguous_unless_the_bar_opened_beyond_its_level(opening, share):
    row = trade(+1, 1)
    row["reason"], row["stop"], row["exit"] = LIQUIDATION, 98.0, 96.0
    candles = make_candles([BARS[0], (opening, 105, 96, 100)])
    assert ambiguity(candles, row, COSTS, 1.0).exit_share == share


def test_without_trades_nothing_is_known():
    assert of(np.zeros(0, TRADE)) == (None, None)
