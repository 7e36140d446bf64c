"""Several markets in one run: at the same time by exchange, whatever befalls one of them."""

import signal
import threading
import time

import pytest

from pipeline import fetch
from pipeline.market_data.exchange import fetching
from pipeline.market_data.store.store import candle_path, load, locked
from support.fetching import run_fetch, start_fetch
from support.loopback import CANDLE_START, Fault, LoopbackBinance, LoopbackKraken, candle_series

HOUR = 3_600_000
HOURS = 24 * 20
DAYS = ("data.since=2023-01-01", "data.until=2024-01-01")
NOW = CANDLE_START + HOURS * HOUR + 1
HISTORY = {
    "1h": candle_series(HOURS + 1, step=HOUR),
    "5m": candle_series(HOURS * 12 + 1),
    "15m": candle_series(HOURS * 4 + 1, step=900_000),
}


@pytest.fixture
def servers():
    with LoopbackBinance(HISTORY, NOW) as binance, LoopbackKraken(HISTORY, NOW) as kraken:
        yield {"binance": binance, "kraken": kraken}


@pytest.fixture
def run(servers, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetching, "new_client", lambda name: servers[name].client())

    def run(*words):
        status = fetch.fetch_several(words)
        return status, *capsys.readouterr()

    return run


def stored(folder, timeframe, exchange="binance"):
    return load(candle_path(folder / "var/candles", exchange, "BTC/USDT", timeframe)).rows


def test_several_exchanges_in_one_run(run, servers, tmp_path):
    status, out, _ = run("market=btc_binance_1h,btc_kraken_1h,btc_binance_5m", *DAYS)
    assert status == 0
    for name in ("btc_binance_1h", "btc_binance_5m", "btc_kraken_1h"):
        (line,) = [line for line in out.splitlines() if name in line]
        assert " ok " in line
    assert len(stored(tmp_path, "1h")) == HOURS
    assert len(stored(tmp_path, "5m")) == HOURS * 12
    assert len(stored(tmp_path, "1h", "kraken")) == HOURS
    for server in servers.values():
        server.requests.clear()
    assert run("market=btc_binance_1h,btc_binance_5m", *DAYS)[0] == 0
    assert servers["binance"].asked("/klines") == []


def test_exchanges_are_asked_at_the_same_time(run, servers):
    meeting = threading.Barrier(2, timeout=120)
    for server in servers.values():
        describe = server.describe

        def both(path, describe=describe, once=[]):  # noqa: B006
            if not once:
                once.append(meeting.wait())
            return describe(path)

        server.describe = both
    assert run("market=btc_binance_1h,btc_kraken_1h", *DAYS)[0] == 0


def test_a_market_that_fails_leaves_the_others_going(run, tmp_path):
    status, out, err = run("market=eth_binance_1h,btc_binance_1h,btc_kraken_1h", *DAYS)
    assert status == 2
    assert "eth_binance_1h: binance has no market 'ETH/USDT'" in err
    assert [line for line in out.splitlines() if "eth_binance_1h" in line and "failed" in line]
    assert len(stored(tmp_path, "1h")) == HOURS


def test_a_ban_ends_the_markets_of_its_exchange_alone(run, servers, tmp_path):
    servers["binance"].fail(Fault.BANNED)
    status, _, err = run("market=btc_binance_15m,btc_binance_1h,btc_kraken_1h", *DAYS)
    assert status == 1
    assert len(servers["binance"].requests) == 1
    assert err.count("has banned this address") == 2
    assert len(stored(tmp_path, "1h", "kraken")) == HOURS


def test_a_pattern_and_all_are_markets_of_the_configuration():
    assert fetch.several(["market=all", "data.history=1y"]) == ["all"]
    assert fetch.several(["market='btc_*'"]) == ["btc_*"]
    assert fetch.several(["market=okx:DOGE/USDT:30m,btc_binance_5m"]) == [
        "okx:DOGE/USDT:30m", "btc_binance_5m",
    ]  # fmt: skip
    assert fetch.several(["market=btc_binance_5m"]) is None
    assert fetch.several(["-m", "market=btc_binance_5m,btc_binance_1h"]) is None


def test_files_are_those_of_one_market(tmp_path):
    with LoopbackBinance(HISTORY, NOW) as server:
        done = run_fetch(tmp_path, server, "market=btc_binance_5m,btc_binance_1h", "import=x.csv")
    assert done.status == 2
    assert "give one, as in market=NAME" in done.err
    assert server.requests == []


def test_ctrl_c_keeps_what_has_come(tmp_path):
    with LoopbackBinance(HISTORY, NOW) as server:
        server.faults.script += [None] * 7 + [Fault.SLOW] * 1_000
        server.slow_s = 1.0
        process = start_fetch(tmp_path, server, "market=btc_binance_5m,btc_binance_1h", *DAYS)
        deadline = time.monotonic() + 120
        while len(server.requests) < 8:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.endswith("Stopping: what has come is stored first.\ncancelled\n")
    assert len(stored(tmp_path, "5m")) == 3_000  # the page that was under way too
    assert len(stored(tmp_path, "1h")) == HOURS


def test_ctrl_c_ends_the_wait_for_another_process(tmp_path):
    held = candle_path(tmp_path / "var/candles", "binance", "BTC/USDT", "1h")
    with LoopbackBinance(HISTORY, NOW) as server, locked(held):
        process = start_fetch(tmp_path, server, "market=btc_binance_5m,btc_binance_1h", *DAYS)
        assert "is held by another process" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.endswith("cancelled\n")
