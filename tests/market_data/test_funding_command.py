"""A perpetual contract on the command line: its funding is fetched, imported and traded with."""

import json
import zipfile

import numpy as np
import pytest

from pipeline.market_data.exchange import fetching, funding
from pipeline.market_data.raw import RawFunding
from pipeline.market_data.store.inventory import stored_markets
from pipeline.market_data.store.store import candle_path, load_rows
from support.loopback import CANDLE_START, LoopbackBinanceFutures, candle_series, payments

HOUR, EIGHT = 3_600_000, 28_800_000
DAYS = 60
MARKET = "market=binanceusdm:BTC/USDT:USDT:1h"
SPAN = ("data.since=2023-01-01", "data.until=2023-03-02")


@pytest.fixture
def rows():
    return payments(3 * DAYS + 30, CANDLE_START)


@pytest.fixture
def exchange(rows):
    history = {"1h": candle_series(24 * DAYS + 100, HOUR)}
    now = CANDLE_START + (24 * DAYS + 50) * HOUR
    with LoopbackBinanceFutures(history, now, rows) as server:
        yield server


@pytest.fixture
def command(here, exchange, monkeypatch):
    for module in (fetching, funding):
        monkeypatch.setattr(module, "new_client", lambda _: exchange.client())
    return here


def stored(folder):
    path = candle_path(folder / "var/candles", "binanceusdm", "BTC/USDT:USDT", "funding")
    return load_rows(path, RawFunding)


def test_a_fetch_brings_the_funding_and_says_what_it_comes_to(command, rows, tmp_path):
    fetched = command(MARKET, *SPAN, command="fetch")
    assert fetched.status == 0, fetched.err
    paid = [
        rate for time, rate in rows if CANDLE_START + HOUR < time < CANDLE_START + DAYS * 24 * HOUR
    ]
    assert f"{len(paid)} payments" in fetched.err
    assert f"{36500 * sum(paid) / DAYS:+.3g} %" in fetched.err
    np.testing.assert_array_equal(stored(tmp_path).rows.rate, [r for _, r in rows[: 3 * DAYS]])
    (market,) = stored_markets(tmp_path / "var/candles")
    assert market.quality.rows == market.candles == 24 * DAYS  # every fetch measures it


def test_a_training_pays_it_and_names_it(command, exchange, rows, tmp_path):
    search = ("optimizer=random", "optimizer.samples=20", "validation=train_test_split")
    trained = command(MARKET, *SPAN, *search, "validation.test=10", "validation.evidence=deciding")
    assert trained.status == 0, trained.err
    found = trained.result["provenance"]["funding"]
    assert (found["known"], found["stood_in"], found["source"]) == (3 * DAYS - 1, 0, "binanceusdm")
    exchange.requests.clear()
    command(MARKET, *SPAN, *search, "validation.test=10", "validation.evidence=deciding")
    assert exchange.requests == []
    results = [json.loads(f.read_text()) for f in tmp_path.glob("var/runs/*/*/result.json")]
    assert len({result["provenance"]["data_hash"] for result in results}) == 1 < len(results)


def test_funding_files_are_imported_alone_or_beside_candles(command, exchange, rows, tmp_path):
    lines = "\n".join(f"{time},8,{rate:.8f}" for time, rate in rows[:93])
    archive = tmp_path / "BTCUSDT-fundingRate-2023-01.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(
            "BTCUSDT-fundingRate-2023-01.csv",
            f"calc_time,funding_interval_hours,last_funding_rate\n{lines}\n",
        )
    imported = command(MARKET, f"import={archive}", command="fetch")
    assert imported.status == 0, imported.err
    assert "93 payments" in imported.out
    assert exchange.requests == []
    kept = stored(tmp_path)
    np.testing.assert_array_equal(kept.rows.rate, [rate for _, rate in rows[:93]])
    assert kept.answered == ((rows[0][0], rows[92][0] + 1),)


def test_funding_of_a_spot_market_is_refused(command, tmp_path):
    (tmp_path / "rates.csv").write_text("timestamp,rate\n1672560000000,0.0001\n")
    refused = command(
        "market=btc_binance_5m", "data=file", "data.path=x.csv", "data.funding=rates.csv"
    )
    assert refused.status == 2
    assert "data.funding" in refused.err


def written(folder, name, rows, factor=1.0):
    text = "\n".join(f"{time},{factor * rate:.8f}" for time, rate in rows)
    (folder / name).write_text(f"Time,Funding Rate\n{text}\n")
    return f"import={folder / name}"


def test_stored_payments_stay_unless_the_imported_are_the_truth(command, rows, tmp_path):
    command(MARKET, written(tmp_path, "my_funding.csv", rows[:50]), command="fetch")
    late = [[time + 3, rate] for time, rate in rows[:60]]
    again = written(tmp_path, "my_funding.csv", late, 2.0)
    imported = command(MARKET, again, command="fetch")
    assert "50 of 50 payments" in imported.err
    expected = [rate for _, rate in rows[:50]] + [2 * rate for _, rate in rows[50:60]]
    np.testing.assert_allclose(stored(tmp_path).rows.rate, expected, atol=1e-8)
    command(MARKET, again, "truth=imported", command="fetch")
    np.testing.assert_allclose(stored(tmp_path).rows.rate, [2 * r for _, r in rows[:60]], atol=1e-8)


@pytest.mark.parametrize("bad", ["nan", "0.7", "much"])
def test_what_is_no_rate_is_not_stored(command, rows, tmp_path, bad):
    (tmp_path / "funding.csv").write_text(f"time,rate\n{rows[0][0]},{bad}\n")
    refused = command(MARKET, f"import={tmp_path / 'funding.csv'}", command="fetch")
    assert refused.status == 2
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_notebook_pays_the_stored_funding(command, tmp_path):
    from pipeline import lab

    assert command(MARKET, *SPAN, command="fetch").status == 0
    candles = lab.candles("binanceusdm:BTC/USDT:USDT:1h", store=str(tmp_path / "var/candles"))
    assert len(candles.funding.rate) == 3 * DAYS - 1
