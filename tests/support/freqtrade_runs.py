"""The real freqtrade: an environment of its own, an exchange on the loopback, a backtest's trades.

freqtrade asks its exchange for markets before a backtest, and for nothing else.
"""

import json
import subprocess
import sys
import time
import zipfile
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from support.documents import ROOT
from support.loopback import LoopbackBinance

VERSION = "2026.9"
PLACE = ROOT / ".cache/freqtrade"


@cache
def freqtrade():
    """The program, installed beside this project with the tested versions; else the test skips."""
    program, stamp = PLACE / "bin/freqtrade", PLACE / ".prepared"
    wanted = f"{VERSION} {ROOT}"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
        words = [f"freqtrade=={VERSION}", "-e", ROOT, "-c", ROOT / "constraints.txt"]
        done = subprocess.run(
            [PLACE / "bin/python", "-m", "pip", "install", "-q", *words],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"pip cannot install freqtrade: {done.stderr.strip().splitlines()[-1]}")
        stamp.write_text(wanted)
    return program


class OneMarket(LoopbackBinance):
    """Binance with one spot market and one contract of the same pair, and no candles."""

    def __init__(self, base, quote, tick):
        super().__init__({}, int(time.time() * 1000))
        self.base, self.quote, self.tick = base, quote, tick

    def describe(self, path):
        symbol = {
            "symbol": self.base + self.quote,
            "pair": self.base + self.quote,
            "status": "TRADING",
            "baseAsset": self.base,
            "quoteAsset": self.quote,
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": self.tick},
                {"filterType": "LOT_SIZE", "stepSize": "0.00001", "minQty": "0.00001"},
            ],
        }
        if path == "/api/v3/exchangeInfo":
            symbol |= {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}
        else:
            assert path == "/fapi/v1/exchangeInfo", f"{path} is not served: what asks for it?"
            symbol |= {
                "contractType": "PERPETUAL",
                "onboardDate": 1_569_398_400_000,
                "marginAsset": self.quote,
            }
        return 200, {"symbols": [symbol]}


def write_candles(folder, pair, timeframe, candles, kind=""):
    """Write candles as freqtrade keeps them."""
    name = pair.replace("/", "_").replace(":", "_")
    path = folder / ("futures" if ":" in pair else ".") / f"{name}-{timeframe}{kind}.feather"
    path.parent.mkdir(parents=True, exist_ok=True)
    there = ~candles.filled
    columns = {n: getattr(candles, n)[there] for n in ("open", "high", "low", "close", "volume")}
    dates = pa.array(candles.timestamp[there], pa.timestamp("ms", "UTC"))
    feather.write_feather(pa.table({"date": dates, **columns}), path)


def write_funding(folder, pair, candles):
    """Write what a contract pays, and the prices that it is paid on, every hour.

    At hours without a payment the rate is 0.
    """
    hour = 3_600_000
    times = np.arange(-(-candles.timestamp[0] // hour) * hour, candles.timestamp[-1] + 1, hour)
    bar = (times - candles.timestamp[0]) // candles.step_ms
    prices = candles.open[bar]
    rates = np.zeros(len(times))
    if candles.funding is not None:
        rates[np.searchsorted(times, candles.funding.timestamp)] = candles.funding.rate
    name = pair.replace("/", "_").replace(":", "_")
    dates = pa.array(times, pa.timestamp("ms", "UTC"))
    for kind, values in (("mark", prices), ("funding_rate", rates)):
        columns = dict.fromkeys(("open", "high", "low", "close"), values)
        table = pa.table({"date": dates, **columns, "volume": np.zeros(len(times))})
        feather.write_feather(table, folder / f"futures/{name}-1h-{kind}.feather")


def backtest(folder, plan, candles, start, tick="0.01"):
    """Run an exported strategy from bar ``start`` on; return freqtrade's trades, oldest first."""
    name, pair = plan.configuration_id, plan.pair
    kind = "-futures" if ":" in pair else ""
    write_candles(folder / "data", pair, plan.timeframe, candles, kind)
    if ":" in pair:
        write_funding(folder / "data", pair, candles)
    config = json.loads((folder / f"{name}.config.json").read_text())
    base, quote = pair.partition(":")[0].split("/")
    program = freqtrade()
    with OneMarket(base, quote, tick) as exchange:
        paths = {"public": "/api/v3", "private": "/api/v3", "fapiPublic": "/fapi/v1"}
        config["exchange"]["ccxt_config"] = {
            "urls": {"api": {api: exchange.url + path for api, path in paths.items()}},
            "options": {"fetchMarkets": {"types": ["linear" if ":" in pair else "spot"]}},
        }
        (folder / "config.json").write_text(json.dumps(config))
        seconds = [int(candles.timestamp[bar]) // 1000 for bar in (start, -1)]
        words = {
            "--config": folder / "config.json",
            "--strategy-path": folder,
            "--datadir": folder / "data",
            "--userdir": folder,
            "--timerange": "{}-{}".format(*seconds),
            "--export": "trades",
            "--cache": "none",
        }
        done = subprocess.run(
            [program, "backtesting", *(str(w) for pair in words.items() for w in pair)],
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    (archive,) = (folder / "backtest_results").glob("*.zip")
    with zipfile.ZipFile(archive) as parts:
        (result,) = (n for n in parts.namelist() if n == f"{archive.stem}.json")
        trades = json.loads(parts.read(result))["strategy"][name]["trades"]
    return sorted(trades, key=lambda trade: trade["open_timestamp"])
