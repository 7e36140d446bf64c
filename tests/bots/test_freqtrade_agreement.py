"""The real freqtrade trades what our backtest of the same candles trades (docs/freqtrade.md)."""

import pytest

from pipeline.bots.freqtrade_files import write_files
from support.bots import EXPECTED_REASONS, our_trades, plan_of
from support.freqtrade_runs import backtest, freqtrade
from support.real_candles import real_candles

pytestmark = pytest.mark.slow

START = 600


@pytest.mark.parametrize(
    ("strategy", "file"),
    [
        ("donchian_breakout", "binance_BTC-USDT_1h_2023-01_2023-12"),
    ],
)
def test_every_entry_and_exit_agrees(tmp_path, strategy, file):
    freqtrade()
    candles = real_candles(file)
    plan = plan_of(strategy, file, direction="long")
    write_files(plan, tmp_path)
    theirs = backtest(tmp_path, plan, candles, START)
    ours = our_trades(plan, candles, START)
    assert len(ours) > 20
    assert [t["open_timestamp"] for t in theirs] == [t.opened for t in ours]
    assert [t["is_short"] for t in theirs] == [t.side < 0 for t in ours]
    assert [t["close_timestamp"] for t in theirs] == [t.closed for t in ours]
    assert [t["close_rate"] for t in theirs] == pytest.approx([t.level for t in ours], rel=1e-6)
    pairs = zip(theirs, ours, strict=True)
    assert [(a["exit_reason"], b.reason) for a, b in pairs if not _fits(a, b)] == []


def _fits(theirs, ours):
    return theirs["exit_reason"] in EXPECTED_REASONS[ours.reason]
