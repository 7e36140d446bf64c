"""A year of candles through an exchange that misbehaves, and a collector that is killed.

Killed at random moments and started again, it ends with what an undisturbed one has. `pytest -s`
shows the figures.
"""

import signal
import time
from collections import Counter

import numpy as np
import pytest

from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.store.month import content_hash
from pipeline.market_data.store.store import candle_path, load
from support.fetching import run_fetch, start_fetch
from support.loopback import (
    CANDLE_START,
    LIES,
    PASSING,
    Fault,
    Faults,
    LoopbackBinance,
    candle_series,
)

STEP, YEAR = 300_000, 105_120
UNTIL = CANDLE_START + YEAR * STEP
RANGE = ("market=btc_binance_5m", "data.since=2023-01-01", "data.until=2024-01-02")


def until_asked(server, process, requests, patience=120):
    """Wait until the process has asked so often, or has ended."""
    deadline, before = time.monotonic() + patience, len(server.requests)
    while process.poll() is None and len(server.requests) < before + requests:
        assert time.monotonic() < deadline, "the fetch asks nothing"
        time.sleep(0.001)


def kill_at_random(folder, server, rng, latest):
    """Start a fetch and kill it in the middle of something; its status and complaints."""
    process = start_fetch(folder, server, *RANGE)
    # A save comes after every 20 pages: some kills fall before the first, some into one.
    until_asked(server, process, int(rng.integers(3, latest)))
    time.sleep(rng.uniform(0, 0.05))
    process.kill()
    _, complaints = process.communicate()
    return process.returncode, complaints


def stored_in(folder):
    return load(candle_path(folder / "var/candles", "binance", "BTC/USDT", "5m"))


@pytest.mark.parametrize(
    ("kills", "latest"), [(2, 60), pytest.param(20, 30, marks=pytest.mark.slow)]
)
def test_a_disturbed_fetch_ends_like_an_undisturbed_one(tmp_path, kills, latest):
    rng = np.random.default_rng(kills)
    faults = Faults(seed=kills, share=0.15, kinds=(*PASSING, *LIES, Fault.CLOCK_OFF))
    candles = candle_series(YEAR + 1)
    now = UNTIL + STEP // 2
    statuses, complaints = Counter(), ""
    with LoopbackBinance({"5m": candles}, now, faults=faults) as server:
        for _ in range(kills):
            status, errors = kill_at_random(tmp_path, server, rng, latest)
            statuses[status] += 1
            complaints += errors
        server.fail(Fault.BANNED)
        banned = run_fetch(tmp_path, server, *RANGE)
        assert banned.status == 1
        assert "the exchange has banned this address" in banned.err
        last = run_fetch(tmp_path, server, *RANGE)
        assert last.status == 0, last.err
        complaints += banned.err + last.err
        requests = len(server.requests)

    with LoopbackBinance({"5m": candles}, now) as server:
        fetch_ccxt(
            CandleRequest("binance", "BTC/USDT", "5m", CANDLE_START, UNTIL + STEP),
            tmp_path / "undisturbed",
            client=server.client(),
        )  # fmt: skip
    undisturbed = load(candle_path(tmp_path / "undisturbed", "binance", "BTC/USDT", "5m"))
    stored = stored_in(tmp_path)
    assert content_hash(stored.rows) == content_hash(undisturbed.rows)
    np.testing.assert_array_equal(stored.rows.timestamp, CANDLE_START + STEP * np.arange(YEAR))
    np.testing.assert_array_equal(stored.rows.close, [row[4] for row in candles[:YEAR]])
    assert statuses == {-signal.SIGKILL: kills}
    print(
        f"\n{kills} kills, {requests} requests (undisturbed"
        f" {len(server.requests)}), {complaints.count('; attempt ')} retries,"
        f" {sum(faults.injected.values())} faults injected: "
        + ", ".join(f"{count} {fault.value}" for fault, count in faults.injected.most_common())
    )


def test_two_fetches_of_one_market_end_in_one_consistent_store(tmp_path):
    candles = candle_series(12_001)
    faults = Faults(seed=5, share=0.1, kinds=(*PASSING, *LIES))
    with LoopbackBinance(
        {"5m": candles}, CANDLE_START + 12_000 * STEP + 1, faults=faults
    ) as server:
        first = start_fetch(tmp_path, server, *RANGE[:2], "data.until=2023-02-01")
        second = start_fetch(tmp_path, server, *RANGE)
        outputs = [process.communicate(timeout=120) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    stored = stored_in(tmp_path).rows
    np.testing.assert_array_equal(stored.timestamp, CANDLE_START + STEP * np.arange(12_000))
    np.testing.assert_array_equal(stored.volume, [row[5] for row in candles[:12_000]])
