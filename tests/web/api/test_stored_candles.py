"""What the store of candles holds, over HTTP."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import NotFoundError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.store.inventory import measured_quality
from pipeline.market_data.store.levels import level_for
from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.web.api.app import create_app
from pipeline.web.api.candles import CandleSeriesPage
from pipeline.web.service.candles import CandleService
from support.serving import service_over

FIRST, DAY, HOUR = 1_672_531_200_000, 86_400_000, 3_600_000


@pytest.fixture(scope="module")
def rows():
    """The candles of each market."""
    return synthetic_candles(40, "1h", seed=1, first_ms=FIRST)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, rows):
    """A client of a server whose store holds three markets, and their folders."""
    with (
        service_over(tmp_path_factory.mktemp("candles")) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1") as client,
    ):
        store = Path(service.settings.store)
        pairs = [f"{base}/USDT" for base in ("BTC", "ETH", "SOL")]
        folders = [candle_path(store, "binance", pair, "1h") for pair in pairs]
        for folder in folders:
            keep(folder, rows, 40)
        yield client, folders


def keep(folder, rows, days):
    save(folder, EMPTY.overlay(rows, [(FIRST, FIRST + days * DAY)]), "ccxt")


@pytest.fixture(scope="module")
def client(shelf):
    return shelf[0]


@pytest.fixture(scope="module")
def stored(shelf):
    return shelf[1]


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
    assert first["coverage"] == first["candles"] / (first["candles"] + first["missing"]) > 0.99
    assert datetime.now(UTC) - datetime.fromisoformat(first["quality_at"]) < timedelta(minutes=5)
    assert second["quality_at"] is None


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"offset": -1}])
def test_a_page_that_cannot_be_is_refused(client, query):
    assert client.get("/api/candles", params=query).status_code == 422


SERIES = "/api/candles/binance/BTC/USDT/1h"


@pytest.fixture(scope="module")
def stored_rows(rows):
    """The candles that `stored` holds of each market."""
    columns = (getattr(rows, name).tolist() for name in rows.COLUMNS)
    return list(zip(*columns, strict=True))


def series(client, **query):
    answer = client.get(SERIES, params=query)
    assert answer.status_code == 200, answer.text
    CandleSeriesPage.model_validate_json(answer.content)
    return answer.json()


def written(time):
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_markets_are_chosen_by_a_filter(client, stored):
    for query in ({"pair": "ETH/USDT"}, {"exchange": "binance", "offset": 1, "limit": 1}):
        page = client.get("/api/candles", params=query).json()
        assert [market["pair"] for market in page["candles"]] == ["ETH/USDT"]
    assert client.get("/api/candles", params={"exchange": "kraken"}).json()["total"] == 0


def test_candles_are_those_of_the_store(client, stored, stored_rows):
    page = series(client)
    assert (page["total"], page["level"]) == (len(stored_rows), "1h")
    assert [tuple(row.values()) for row in page["candles"]] == [
        (written(time), *numbers, 1) for time, *numbers in stored_rows
    ]


def test_a_span_is_cut_out(client, stored, stored_rows):
    page = series(client, since="2023-01-31T12:00:00Z", until="2023-02-02")
    start, end = FIRST + 30 * DAY + DAY // 2, FIRST + 32 * DAY
    inside = [written(time) for time, *_ in stored_rows if start <= time < end]
    assert page["total"] == len(inside) > 30
    assert [row["timestamp"] for row in page["candles"]] == inside


@pytest.mark.parametrize(("bars", "level"), [(900, "2h"), (41, "1d"), (40, "1d"), (12, "4d")])
def test_a_level_joins_whole_multiples(client, stored, stored_rows, bars, level):
    length = {"2h": 2 * HOUR, "1d": DAY, "4d": 4 * DAY}[level]
    page = series(client, bars=bars)
    joined = defaultdict(list)
    for row in stored_rows:
        joined[row[0] // length * length].append(row)
    assert (page["level"], page["total"]) == (level, len(joined))
    assert page["total"] <= bars
    for row, (opens, parts) in zip(page["candles"], joined.items(), strict=True):
        _, first, high, low, last, volume = zip(*parts, strict=True)
        values = (written(opens), first[0], max(high), min(low), last[-1])
        assert tuple(row.values())[:5] == values
        assert (row["volume"], row["bars"]) == (pytest.approx(sum(volume)), len(parts))


def test_a_chart_that_moves_finds_the_candles_that_it_has(client, stored):
    whole = {row["timestamp"]: row for row in series(client, bars=45)["candles"]}
    part = series(client, bars=20, since="2023-01-10T05:00:00Z", until="2023-01-28T03:00:00Z")
    assert part["level"] == "1d"
    assert all(whole[row["timestamp"]] == row for row in part["candles"])
    assert part["candles"][0]["timestamp"] == "2023-01-10T00:00:00Z"


@settings(max_examples=20, deadline=None)
@given(
    step=st.sampled_from([*TIMEFRAMES.values()]),
    first=st.integers(0, 10**12),
    length=st.integers(1, 10**12),
    most=st.integers(1, 10_000),
)
def test_a_level_is_the_shortest_that_is_few_enough(step, first, length, most):
    span = (first, first + length)
    level = level_for(span, step, most)
    assert level % step == 0
    assert len(range(span[0] // level, -(-span[1] // level))) <= most
    shorter = [one for one in TIMEFRAMES.values() if one % step == 0 and one < level]
    assert all(len(range(span[0] // one, -(-span[1] // one))) > most for one in shorter)


def test_pages_together_are_the_whole(client, stored):
    pages = [series(client, limit=300, offset=at)["candles"] for at in range(0, 1000, 300)]
    assert [row for page in pages for row in page] == series(client)["candles"]


def test_csv_is_what_a_training_reads(client, stored, stored_rows, tmp_path):
    file = tmp_path / "btc.csv"
    file.write_bytes(client.get(SERIES, params={"format": "csv"}).content)
    raw = read_file(file)
    assert raw.timestamp.tolist() == [row[0] for row in stored_rows]
    assert raw.close.tolist() == [row[4] for row in stored_rows]


def test_a_tag_changes_with_the_candles(client, stored, rows):
    tag = {"If-None-Match": client.get(SERIES).headers["etag"]}
    same = client.get(SERIES, headers=tag)
    assert (same.status_code, same.content) == (304, b"")
    keep(stored[0], synthetic_candles(41, "1h", seed=1, first_ms=FIRST), 41)
    assert client.get(SERIES, headers=tag).status_code == 200
    keep(stored[0], rows, 40)
    assert client.get(SERIES, headers=tag).status_code == 304


def test_what_is_not_stored_is_answered_with_what_is(client, stored):
    answer = client.get(SERIES.replace("BTC", "BTX"))
    assert answer.status_code == 404
    assert "those of binance:BTC/USDT:1h, binance:ETH/USDT:1h" in answer.json()["detail"]
    assert "Did you mean 'binance:BTC/USDT:1h'?" in answer.json()["detail"]


def test_a_market_is_described_and_drawn(stored, rows):
    service = CandleService(stored[0].parents[2])
    market = service.market("binance:BTC/USDT:1h")
    drawn = service.picture(market)
    days = np.arange(FIRST, FIRST + 40 * DAY, DAY)
    first = np.searchsorted(rows.timestamp, days)
    assert drawn["data"][2]["y"] == pytest.approx(np.add.reduceat(rows.volume, first))
    assert market.quality.rows == len(rows) == market.candles
    again = service.market(market.id)
    assert again.quality == market.quality
    assert datetime.now(UTC) - datetime.fromisoformat(again.measured) < timedelta(minutes=5)
    assert service.parts() == {
        "exchange": ["binance"], "pair": ["BTC/USDT", "ETH/USDT", "SOL/USDT"], "timeframe": ["1h"],
    }  # fmt: skip
    with pytest.raises(NotFoundError, match="binance:BTC/USDT:1h"):
        service.market("../etc")


def test_an_empty_store_says_how_it_is_filled(tmp_path):
    with pytest.raises(NotFoundError, match="scripts/fetch"):
        CandleService(tmp_path).series("binance:BTC/USDT:1h", None, None, None)


def test_a_damaged_month_is_refused(client, stored):
    month = stored[0] / "2023-02.parquet"
    whole = month.read_bytes()
    month.write_bytes(whole[:-9])
    assert client.get(SERIES, params={"until": "2023-02-01"}).status_code == 200
    for query in ({}, {"bars": 10}):
        answer = client.get(SERIES, params=query)
        assert (answer.status_code, "2023-02" in answer.json()["detail"]) == (409, True)
    month.write_bytes(whole)


@pytest.mark.parametrize(
    "query", [{"since": "1672531200000"}, {"until": "tomorrow"}, {"bars": 0}, {"bars": 10_001}]
)
def test_a_span_that_cannot_be_is_refused(client, query):
    assert client.get(SERIES, params=query).status_code == 422
