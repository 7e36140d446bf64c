"""`data.kraken=trades` by the real command: stopped on its way, gone on, every candle checked."""

import signal
import time
from math import fsum

import pytest

from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.store.store import candle_path, load
from support.fetching import run_fetch, start_fetch
from support.loopback import Fault, LoopbackKraken
from support.trades import END, START, STEP, candles_by_loop, trade_rows

TWO_DAYS = (
    "market=btc_kraken_5m",
    "data.kraken=trades",
    "data.since=2023-01-31",
    "data.until=2023-02-02",
)


@pytest.fixture
def kraken():
    with LoopbackKraken({}, END + 2 * 3_600_000, trade_rows(), slow_s=600.0) as server:
        yield server


def stored(folder):
    return load(candle_path(folder / "var/candles", "kraken", "BTC/USDT", "5m"))


def stopped_at_its_third_page(folder, server, sent):
    """Exit status of a fetch that is sent a signal while it waits for its third page of trades."""
    whole = server.faults.draw
    server.faults.draw = lambda question, has_rows, is_clock: (
        Fault.SLOW if has_rows and len(server.asked("Trades")) == 2 else None
    )
    process = start_fetch(folder, server, *TWO_DAYS)
    deadline = time.monotonic() + 120
    while len(server.asked("Trades")) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(sent)
    process.communicate(timeout=60)
    server.faults.draw = whole
    return process.returncode


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_what_is_stored_equals_an_independent_loop(tmp_path, kraken, sent, status):
    assert stopped_at_its_third_page(tmp_path, kraken, sent) == status
    ((first, reached),) = stored(tmp_path).answered
    assert first == START < reached < END

    kraken.requests.clear()
    resumed = run_fetch(tmp_path, kraken, *TWO_DAYS)
    assert resumed.status == 0, resumed.err
    assert int(kraken.asked("Trades")[0]["since"]) == reached * 1_000_000 - 1

    expected = candles_by_loop((trade[:3] for trade in kraken.trades), STEP)
    candles = stored(tmp_path).rows
    assert candles.timestamp.tolist() == sorted(expected)
    for opened, *row in zip(*(getattr(candles, name).tolist() for name in COLUMNS), strict=True):
        *prices, amounts = expected[opened]
        assert row == [*prices, fsum(amounts)]
