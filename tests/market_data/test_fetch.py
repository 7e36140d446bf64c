"""`scripts/fetch`: what it says, its exit status, and what it leaves in the store."""

import csv
import signal
import time

import numpy as np
import pytest

from pipeline.errors import disk_full
from pipeline.market_data.store.store import candle_path, load
from support.fetching import run_fetch, start_fetch
from support.loopback import CANDLE_START, Fault, LoopbackBinance, LoopbackKraken, candle_series

STEP = 300_000
COUNT = 3_000
BINANCE = ("market=btc_binance_5m", "data.since=2023-01-01", "data.until=2024-01-01")
KRAKEN = ("market=btc_kraken_5m", *BINANCE[1:])


@pytest.fixture
def binance():
    with LoopbackBinance(
        {"5m": candle_series(COUNT + 1)}, CANDLE_START + COUNT * STEP + 1
    ) as server:
        yield server


def stored(folder, name="binance"):
    path = candle_path(folder / "var/candles", name, "BTC/USDT", "5m")
    return load(path).rows


def test_a_range_is_fetched_and_its_quality_shown(fetch, tmp_path, binance):
    fetched = fetch(binance, *BINANCE[:2], "data.until=2023-01-08")
    assert (fetched.status, fetched.err) == (0, "")
    assert "Candles: binance:BTC/USDT:5m" in fetched.out
    assert "2023-01-07 23:55 UTC" in fetched.out
    assert len(stored(tmp_path)) == 7 * 288


def test_the_epoch_is_a_start_like_any_other(fetch, tmp_path, binance):
    fetched = fetch(binance, BINANCE[0], "data.since=1970-01-01", "data.until=2023-01-04")
    assert "nothing before 2023-01-01 00:00 UTC: 864 candles" in fetched.err
    path = candle_path(tmp_path / "var/candles", "binance", "BTC/USDT", "5m")
    assert load(path).answered[0][0] == 0


def test_what_is_short_of_the_asked_range_is_said(fetch, tmp_path, binance):
    fetched = fetch(binance, *BINANCE)
    assert fetched.status == 0
    assert "asked until" not in fetched.err  # the rest has not closed yet
    with LoopbackKraken(binance.history, binance.now) as kraken:
        fetched = fetch(kraken, *KRAKEN)
    assert fetched.status == 0
    assert "719 candles, 2.5 days. Kraken's candles are its newest 720" in fetched.err
    assert "data.kraken=trades" in fetched.err
    assert len(stored(tmp_path, "kraken")) == 719


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        (signal.SIGINT, 130, "cancelled\n"),
        (signal.SIGTERM, 143, "terminated; what was stored before, if anything, is kept\n"),
    ],
)
def test_stopped_it_keeps_its_pages_and_the_next_run_goes_on(
    fetch, tmp_path, binance, sent, status, word
):
    binance.faults.script += [None] * 4 + [Fault.SLOW] * 1_000  # exchangeInfo, time, two pages
    binance.slow_s = 600.0
    process = start_fetch(tmp_path, binance, *BINANCE)
    deadline = time.monotonic() + 120
    while len(binance.requests) < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (status, word)
    assert len(stored(tmp_path)) == 2_000
    binance.faults.script.clear()
    binance.requests.clear()
    assert fetch(binance, *BINANCE).status == 0
    asked = [(int(query["startTime"]) - CANDLE_START) // STEP for query in binance.asked("/klines")]
    assert asked == [2_000, 2_999]  # once more, to see whether the newest candle has a follower
    assert len(stored(tmp_path)) == COUNT


def test_several_markets_one_after_the_other(tmp_path):
    hours = candle_series(400, step=3_600_000)
    history = {"5m": candle_series(400 * 12), "1h": hours}
    with LoopbackBinance(history, hours[-1][0]) as server:
        fetched = run_fetch(
            tmp_path, server, "-m", "market=btc_binance_5m,btc_binance_1h,eth_binance_1h",
            *BINANCE[1:],
        )  # fmt: skip
    assert fetched.status == 2
    assert "binance has no market 'ETH/USDT'" in fetched.err
    assert "#2 market=eth_binance_1h" in fetched.err
    assert "binance:BTC/USDT:5m" in fetched.out
    assert "binance:BTC/USDT:1h" in fetched.out


def test_an_import_fills_what_the_exchange_does_not_serve(fetch, tmp_path, binance):
    archive = tmp_path / "XBTUSDT_5.csv"
    rows = binance.history["5m"][:COUNT]
    with archive.open("w", newline="") as file:
        csv.writer(file).writerows([row[0] // 1000, *row[1:], 3] for row in rows)
    with LoopbackKraken(binance.history, binance.now) as kraken:
        fetch(kraken, *KRAKEN)
        imported = fetch(kraken, "market=btc_kraken_5m", f"import={archive.name}")
        assert imported.status == 0, imported.err
        assert "719 candles were stored already, and are the same" in imported.err
        kraken.requests.clear()
        assert fetch(kraken, *KRAKEN[:2], "data.until=2023-01-11").status == 0
        assert kraken.requests == []
    np.testing.assert_array_equal(stored(tmp_path, "kraken").close, [row[4] for row in rows])


def test_an_import_is_not_to_be_repeated_for_its_picture(fetch, tmp_path, binance, monkeypatch):
    def full(*_):
        raise disk_full("outputs", "No space left on device")

    monkeypatch.setattr("pipeline.report.candles.write_picture", full)
    with (tmp_path / "XBTUSDT_5.csv").open("w", newline="") as file:
        csv.writer(file).writerows([row[0] // 1000, *row[1:], 3] for row in binance.history["5m"])
    imported = fetch(binance, KRAKEN[0], "import=XBTUSDT_5.csv")
    assert imported.status == 0
    assert "stored, and there is no picture of them. The disk under outputs" in imported.err
    assert "again" not in imported.err
    assert len(stored(tmp_path, "kraken")) == COUNT + 1


@pytest.mark.parametrize("truth", ["stored", "imported"])
def test_the_named_truth_wins_and_disagreement_is_shown(fetch, tmp_path, binance, truth):
    fetch(binance, *BINANCE[:2], "data.until=2023-01-02")
    rows = [list(row) for row in binance.history["5m"][:288]]
    rows[5][4] = rows[5][3]  # closed at its low
    archive = tmp_path / "BTCUSDT-5m-2023-01.csv"
    with archive.open("w", newline="") as file:
        csv.writer(file).writerows([*row, row[0] + STEP - 1, "0", 1, "0", "0", "0"] for row in rows)
    imported = fetch(binance, BINANCE[0], f"import={archive.name}", f"truth={truth}")
    assert imported.status == 0, imported.err
    assert "1 of 288 candles that were stored already are other than the imported" in imported.err
    assert "2023-01-01 00:25 UTC" in imported.out
    expected = {"stored": binance.history["5m"][5][4], "imported": rows[5][4]}[truth]
    assert stored(tmp_path).close[5] == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["market=demo"], "market=demo and data=planted cannot be used here"),
        (["data=synthetic"], "data=synthetic is nothing to fetch"),
        (["import=nothing.zip"], "Say whose candles nothing.zip has: add market=NAME"),
        (["import=nothing.zip", "market=btc_binance_5m"], "nothing.zip does not exist"),
        (["data.kraken=candles"], "data.kraken must be ohlc or trades"),
        (["data.since=2024-01-01", "data.until=2023-01-01"], "must be after data.since"),
    ],
)
def test_mistakes_are_said_in_a_sentence(here, arguments, sentence):
    refused = here(*arguments, command="fetch")
    assert refused.status == 2
    assert sentence in refused.err
    assert "Traceback" not in refused.err
