"""Kraken's dialect: `Assets`, `AssetPairs`, `Time`, `SystemStatus`, `OHLC` (720), `Trades`."""

from bisect import bisect_right
from functools import cached_property
from operator import itemgetter

from support.loopback.server import LoopbackExchange, Rows

NEWEST, TRADES_LIMIT = 720, 1_000
SECONDS_BELOW = 10**11  # a smaller `since` of Trades is in seconds, a larger one in nanoseconds


class LoopbackKraken(LoopbackExchange):
    """Serves BTC/USDT (Kraken's XBTUSDT): "Returns up to 720 of the most recent entries (older
    data cannot be retrieved, regardless of the value of `since`)".
    """

    name, symbol, pair = "kraken", "BTC/USDT", "XBTUSDT"
    clock_path = "/0/public/Time"

    def rows_for(self, path, query):
        if path == "/0/public/OHLC":
            everything = self._ohlc(query)
            since = int(query.get("since", 0)) * 1_000  # exclusive
            return Rows([row for row in everything if row[0] > since], everything, NEWEST)
        if path == "/0/public/Trades":
            since = int(query.get("since", 0))
            since *= 10**9 if since < SECONDS_BELOW else 1
            limit = min(int(query.get("count", TRADES_LIMIT)), TRADES_LIMIT)
            trades = self._numbered
            by_now = trades[: bisect_right(trades, self.now * 10**6, key=itemgetter(0))]
            first = bisect_right(by_now, since, key=itemgetter(0))
            return Rows(by_now[first : first + limit], by_now, limit)
        return None

    @cached_property
    def _numbered(self):
        """Trades with their ids, which count all trades of the pair."""
        return [(*trade, number) for number, trade in enumerate(self.trades, start=1)]

    def _ohlc(self, query):
        assert query["pair"] == self.pair
        minutes = int(query["interval"])
        timeframe = {60: "1h", 240: "4h", 1440: "1d"}.get(minutes, f"{minutes}m")
        return self.rows(timeframe)[-NEWEST:]

    def page(self, path, rows):
        if path == "/0/public/Trades":
            shown = [
                [str(price), str(volume), time / 1e9, side, "l", "", number]
                for time, price, volume, side, number in rows
            ]
            last = str(rows[-1][0]) if rows else str(self.now * 1_000_000)
            return _result({self.pair: shown, "last": last})
        shown = [[t // 1000, *map(str, values[:4]), "0", str(values[4]), 3] for t, *values in rows]
        return _result({self.pair: shown, "last": rows[-1][0] // 1000 if rows else 0})

    def clock(self, now):
        return _result({"unixtime": now // 1000})

    def describe(self, path):
        return 200, _result(DESCRIPTIONS[path.removeprefix("/0/public/")])

    def trouble(self):
        return 200, {"error": ["EService:Timeout"]}

    def complaint(self, status):
        words = {418: "EGeneral:Temporary lockout", 429: "EAPI:Rate limit exceeded"}
        return {"error": [words.get(status, "EService:Unavailable")]}


def _result(result):
    return {"error": [], "result": result}


DESCRIPTIONS = {
    "SystemStatus": {"status": "online"},
    "Assets": {
        "XXBT": {"altname": "XBT", "decimals": 10, "display_decimals": 5},
        "USDT": {"altname": "USDT", "decimals": 8, "display_decimals": 4},
    },
    "AssetPairs": {
        "XBTUSDT": {
            "altname": "XBTUSDT",
            "wsname": "XBT/USDT",
            "base": "XXBT",
            "quote": "USDT",
            "pair_decimals": 1,
            "lot_decimals": 8,
            "fees": [[0, 0.4]],
            "status": "online",
        }
    },
}
