"""`scripts/candles`: what the store holds, by the footers of its files."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import candles
from pipeline.errors import UserError
from pipeline.market_data.quality.report import measure
from pipeline.market_data.store import inventory
from pipeline.market_data.store.inventory import QUALITY, stored_markets
from pipeline.market_data.store.store import EMPTY, candle_path, load, save
from pipeline.market_data.synthetic import synthetic_candles

DAY, STEP = 86_400_000, 3_600_000
FIRST = 1_672_531_200_000  # 2023-01-01
STORE = "var/candles"
BTC = "binance:BTC/USDT:1h"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """BTC of 90 days, of which ten days were not asked for and the exchange lacks 30 hours."""
    monkeypatch.chdir(tmp_path)
    rows = synthetic_candles(90, "1h", seed=1, first_ms=FIRST)
    day = (rows.timestamp - FIRST) // DAY
    hour = (rows.timestamp - FIRST) // STEP
    rows = rows.take(((day < 40) | (day >= 50)) & ~((hour >= 240) & (hour < 270)))
    spans = [(FIRST, FIRST + 40 * DAY), (FIRST + 50 * DAY, FIRST + 90 * DAY)]
    save(candle_path(Path(STORE), "binance", "BTC/USDT", "1h"), EMPTY.overlay(rows, spans), "ccxt")
    return rows


def shown(capsys, *words):
    assert candles.main(words) == 0
    return capsys.readouterr().out


def test_a_market_is_described(store, capsys):
    listed = json.loads(shown(capsys, "--json"))
    (market,) = listed["candles"]
    assert market["id"] == BTC
    assert market["first"] == "2023-01-01T00:00:00+00:00"
    assert market["last"] == "2023-03-31T23:00:00+00:00"
    assert market["candles"] == len(store)
    assert market["missing"] == 80 * 24 - len(store)
    assert market["unasked"] == 240
    assert market["holes"] == [["2023-02-10T00:00:00+00:00", "2023-02-20T00:00:00+00:00"]]
    assert market["sources"] == ["ccxt"]
    assert market["bytes"] == sum(f.stat().st_size for f in Path(STORE).rglob("*.parquet"))
    assert market["funding"] is None
    assert market["quality"].startswith("filled_share ")  # 270 of 2,160 bars: 0.125


def test_the_list_and_one_market_are_tables(store, capsys):
    listed = shown(capsys)
    assert BTC in listed
    assert listed.splitlines()[-1].startswith("1 market, ")
    assert "not asked: 2023-02-10 00:00 UTC to 2023-02-20 00:00 UTC" in listed
    one = shown(capsys, "btc_binance_1h")
    assert one == shown(capsys, BTC)
    for month in ("2023-01", "2023-02", "2023-03"):
        assert month in one


def test_the_months_of_one_market_add_up(store, capsys):
    one = json.loads(shown(capsys, BTC, "--json"))
    assert [m["name"] for m in one["months"]] == ["2023-01", "2023-02", "2023-03"]
    assert sum(m["candles"] for m in one["months"]) == one["candles"]
    assert sum(m["missing"] for m in one["months"]) == one["missing"]


def test_quality_is_measured_once_and_again_after_a_change(store, capsys, monkeypatch):
    shown(capsys)
    folder = candle_path(Path(STORE), "binance", "BTC/USDT", "1h")
    assert (folder / QUALITY).is_file()
    measured = []
    monkeypatch.setattr(inventory, "measure", lambda *a: measured.append(a) or measure(*a))
    shown(capsys)
    assert measured == []
    stored = load(folder)
    save(folder, stored.overlay(stored.rows.take(np.arange(5)), [(FIRST - DAY, FIRST)]), "ccxt")
    shown(capsys)
    assert measured == []  # the candles are the same
    rows = synthetic_candles(1, "1h", seed=2, first_ms=FIRST)
    save(folder, load(folder).overlay(rows, []), "ccxt")
    shown(capsys)
    assert len(measured) == 1


def test_funding_is_told_beside_its_perpetual(store, capsys):
    rows = synthetic_candles(3, "8h", seed=1, first_ms=FIRST)
    spans = [(FIRST, FIRST + 3 * DAY)]
    for name in ("1h", "funding"):
        path = candle_path(Path(STORE), "binanceusdm", "BTC/USDT:USDT", name)
        save(path, EMPTY.overlay(rows, spans), "ccxt")
    both = json.loads(shown(capsys, "--json"))["candles"]
    (market,) = [m for m in both if m["exchange"] == "binanceusdm"]
    assert market["pair"] == "BTC/USDT:USDT"
    assert market["funding"]["payments"] == len(rows)


def test_a_damaged_month_is_named_and_left_alone(store, capsys):
    file = candle_path(Path(STORE), "binance", "BTC/USDT", "1h") / "2023-02.parquet"
    file.write_bytes(file.read_bytes()[:-5])
    assert "2023-02.parquet is damaged" in shown(capsys)
    assert file.exists()


def test_quality_of_a_part_is_not_that_of_the_whole(store, capsys):
    """The footer of a month is whole, and its candles are damaged until it is mended."""
    file = candle_path(Path(STORE), "binance", "BTC/USDT", "1h") / "2023-02.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:40] + bytes(b ^ 255 for b in whole[40:90]) + whole[90:])
    (part,) = json.loads(shown(capsys, "--json"))["candles"]
    file.write_bytes(whole)
    (mended,) = json.loads(shown(capsys, "--json"))["candles"]
    assert part["candles"] == mended["candles"] == len(store)
    assert part["quality"] != mended["quality"]
    (market,) = stored_markets(Path(STORE))
    assert market.quality.rows == len(store)


def test_a_store_of_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "holds no candles yet" in shown(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["eth_binance_1h"], ["a", "b"], ["seed=1"], ["no_such_market"], ["kraken:BTC/USDT:1h"]],
)
def test_what_is_not_there_is_said(store, words):
    with pytest.raises(UserError):
        candles.main(words)


@pytest.mark.slow
def test_24_markets_of_four_years_are_listed_in_two_seconds(tmp_path):
    rows = synthetic_candles(1461, "5m", seed=1, first_ms=FIRST)
    spans = [(FIRST, FIRST + 1461 * DAY)]
    for number in range(24):
        path = candle_path(tmp_path, "binance", f"A{number}/USDT", "5m")
        save(path, EMPTY.overlay(rows, spans), "ccxt")
    start = time.process_time()
    assert len(stored_markets(tmp_path)) == 24
    assert time.process_time() - start < 2
