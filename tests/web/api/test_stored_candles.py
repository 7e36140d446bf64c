"""What the store of candles holds, over HTTP."""

from pathlib import Path

import pytest

from pipeline.market_data.store.inventory import measured_quality
from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.market_data.synthetic import synthetic_candles

FIRST, DAY = 1_672_531_200_000, 86_400_000


@pytest.fixture
def stored(service):
    rows = synthetic_candles(40, "1h", seed=1, first_ms=FIRST)
    folders = [
        candle_path(Path(service.settings.store), "binance", f"{base}/USDT", "1h")
        for base in ("BTC", "ETH", "SOL")
    ]
    for folder in folders:
        save(folder, EMPTY.overlay(rows, [(FIRST, FIRST + 40 * DAY)]), "ccxt")
    return folders


def test_markets_come_in_pages(client, stored):
    page = client.get("/api/candles", params={"limit": 2, "offset": 1}).json()
    assert [market["id"] for market in page["candles"]] == [
        "binance:ETH/USDT:1h", "binance:SOL/USDT:1h",
    ]  # fmt: skip
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)


def test_the_figures_are_those_of_the_command(client, stored):
    measured_quality(stored[0])
    first, second, _ = client.get("/api/candles").json()["candles"]
    assert first["first"].startswith("2023-01-01T00:00:00")
    assert first["unasked"] == 0
    assert (first["quality"], second["quality"]) == ("ok", None)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"offset": -1}])
def test_a_page_that_cannot_be_is_refused(client, query):
    assert client.get("/api/candles", params=query).status_code == 422
