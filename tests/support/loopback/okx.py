"""OKX's dialect: `instruments`, `time`, candles (at most 300, in a window) and payments of funding.

Unlike Binance it answers for a window alone: where that has no candle, it has none to give.
"""

from support.loopback.server import LoopbackExchange, Rows

LIMIT, FUNDING_LIMIT = 300, 400
FUNDING = "/api/v5/public/funding-rate-history"
#: Every payment, and the time between two.
RATE, EIGHT_HOURS = 0.0001, 28_800_000
LISTED = 1_600_000_000_000


def instrument(base, kind="SPOT", listed=LISTED, **other):
    """A market as OKX describes it; of kind ``SWAP`` a linear perpetual contract."""
    swap = kind == "SWAP"
    return {
        "instType": kind,
        "instId": f"{base}-USDT-SWAP" if swap else f"{base}-USDT",
        "uly": f"{base}-USDT" if swap else "",
        "baseCcy": "" if swap else base,
        "quoteCcy": "" if swap else "USDT",
        "settleCcy": "USDT" if swap else "",
        "ctType": "linear" if swap else "",
        "ctVal": "0.01" if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": base if swap else "",
        "tickSz": "0.00001",
        "lotSz": "0.001",
        "minSz": "10",
        "lever": "10",
        "listTime": str(listed),
        "expTime": "",
        "state": "live",
        **other,
    }


class LoopbackOkx(LoopbackExchange):
    """Serves the candles of every one of its ``instruments``: DOGE/USDT and DOGE/USDT:USDT."""

    name, symbol = "okx", "DOGE/USDT"
    clock_path = "/api/v5/public/time"
    instruments = (instrument("DOGE"), instrument("DOGE", "SWAP"))

    def rows_for(self, path, query):
        if path == FUNDING:
            every = range(
                -(-self.history_start // EIGHT_HOURS) * EIGHT_HOURS, self.now, EIGHT_HOURS
            )
            return self._window([[time, RATE] for time in every], query, FUNDING_LIMIT)
        if path not in ("/api/v5/market/candles", "/api/v5/market/history-candles"):
            return None
        assert query["instId"] in {market["instId"] for market in self.instruments}
        everything = self.rows(query["bar"].removesuffix("utc").lower())
        return self._window(everything, query, LIMIT)

    @property
    def history_start(self):
        """Open of the oldest candle."""
        return min(rows[0][0] for rows in self.history.values())

    @staticmethod
    def _window(everything, query, most):
        after, before = int(query.get("after", 2**62)), int(query.get("before", 0))
        limit = min(int(query.get("limit", 100)), most)
        inside = [row for row in everything if before < row[0] < after]
        return Rows(inside[-limit:], everything, limit)

    def page(self, path, rows):
        if path == FUNDING:
            return _data(
                [{"fundingTime": str(t), "fundingRate": str(r)} for t, r in reversed(rows)]
            )
        shown = [[str(t), *map(str, v), str(v[4]), "0", "1"] for t, *v in reversed(rows)]
        return _data(shown)

    def clock(self, now):
        return _data([{"ts": str(now)}])

    def describe(self, path):
        assert path == "/api/v5/public/instruments", f"{path} is not served: what asks for it?"
        kind = self.requests[-1].query["instType"]
        return 200, _data([one for one in self.instruments if one["instType"] == kind])

    def complaint(self, status):
        return {"code": "50011", "msg": "Too Many Requests", "data": []}


def _data(rows):
    return {"code": "0", "msg": "", "data": rows}
