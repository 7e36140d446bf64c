"""Binance's dialect: `exchangeInfo`, `time`, `klines` (at most 1,000)."""

from bisect import bisect_left
from operator import itemgetter

from support.loopback.server import LoopbackExchange, Rows

LIMIT = 1_000


class LoopbackBinance(LoopbackExchange):
    """Serves BTC/USDT from the first candle at or after ``startTime``."""

    name, symbol = "binance", "BTC/USDT"
    clock_path = "/api/v3/time"

    def rows_for(self, path, query):
        if path != "/api/v3/klines":
            return None
        assert query["symbol"] == "BTCUSDT"
        everything = self.rows(query["interval"])
        since, until = int(query.get("startTime", 0)), int(query.get("endTime", 2**62))
        limit = min(int(query.get("limit", 500)), LIMIT)
        first = bisect_left(everything, since, key=itemgetter(0))
        page = [row for row in everything[first : first + limit] if row[0] <= until]
        return Rows(page, everything, limit)

    def page(self, path, rows):
        rest = ["0", 1, "0", "0", "0"]
        return [[t, *map(str, values), t, *rest] for t, *values in rows]

    def clock(self, now):
        return {"serverTime": now}

    def describe(self, path):
        assert path == "/api/v3/exchangeInfo", f"{path} is not served: what asks for it?"
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

    def trouble(self):
        return 500, {"code": -1001, "msg": "Internal error; unable to process your request."}

    def complaint(self, status):
        words = {
            418: "Way too much request weight used; IP banned.",
            429: "Too much request weight used; current limit is 6000.",
        }
        return {"code": -1003, "msg": words[status]} if status in words else {"msg": "unavailable"}
