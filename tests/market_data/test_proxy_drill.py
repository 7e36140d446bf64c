"""Three exchanges at once, through a proxy that drops connections, by a command that is killed.

The addresses are the exchanges' own, over HTTPS: the proxy leads to the loopback. Killed at random
moments and started again, the command ends with what undisturbed fetches have. `pytest -s` shows
the figures.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest

from pipeline.config.data import NO_PROXY, Network
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.exchange.funding import fetch_funding
from pipeline.market_data.raw import RawFunding
from pipeline.market_data.store.month import content_hash
from pipeline.market_data.store.store import candle_path, load, load_rows
from support.loopback import (
    CANDLE_START,
    LIES,
    PASSING,
    Authority,
    Fault,
    Faults,
    LoopbackBinance,
    LoopbackBinanceFutures,
    LoopbackKraken,
    LoopbackProxy,
    candle_series,
    payments,
    pointed,
)
from support.runs import ROOT

STEP = 300_000
PERPETUAL = "binanceusdm:BTC/USDT:USDT:5m"
HOSTS = {
    "api.binance.com": LoopbackBinance,
    "api.kraken.com": LoopbackKraken,
    "fapi.binance.com": LoopbackBinanceFutures,
}


class Drill:
    """Exchanges, the proxy before them, and the command's words."""

    def __init__(self, stack, folder, days, seed):
        authority = Authority(folder)
        self.folder, self.count = folder, 288 * days
        self.now = CANDLE_START + self.count * STEP + STEP // 2
        candles = {"5m": candle_series(self.count + 1)}
        self.servers = {}
        for host, kind in HOSTS.items():
            own = (
                {"funding": payments(3 * days, CANDLE_START)}
                if kind is LoopbackBinanceFutures
                else {}
            )
            faults = Faults(seed=seed, share=0.15, kinds=(*PASSING, *LIES, Fault.CLOCK_OFF))
            server = kind(
                candles, self.now, faults=faults, tls=authority.context(host, "localhost"), **own
            )
            server.fail(Fault.OWN_WORDS)
            self.servers[host] = stack.enter_context(server)
        ports = {host: server.port for host, server in self.servers.items()}
        self.proxy = stack.enter_context(LoopbackProxy(ports, drops=0.1, seed=seed))
        self.trusted = Network(NO_PROXY, str(authority.path))
        self.words = (
            "data.since=2023-01-01", "data.until=2024-01-01", "data.archive=never",
            f"data.ca={authority.path}",
        )  # fmt: skip

    @property
    def requests(self):
        return sum(len(server.requests) for server in self.servers.values())

    def start(self, markets, kind="http"):
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
        proxy = f"data.proxy={getattr(self.proxy, kind)}"
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "support.loopback.fetch_command"),
                *(f"market='{markets}'", *self.words, proxy),
            ],
            cwd=self.folder, env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def killed(self, markets, kind, rng, latest):
        """Start a fetch and kill it in the middle of something; its status and complaints."""
        process, before = self.start(markets, kind), self.requests
        after, deadline = int(rng.integers(3, latest)), time.monotonic() + 180
        while process.poll() is None and self.requests < before + after:
            assert time.monotonic() < deadline, "the fetch asks nothing"
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        return process.returncode or process.wait(), process.communicate()[1]

    def hashes(self, store):
        """What a store has of the three, and of the perpetual's funding."""
        places = {"binance": "BTC/USDT", "kraken": "BTC/USDT", "binanceusdm": "BTC/USDT:USDT"}
        stored = {name: load(candle_path(store, name, pair, "5m")) for name, pair in places.items()}
        path = candle_path(store, "binanceusdm", "BTC/USDT:USDT", "funding")
        stored["funding"] = load_rows(path, RawFunding)
        return {name: content_hash(part.rows) for name, part in stored.items()}

    def near(self, server):
        """A client of the exchange without a proxy."""
        return pointed(server.name, server.url.replace("127.0.0.1", "localhost"), rateLimit=1)

    def undisturbed(self, store):
        """The hashes of fetches that nothing befalls, and how often they ask."""
        before = self.requests
        for server in self.servers.values():
            server.faults.share = 0.0
            ask = CandleRequest(server.name, server.symbol, "5m", CANDLE_START, self.now)
            fetch_ccxt(ask, store, client=self.near(server), network=self.trusted)
        futures = self.servers["fapi.binance.com"]
        fetch_funding(
            futures.name, futures.symbol, (CANDLE_START, CANDLE_START + self.count * STEP), store,
            client=self.near(futures), network=self.trusted,
        )  # fmt: skip
        return self.hashes(store), self.requests - before


@pytest.mark.parametrize(
    ("days", "kills", "latest"),
    [(20, 2, 15), pytest.param(365, 20, 60, marks=pytest.mark.slow)],
)
def test_three_exchanges_at_once_through_a_proxy_and_kills(tmp_path, days, kills, latest):
    rng = np.random.default_rng(kills)
    complaints, start = "", time.monotonic()
    with ExitStack() as stack:
        drill = Drill(stack, tmp_path, days, seed=kills)
        everything = f"btc_binance_5m,btc_kraken_5m,{PERPETUAL}"
        for kill in range(kills):
            markets = PERPETUAL if kill % 4 == 3 else everything
            kind = ("http", "socks")[kill % 2]
            status, errors = drill.killed(markets, kind, rng, latest)
            assert status == -signal.SIGKILL, errors
            complaints += errors
        for markets, kind in ((everything, "socks"), (PERPETUAL, "http")):
            process = drill.start(markets, kind)
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
            complaints += errors
        asked, seconds = drill.requests, time.monotonic() - start
        injected = sum(sum(s.faults.injected.values()) for s in drill.servers.values())
        words = sum(s.faults.injected[Fault.OWN_WORDS] for s in drill.servers.values())
        truth, requests = drill.undisturbed(tmp_path / "undisturbed")
        dropped = drill.proxy.dropped
    assert drill.hashes(tmp_path / "var/candles") == truth
    print(
        f"\n{kills} kills, {asked} requests (undisturbed {requests}), {injected} faults injected"
        f" ({words} in the exchange's own words), {dropped} connections dropped by the proxy,"
        f" {complaints.count('; attempt ')} retries, {seconds:.0f} s"
    )
