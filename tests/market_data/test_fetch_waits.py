"""Two fetches of one market at once: the second one says that it waits, and for what."""

from threading import Event

import pytest

from pipeline.market_data.store.store import candle_path, load
from support.fetching import start_fetch
from support.loopback import CANDLE_START, LoopbackBinance, candle_series

STEP, COUNT = 300_000, 1_500
MARKET = ("market=btc_binance_5m", "data.since=2023-01-01", "data.until=2023-01-04")


@pytest.fixture
def binance():
    """An exchange that says when it is asked for candles, and holds them back until it may."""
    candles = candle_series(COUNT + 1)
    with LoopbackBinance({"5m": candles}, CANDLE_START + COUNT * STEP) as server:
        server.was_asked, server.may_answer = Event(), Event()
        rows_for = server.rows_for

        def held_back(path, query):
            if rows := rows_for(path, query):
                server.was_asked.set()
                server.may_answer.wait(180)
            return rows

        server.rows_for = held_back
        yield server


def test_the_second_fetch_says_what_it_waits_for_and_finds_it_done(tmp_path, binance):
    first = start_fetch(tmp_path, binance, *MARKET)
    assert binance.was_asked.wait(180)
    second = start_fetch(tmp_path, binance, *MARKET)
    line = second.stderr.readline()
    binance.may_answer.set()
    (_, complaints), (_, rest) = (p.communicate(timeout=180) for p in (first, second))
    assert (first.returncode, second.returncode) == (0, 0), complaints
    path = candle_path(tmp_path / "var/candles", "binance", "BTC/USDT", "5m")
    assert line == (
        f"{path.relative_to(tmp_path)} is held by another process: waiting until it is done.\n"
    )
    assert rest == ""
    assert len(binance.asked("exchangeInfo")) == 1  # the second found all that it wanted
    assert len(load(path).rows) == 3 * 288
