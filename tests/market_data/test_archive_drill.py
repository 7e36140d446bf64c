"""A year by months from an archive that misbehaves, killed again and again: the same hashes.

`pytest -m slow -s` shows the figures, and what the archive saves where an answer takes 50 ms.
"""

import time

import numpy as np
import pytest

from pipeline.market_data.exchange import month_archives
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.store.month import content_hash
from pipeline.market_data.store.store import candle_path, load
from support.fetching import run_fetch, start_fetch
from support.loopback import CANDLE_START, LIES, PASSING, Faults, LoopbackBinance, candle_series

STEP, YEAR = 300_000, 105_120
UNTIL = CANDLE_START + YEAR * STEP
NOW = UNTIL + 40 * 86_400_000
RANGE = ("market=btc_binance_5m", "data.history=1y", "data.until=2024-01-01")
HOLES = [*range(20_000, 20_400), *range(60_000, 60_003)]


def fetched(folder, server, archive):
    request = CandleRequest("binance", "BTC/USDT", "5m", CANDLE_START, UNTIL, "ohlc", archive)
    fetch_ccxt(request, folder, client=server.client(rateLimit=50))
    return load(candle_path(folder, "binance", "BTC/USDT", "5m"))


@pytest.fixture(scope="module")
def candles():
    return candle_series(YEAR + 12_000, absent=HOLES)


def asked(server):
    return len(server.requests) + len(server.archive.asked)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 12])
def test_killed_it_ends_as_an_undisturbed_fetch_by_pages(tmp_path, monkeypatch, candles, kills):
    rng = np.random.default_rng(kills)
    with LoopbackBinance({"5m": candles}, NOW) as server:
        undisturbed = fetched(tmp_path / "undisturbed", server, "never")
    faults = Faults(seed=kills, share=0.1, kinds=(*PASSING, *LIES))
    with LoopbackBinance({"5m": candles}, NOW, faults=faults) as server:
        monkeypatch.setenv(month_archives.VARIABLE, server.url)
        server.archive.share, server.archive.rng = 0.3, rng
        for _ in range(kills):
            process = start_fetch(tmp_path, server, *RANGE)
            before, until = asked(server), int(rng.integers(2, 20))
            deadline = time.monotonic() + 120
            while process.poll() is None and asked(server) < before + until:
                assert time.monotonic() < deadline, "the fetch asks nothing"
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            process.communicate()
        last = run_fetch(tmp_path, server, *RANGE)
        assert last.status == 0, last.err
        print(f"\n{kills} kills: {len(server.archive.asked)} files, {len(server.requests)} others")
    stored = load(candle_path(tmp_path / "var/candles", "binance", "BTC/USDT", "5m"))
    assert content_hash(stored.rows) == content_hash(undisturbed.rows)
    assert stored.answered == undisturbed.answered


@pytest.mark.slow
def test_what_the_archive_saves(tmp_path, monkeypatch, candles):
    for archive in ("never", "auto"):
        with LoopbackBinance({"5m": candles}, NOW) as server:
            server.latency_s = 0.05
            monkeypatch.setenv(month_archives.VARIABLE, server.url)
            start = time.perf_counter()
            stored = fetched(tmp_path / archive, server, archive)
            seconds = time.perf_counter() - start
            assert len(stored.rows) == YEAR - len(HOLES)
            print(f"\n{archive}: {asked(server)} requests, {seconds:.1f} s")
