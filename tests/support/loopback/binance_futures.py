"""Binance's dialect of USD-M futures: klines (at most 1,500) and `fundingRate` (at most 1,000)."""

from bisect import bisect_left
from operator import itemgetter

import numpy as np

from support.loopback.binance import LoopbackBinance
from support.loopback.server import Rows

KLINES, PAYMENTS = 1_500, 1_000
EIGHT_HOURS = 28_800_000


class LoopbackBinanceFutures(LoopbackBinance):
    """Serves the perpetual BTC/USDT:USDT; ``funding`` is rows ``[time in ms, rate]`` by time."""

    name, symbol = "binanceusdm", "BTC/USDT:USDT"
    clock_path = "/fapi/v1/time"

    def __init__(self, candles, now, funding=(), **settings):
        super().__init__(candles, now, **settings)
        self.funding = list(funding)

    def rows_for(self, path, query):
        since, until = int(query.get("startTime", 0)), int(query.get("endTime", 2**62))
        if path == "/fapi/v1/klines":
            assert query["symbol"] == "BTCUSDT"
            everything = self.rows(query["interval"])
            limit = min(int(query.get("limit", 500)), KLINES)
        elif path == "/fapi/v1/fundingRate":
            assert query["symbol"] == "BTCUSDT"
            everything = [row for row in self.funding if row[0] <= self.now]
            limit = min(int(query.get("limit", 100)), PAYMENTS)
        else:
            return None
        first = bisect_left(everything, since, key=itemgetter(0))
        page = [row for row in everything[first : first + limit] if row[0] <= until]
        return Rows(page, everything, limit)

    def page(self, path, rows):
        if path != "/fapi/v1/fundingRate":
            return super().page(path, rows)
        return [
            {"symbol": "BTCUSDT", "fundingTime": time, "fundingRate": f"{rate:.8f}"}
            for time, rate in rows
        ]

    def describe(self, path):
        assert path == "/fapi/v1/exchangeInfo", f"{path} is not served: what asks for it?"
        symbol = {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "onboardDate": 1_569_398_400_000,
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001"},
            ],
        }
        return 200, {"symbols": [symbol]}


def payments(count, start, seed=0, jitter=True):
    """Rows ``[time, rate]`` every 8 hours, to eight decimals, some of them milliseconds late."""
    rng = np.random.default_rng(seed)
    rates = np.round(rng.normal(1e-4, 2e-4, count), 8)
    late = rng.integers(0, 30, count) if jitter else np.zeros(count, int)
    return [[start + EIGHT_HOURS * k + int(late[k]), float(rates[k])] for k in range(count)]
