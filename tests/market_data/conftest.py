"""Rows of candles for the grid's tests, and exchanges on the loopback for the real ccxt client."""

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import ccxt
import numpy as np
import pytest

from pipeline.market_data.raw import RawCandles

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
GOLDEN = Path(__file__).resolve().parents[2] / "../shared/spec/golden"
START = 1_672_531_200_000  # 2023-01-01 00:00 UTC
STEP = 300_000


def _rows(bars, step=STEP, start=START, **columns):
    """Candles at ``start + step * bars``, price 100 + bar, volume 1, columns replaced at will."""
    bar = np.asarray(list(bars), dtype=np.int64)
    price = 100.0 + bar
    raw = RawCandles(
        start + step * bar, price, price + 1.0, price - 1.0, price + 0.5, np.ones(len(bar))
    )
    return replace(raw, **{name: np.array(values) for name, values in columns.items()})


@pytest.fixture(scope="session")
def rows():
    return _rows


@pytest.fixture
def data_folder():
    if not DATA.is_dir():
        pytest.skip("the real candles (shared/data beside the repository) are not on this machine")
    return DATA


@pytest.fixture
def golden_folder():
    if not GOLDEN.is_dir():
        pytest.skip("the golden files (shared/spec beside the repository) are not on this machine")
    return GOLDEN


class LoopbackExchange:
    """BTC candles of 5m from ``first`` to ``now``, served as Binance or Kraken would.

    ``failures`` are HTTP statuses to answer candle requests with, before anything else;
    ``requests`` records the start time that each candle request asked for, and ``paths`` all.
    """

    def __init__(self, first, now):
        self.first, self.now = first, now
        self.absent = set()
        self.failures = []
        self.requests = []
        self.paths = []
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                exchange.paths.append(url.path)
                status, body = exchange.answer(url.path, query)
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def candles(self, since):
        """[open time, open, high, low, close, volume]; the last one is still forming."""
        opens = range(max(self.first, -(-since // STEP) * STEP), self.now + 1, STEP)
        return [
            [t, p := 100 + t // STEP % 1000, p + 1, p - 1, p + 0.5, 2.5]
            for t in opens
            if t not in self.absent
        ]

    def client(self):
        client = getattr(ccxt, self.name)({"rateLimit": 1})
        host = f"http://127.0.0.1:{self.server.server_port}"
        for name, url in client.urls["api"].items():
            client.urls["api"][name] = host + urlsplit(url).path
        client.options["fetchMarkets"] = {"types": ["spot"]}
        return client

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class LoopbackBinance(LoopbackExchange):
    name = "binance"

    def answer(self, path, query):
        if path == "/api/v3/exchangeInfo":
            symbol = {
                "symbol": "BTCUSDT",
                "status": "TRADING",
                "baseAsset": "BTC",
                "quoteAsset": "USDT",
                "isSpotTradingAllowed": True,
                "permissions": ["SPOT"],
                "filters": [],
            }
            return 200, {"symbols": [symbol]}
        if path == "/api/v3/time":
            return 200, {"serverTime": self.now}
        assert path == "/api/v3/klines"
        assert (query["symbol"], query["interval"]) == ("BTCUSDT", "5m")
        self.requests.append(int(query["startTime"]))
        if self.failures:
            status = self.failures.pop(0)
            return status, {"code": -1121 if status == 400 else -1003, "msg": "no"}
        page = self.candles(int(query["startTime"]))[: int(query["limit"])]
        rest = [STEP - 1, "0", 1, "0", "0", "0"]
        return 200, [[t, *map(str, values), t + rest[0], *rest[1:]] for t, *values in page]


class LoopbackKraken(LoopbackExchange):
    name = "kraken"

    def answer(self, path, query):
        if path == "/0/public/Assets":
            assets = {"XXBT": {"altname": "XBT", "decimals": 10, "display_decimals": 5}}
            assets["ZUSD"] = {"altname": "USD", "decimals": 4, "display_decimals": 2}
            return 200, {"error": [], "result": assets}
        if path == "/0/public/AssetPairs":
            pair = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD"}
            pair |= {"pair_decimals": 1, "lot_decimals": 8, "fees": [[0, 0.4]], "status": "online"}
            return 200, {"error": [], "result": {"XXBTZUSD": pair}}
        if path == "/0/public/Time":
            return 200, {"error": [], "result": {"unixtime": self.now // 1000}}
        assert path == "/0/public/OHLC"
        assert (query["pair"], query["interval"]) == ("XXBTZUSD", "5")
        self.requests.append(int(query["since"]) * 1000)
        # "Returns up to 720 of the most recent entries (older data cannot be retrieved,
        # regardless of the value of since)"; since itself is exclusive.
        page = [row for row in self.candles(0)[-720:] if row[0] > int(query["since"]) * 1000]
        result = [[t // 1000, *map(str, values[:4]), "0", str(values[4]), 3] for t, *values in page]
        return 200, {"error": [], "result": {"XXBTZUSD": result, "last": 0}}


@pytest.fixture
def binance():
    """1,500 closed candles since 2023-01-01 and one that is half formed."""
    exchange = LoopbackBinance(START, START + 1_500 * STEP + STEP // 2)
    yield exchange
    exchange.close()


@pytest.fixture
def kraken():
    """The same 1,500 candles, of which Kraken serves the last 720 (one still forming)."""
    exchange = LoopbackKraken(START, START + 1_500 * STEP + STEP // 2)
    yield exchange
    exchange.close()
