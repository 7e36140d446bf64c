"""Fetches that the server runs: the real client of an exchange against a loopback."""

import re
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from fastapi.testclient import TestClient

from pipeline.market_data.store.store import candle_path, load
from pipeline.web.api.app import create_app
from pipeline.web.service import candle_process
from support.loopback import CANDLE_START, Fault, LoopbackBinance, candle_series
from support.serving import service_over, until

HOUR, DAY = 3_600_000, 86_400_000
FETCHES = "/api/candles/fetches"
DAYS = {"since": "2023-01-01", "until": "2023-02-10"}
WANTED = {"markets": ["btc_binance_1h"], "history": DAYS}


@pytest.fixture
def exchange(monkeypatch):
    """An exchange that the server's processes ask."""
    rows = {name: candle_series(60 * DAY // step, step) for name, step in STEPS.items()}
    command = (sys.executable, "-m", "support.loopback.candle_command")
    monkeypatch.setattr(candle_process, "COMMAND", command)
    tests = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tests.parent}:{tests}")
    with LoopbackBinance(rows, CANDLE_START + 60 * DAY) as exchange:
        monkeypatch.setenv("LOOPBACK_EXCHANGE", exchange.url)
        yield exchange


STEPS = {"1h": HOUR, "5m": 300_000, "15m": 900_000}


@pytest.fixture
def client(tmp_path):
    with (
        service_over(tmp_path) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1") as client,
    ):
        client.store = Path(service.settings.store)
        yield client


def start(client, **changes):
    answer = client.post(FETCHES, json=WANTED | changes)
    assert answer.status_code == 202, answer.text
    return [one["id"] for one in answer.json()["fetches"]]


def ended(client, identity):
    def look():
        one = client.get(f"{FETCHES}/{identity}").json()
        return one if one["status"] not in ("waiting", "running") else None

    return until(look)


@contextmanager
def held(exchange, after=0):
    """Hold back all pages of candles but so many; yields the event that lets them go."""
    may_answer, asked, rows_for = Event(), count(), exchange.rows_for

    def held_back(path, query):
        rows = rows_for(path, query)
        if rows and next(asked) >= after:
            may_answer.wait(120)
        return rows

    exchange.rows_for = held_back
    try:
        yield may_answer
    finally:
        may_answer.set()


def stored(client, timeframe="1h"):
    return load(candle_path(client.store, "binance", "BTC/USDT", timeframe), writable=False).rows


def test_candles_come_into_the_store(client, exchange):
    (identity,) = start(client)
    done = ended(client, identity)
    assert (done["status"], done["candles"], done["total"]) == ("completed", 960, 960), done
    assert (done["since"], done["until"]) == ("2023-01-01T00:00:00Z", "2023-02-10T00:00:00Z")
    assert done["quality"] == "ok"
    assert stored(client).close.tolist() == [row[4] for row in exchange.history["1h"][:960]]
    (market,) = client.get("/api/candles").json()["candles"]
    assert market["id"] == done["candles_id"] == "binance:BTC/USDT:1h"
    assert (market["quality"], market["quality_at"] is None) == ("ok", False)


def test_one_runs_after_the_other_and_a_failure_leaves_the_next(client, exchange):
    with held(exchange):
        first, second = start(client, markets=["btc_binance_1h", "eth_binance_1h"])
        page = client.get(FETCHES).json()
        assert [one["status"] for one in page["fetches"]] == ["running", "waiting"]
    (third,) = start(client, markets=["binance:BTC/USDT:15m"])
    assert ended(client, first)["status"] == "completed"
    failed = ended(client, second)
    assert failed["status"] == "failed"
    assert re.search("ETH/USDT", failed["error"])
    assert ended(client, third)["candles"] == 40 * 96
    page = client.get(FETCHES, params={"limit": 1, "offset": 1}).json()
    assert ([one["id"] for one in page["fetches"]], page["total"]) == ([second], 3)


def test_a_fetch_is_cancelled_and_what_came_is_kept(client, exchange):
    with held(exchange, after=3):
        running, waiting = start(client, markets=["binance:BTC/USDT:5m", "btc_binance_1h"])
        cancelled = client.post(f"{FETCHES}/{waiting}/cancel").json()
        assert cancelled["status"] == "cancelled"
        until(lambda: (client.get(f"{FETCHES}/{running}").json()["candles"] or 0) >= 2000)
        seen = client.get(f"{FETCHES}/{running}").json()
        assert (seen["status"], seen["total"]) == ("running", 40 * 288)
        assert 0 < seen["seconds_left"] < 600
        assert client.post(f"{FETCHES}/{running}/cancel").json()["status"] == "cancelled"
        assert client.post(f"{FETCHES}/{running}/cancel").status_code == 409
        came = until(lambda: len(stored(client, "5m")))
        assert 2000 <= came < 40 * 288
    (again,) = start(client, markets=["binance:BTC/USDT:5m"])
    assert ended(client, again)["status"] == "completed"
    assert len(stored(client, "5m")) == 40 * 288


def test_a_fetch_that_runs_is_not_started_twice(client, exchange):
    with held(exchange):
        (identity,) = start(client)
        answer = client.post(FETCHES, json=WANTED)
        assert (answer.status_code, "btc_binance_1h" in answer.json()["detail"]) == (409, True)
        client.post(f"{FETCHES}/{identity}/cancel")


def test_who_is_banned_asks_no_more(client, exchange):
    exchange.fail(*[Fault.BANNED] * 9)
    first, second = start(client, markets=["btc_binance_1h", "binance:BTC/USDT:15m"])
    assert ended(client, first)["status"] == "failed"
    asked = len(exchange.requests)
    assert ended(client, second)["error"] == ended(client, first)["error"]
    assert len(exchange.requests) == asked


def test_a_process_that_dies_is_told(client, monkeypatch):
    monkeypatch.setattr(candle_process, "COMMAND", ("/bin/false",))
    (identity,) = start(client)
    assert "the server's log tells" in ended(client, identity)["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"markets": []}, "at least 1"),
        ({"markets": ["demo"]}, "is on no exchange"),
        ({"markets": ["btc_binance_1h", "nothing"]}, "nothing is no market"),
        ({"markets": ["btc_binance_1h"], "history": {"since": "2023"}}, "2024-01-31"),
        ({"market": "btc_binance_1h"}, "allowed are markets, history"),
    ],
)
def test_what_cannot_be_fetched_is_refused(client, body, said):
    answer = client.post(FETCHES, json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert client.get(FETCHES).json()["total"] == 0


def test_an_unknown_fetch_is_not_there(client):
    for ask in (client.get, lambda path: client.post(f"{path}/cancel")):
        assert ask(f"{FETCHES}/{'0' * 32}").status_code == 404


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ({"since": "2090-01-01"}, "data begins 2090-01-01"),
        ({"until": "2092-01-01"}, "data begins 2091-01-01"),
        ({"length": "1y", "until": "2095-01-01"}, "data begins 2094-01-01"),
        ({"since": "2024-01-01", "until": "2092-01-01"}, "data ends 2092-01-01T00:00Z, and it is"),
        ({"until": "2009-12-31"}, "data ends 2009-12-31"),
        ({"since": "2024-01-01", "until": "2024-01-01"}, "until must be after since"),
        ({"since": "2024-01-02", "until": "2024-01-01"}, "until must be after since"),
    ],
)
def test_days_without_any_candle_are_refused_at_once(client, history, said):
    for path in ("/api/candles/fetches", "/api/training/start", "/api/training/estimate"):
        body = {"markets": ["btc_binance_1h"], "history": history}
        refused = client.post(path, json=body)
        assert refused.status_code == 422
        assert said in refused.json()["detail"]
    assert client.get("/api/candles/fetches").json()["total"] == 0
