"""An exported strategy file, executed: freqtrade's backtest trades what ours trades.

freqtrade itself is stood in for (`support.freqtrade_stand_in`); test_freqtrade_agreement.py runs
the real one.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from gpu_engine import Funding
from pipeline.bots.freqtrade_files import write_files
from support.bots import EXIT_SETS, EXPECTED_REASONS, our_trades, plan_with_exits
from support.coarse import coarse_candles
from support.freqtrade_stand_in import (
    OperationalException,
    RunMode,
    Trade,
    backtest,
    frame_of,
    load_strategy_file,
    stand_in,
)

FILE, PAIR, START = "binance_BTC-USDT_1h", "BTC/USDT:USDT", 30


@pytest.fixture(scope="module")
def candles():
    """Hours, some of them filled, of a contract that pays every eight of them."""
    hours = coarse_candles(np.random.default_rng(1), 1_500, step_ms=3_600_000)
    times = hours.timestamp[6::8]
    rates = np.random.default_rng(2).normal(1e-4, 2e-4, len(times))
    return replace(hours, funding=Funding(times, rates))


def theirs_and_ours(folder, plan, candles, start=START):
    with stand_in():
        strategy = exported(folder, plan, timerange=f"{int(candles.timestamp[start]) // 1000}-")
        strategy.startup_candle_count = start
        theirs = backtest(strategy, plan.pair, candles, start)
    return theirs, our_trades(plan, candles, start)


def ms(moment):
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("name", EXIT_SETS)
def test_it_enters_and_leaves_as_our_backtest(tmp_path, candles, name):
    plan = plan_with_exits(name, FILE, "both", pair=PAIR)
    theirs, ours = theirs_and_ours(tmp_path, plan, candles)
    assert len(ours) > 50
    assert [ms(t.open_date_utc) for t in theirs] == [t.opened for t in ours]
    assert [t.is_short for t in theirs] == [t.side < 0 for t in ours]
    assert [ms(t.close_date_utc) for t in theirs] == [t.closed for t in ours]
    pairs = list(zip(theirs, ours, strict=True))
    apart = [(a, b) for a, b in pairs if abs(a.close_rate - b.level) > 0.01]
    assert {b.reason for _, b in apart} <= {"target_gap", "end"}  # docs/freqtrade.md
    assert all(a.exit_reason in EXPECTED_REASONS[b.reason] for a, b in pairs)


def exported(folder, plan, runmode=RunMode.BACKTEST, timerange=""):
    """Write a plan and load its strategy; within `stand_in` alone."""
    if not (folder / f"{plan.configuration_id}.py").exists():
        write_files(plan, folder)
    config = {"runmode": runmode, "timerange": timerange}
    return load_strategy_file(folder / f"{plan.configuration_id}.py", config)


def test_a_size_of_0_enters_nothing(tmp_path, candles):
    plan = plan_with_exits("even", FILE, "both", pair=PAIR, size=0.0, stage="PAPER")
    with stand_in():
        strategy = exported(tmp_path, plan)
        assert backtest(strategy, PAIR, candles, START) == []
        # Nor where something else asks for an entry.
        trading = exported(tmp_path / "other", replace(plan, size=1.0))
        (bar, *_), side = entries(trading, candles)
        moment = datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC)
        asked = (PAIR, "market", 1.0, float(candles.open[bar]), "GTC", moment, None, side)
        assert trading.confirm_trade_entry(*asked)
        assert not strategy.confirm_trade_entry(*asked)
        assert strategy.custom_stake_amount(PAIR, moment, 1, 9, 1, 9, 1, None, side) == 0.0


def entries(strategy, candles):
    """Bars at which a strategy enters, and the side of the first."""
    strategy.dp = SimpleNamespace(get_pair_dataframe=lambda *_, **__: None)
    frame = strategy.populate_entry_trend(frame_of(candles), {"pair": PAIR})
    side = (frame["enter_long"] - frame["enter_short"]).to_numpy()
    bars = np.flatnonzero(side[:-1] * ~candles.filled[1:]) + 1
    return bars, "long" if side[bars[0] - 1] > 0 else "short"


def test_other_code_than_the_exporting_one_is_refused(tmp_path):
    plan = replace(plan_with_exits("even", FILE, "both", pair=PAIR), engine_hash="0" * 64)
    with stand_in(), pytest.raises(OperationalException, match="Export the configuration again"):
        exported(tmp_path, plan)


def test_the_stake_is_the_stages_share(tmp_path, candles):
    plan = plan_with_exits("even", FILE, "both", pair=PAIR, size=0.25)
    with stand_in():
        strategy = exported(tmp_path, plan)
        written = json.loads((tmp_path / f"{plan.configuration_id}.config.json").read_text())
        balance = written["dry_run_wallet"] * written["tradable_balance_ratio"]  # as freqtrade does
        strategy.wallets = SimpleNamespace(get_total_stake_amount=lambda: balance)
        assert strategy.custom_stake_amount(PAIR, None, 1, 9, 1, 900.0, 1, None, "long") == 247.5
        assert strategy.custom_stake_amount(PAIR, None, 1, 9, 1, 200.0, 1, None, "long") == 200.0


def test_a_bot_that_starts_again_knows_its_position(tmp_path, candles):
    """Live: the levels are kept with the trade, and the candles may have moved on."""
    plan = plan_with_exits("clock", FILE, "both", pair=PAIR)
    with stand_in():
        strategy = exported(tmp_path, plan, RunMode.LIVE)
        (bar, *_), side = entries(strategy, candles)
        opened = datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000 + 3, UTC)
        Trade.everyone = []
        trade = Trade(1, -1 if side == "short" else 1, opened, float(candles.open[bar]), 0.001)
        strategy.order_filled(PAIR, trade, SimpleNamespace(ft_order_side="entry"), opened)
        again = exported(tmp_path, plan, RunMode.LIVE)
        held = EXIT_SETS["clock"]["holding_bars"] * timedelta(hours=1)
        closes = datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC) + held
        moments = [closes - timedelta(seconds=1), closes + timedelta(seconds=2)]
        asked = [again.custom_exit(PAIR, trade, m, trade.open_rate, 0.0) for m in moments]
        assert asked == [None, "time"]
        assert again.order_types["exit"] == "market"


def test_a_live_bot_enters_a_bar_once(tmp_path, candles):
    plan = plan_with_exits("even", FILE, "both", pair=PAIR)
    with stand_in():
        strategy = exported(tmp_path, plan, RunMode.DRY_RUN)
        (bar, *_), side = entries(strategy, candles)
        open_time = datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC)
        moment, rate = open_time + timedelta(minutes=5), float(candles.open[bar])
        asked = (PAIR, "market", 1.0, rate, "GTC", moment, None, side)
        Trade.everyone = []
        assert strategy.confirm_trade_entry(*asked)
        trade = Trade(1, -1 if side == "short" else 1, open_time, rate, 0.001)
        trade.strategy = strategy.get_strategy_name()
        trade.close_date_utc, trade.close_rate, trade.exit_reason = moment, rate, "stop_loss"
        Trade.everyone = [trade]
        assert not strategy.confirm_trade_entry(*asked)
