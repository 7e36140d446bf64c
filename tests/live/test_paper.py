"""`scripts/paper`: the ledger that grows candle by candle is the backtest of all candles."""

import socket
import time
from functools import partial

import numpy as np
import pytest

from gpu_engine import REASONS, Window
from pipeline import paper
from pipeline.config import StorageConfig
from pipeline.live.closing import differences
from pipeline.live.trader import trader_of
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.validation.decay import PROFIT_PER_DAY, RECENT_SHARPE, SEQUENTIAL
from support.databases import later_events
from support.runs import ask, start
from support.stored import BARS_A_DAY, TRAINED_BARS, command, fading_candles, write

#: Bars after the training at which the service looks: within a day, at midnight, days later.
LOOKS = (1, 7, BARS_A_DAY - 1, BARS_A_DAY, BARS_A_DAY + 1, 11 * BARS_A_DAY + 5, 90 * BARS_A_DAY)


@pytest.fixture(scope="module")
def columns():
    return fading_candles()


def follow(finished, *arguments):
    ended = command(paper, finished.folder, *arguments, "--once")
    assert "Traceback" not in ended.err
    return ended


def ledger(finished):
    """The trader, its series on the file's candles, and what is booked."""
    identity = finished.result["configuration_id"]
    storage = StorageConfig.model_construct(
        url="", artifacts=str(finished.folder / "var/artifacts"), patience=0.0
    )

    def read(repository):
        trader = trader_of(repository, storage, repository.configurations.read(identity))
        live = repository.live
        account = live.account(identity)
        return trader, account, live.trades(identity), live.days(identity), live.events(limit=9999)

    trader, account, trades, days, events = ask(finished.folder, read)
    rows = read_file(finished.folder / "candles.parquet")
    candles, _ = make_regular(rows, "15m", "candles")
    start = round(account.first_candle.timestamp() * 1000)
    return trader, account, trader.series(candles, start), trades, days, events


def test_the_ledger_grows_into_the_backtest(fading, columns):
    identity = fading.result["configuration_id"]
    for bars in LOOKS:
        write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + bars)
        assert follow(fading, identity).status == 0
        trader, account, series, trades, days, events = ledger(fading)
        assert list(differences(trader, series, trades, days)) == []
        assert account.difference in ("", None)
        assert len(days) == (bars - 1) // BARS_A_DAY
    rows = trader.evaluator(series.candles).trades(
        trader.point, Window(series.start, len(series.candles))
    )
    closed = rows[rows["reason"] != REASONS.index("end")]
    np.testing.assert_array_equal([trade.ret for trade in trades], closed["ret"])
    assert len(trades) > 20
    kinds = [event.kind for event in events]
    assert kinds.count("leave") == len(trades)
    assert kinds.count("enter") == len(trades) + (account.position is not None)
    looks = ask(fading.folder, lambda repository: later_events(repository, identity))
    gates = {gate["name"]: gate for gate in looks[-1].figures["gates"]}
    # The edge has gone, and the signs that a daily look sees in nearly every year decide nothing.
    for sign in (RECENT_SHARPE, PROFIT_PER_DAY):
        assert gates[sign]["passed"] is None
        assert gates[sign]["value"] < gates[sign]["threshold"]
    assert gates[SEQUENTIAL]["passed"] is False
    (alarm,) = [event for event in events if event.kind == "alarm"]
    assert (alarm.payload["to"], looks[-1].to_stage) == ("DECAY", "DECAY")
    assert trader.configuration.position_size == 0.0


def test_looking_again_books_nothing_twice(fading, columns):
    identity = fading.result["configuration_id"]
    write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + 20 * BARS_A_DAY)
    follow(fading, identity)
    before = ledger(fading)[1:5]
    follow(fading, identity)
    after = ledger(fading)[1:5]
    assert (before[2:], before[0].trades) == (after[2:], after[0].trades)


@pytest.mark.parametrize("bars", [None, TRAINED_BARS + 19 * BARS_A_DAY], ids=["gone", "shorter"])
def test_a_start_without_the_candles_it_had_books_nothing_and_checks_nothing(fading, columns, bars):
    identity, path = fading.result["configuration_id"], fading.folder / "candles.parquet"
    write(path, columns, end=TRAINED_BARS + 20 * BARS_A_DAY)
    follow(fading, identity)
    before = ledger(fading)[1:5]
    path.unlink() if bars is None else write(path, columns, end=bars)
    follow(fading, identity)
    write(path, columns, end=TRAINED_BARS + 20 * BARS_A_DAY)
    after = ledger(fading)[1:5]
    assert (after[0], *after[2:]) == (before[0], *before[2:])


def test_a_candle_that_changes_in_the_file_changes_no_booked_equity(fading, columns):
    path, end = fading.folder / "candles.parquet", TRAINED_BARS + 20 * BARS_A_DAY
    write(path, columns, end=end)
    follow(fading, fading.result["configuration_id"])
    _, before, _, trades, days, _ = ledger(fading)
    changed = {name: column.copy() for name, column in columns.items()}
    bar = TRAINED_BARS + 3 * BARS_A_DAY
    changed["low"][bar : bar + BARS_A_DAY] *= 0.9
    write(path, changed, end=end + BARS_A_DAY)
    ended = follow(fading, fading.result["configuration_id"])
    _, account, _, new_trades, new_days, _ = ledger(fading)
    assert new_trades[: len(trades)] == trades
    assert new_days[: len(days)] == days
    for booked, now in ((trades, before), (new_trades, account)):
        np.testing.assert_allclose(now.equity, np.prod([1.0 + trade.ret for trade in booked]))
    np.testing.assert_allclose(
        [day.equity for day in new_days], np.cumprod([1.0 + day.ret for day in new_days])
    )
    # It differs from a backtest of these candles, and the command says so.
    assert account.difference
    assert (ended.status, account.difference in ended.err) == (1, True)


def test_an_edited_ledger_is_noticed(fading, columns):
    """A trade that no backtest gives is named, not written over."""
    from sqlalchemy import text

    identity = fading.result["configuration_id"]
    write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + 20 * BARS_A_DAY)
    follow(fading, identity)

    def edit(repository):
        with repository.transaction() as session:
            session.execute(text("UPDATE paper_trades SET ret = 0.5 WHERE number = 1"))

    ask(fading.folder, edit)
    follow(fading, identity)
    account = ledger(fading)[1]
    assert account.difference.startswith("trade 1 of ")
    assert "ret is 0.5" in account.difference


def test_one_process_follows_and_another_takes_over_once_it_is_dead(fading, columns):
    """Killed in the middle, it leaves a ledger that the next one continues."""
    identity = fading.result["configuration_id"]
    write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + 20 * BARS_A_DAY)
    first = start(fading.folder, identity, module="pipeline.paper")
    try:
        deadline = time.monotonic() + 180
        while not ask(fading.folder, partial(is_booked, identity)):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        before = ledger(fading)[3]
        refused = follow(fading, identity)
        assert refused.status == 1
        assert f"process {first.pid} on {socket.gethostname()}" in refused.err
    finally:
        first.kill()
        first.communicate()
    write(fading.folder / "candles.parquet", columns, end=TRAINED_BARS + 40 * BARS_A_DAY)
    assert follow(fading, identity).status == 0
    trader, account, series, trades, days, _ = ledger(fading)
    assert list(differences(trader, series, trades, days)) == []
    assert account.trades == len(trades) > len(before)


def is_booked(identity, repository):
    account = repository.live.account(identity)
    return account is not None and account.through is not None
