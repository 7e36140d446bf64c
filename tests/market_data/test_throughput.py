"""The collector must not be what a fetch waits for. `pytest -s` shows the figures."""

import time

from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.store.store import candle_path, load
from support.loopback import CANDLE_START, Fault, Faults, LoopbackBinance, candle_series

STEP, COUNT = 300_000, 40_000
#: Less than any exchange needs over the internet.
ANSWER_S = 0.05


def test_less_than_a_tenth_of_a_fetch_is_spent_outside_the_client(tmp_path, monkeypatch):
    faults = Faults(share=1.0, kinds=(Fault.SLOW,))
    with LoopbackBinance(
        {"5m": candle_series(COUNT + 1)}, CANDLE_START + COUNT * STEP + 1,
        faults=faults, slow_s=ANSWER_S,
    ) as server:  # fmt: skip
        client = server.client(rateLimit=50)  # Binance's own, milliseconds
        fetch(client, 1_000, tmp_path / "first")  # what is imported and compiled once
        waited = [0.0]
        for name in ("load_markets", "fetch_time", "fetch_ohlcv"):
            monkeypatch.setattr(client, name, timed(getattr(client, name), waited))
        begun, worked = time.perf_counter(), time.process_time()
        fetched = fetch(client, COUNT, tmp_path)
        whole = time.perf_counter() - begun
        # Of the time that this process has: other programs may hold the cores.
        outside = (time.process_time() - worked - waited[0]) / whole
    assert len(fetched.raw) == COUNT
    print(f"\n{COUNT:,} candles in {whole:.2f} s, {outside:.1%} of it outside the client")
    assert outside < 0.10
    assert len(load(candle_path(tmp_path, "binance", "BTC/USDT", "5m")).rows) == COUNT


def fetch(client, count, folder):
    until = CANDLE_START + count * STEP
    request = CandleRequest("binance", "BTC/USDT", "5m", CANDLE_START, until)
    return fetch_ccxt(request, folder, client=client)


def timed(function, seconds):
    def call(*arguments, **options):
        begun = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[0] += time.process_time() - begun

    return call
