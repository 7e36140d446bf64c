"""How long it takes from candles that have closed to signals that can be read.

`pytest -m slow -s tests/live/test_pace.py` prints the figures of docs/live.md; nothing is asserted
of them. One hundred configurations of five strategies follow 24 markets of a year of 5m candles,
whose next candles all come at once.
"""

import time

import numpy as np
import pytest

from pipeline.live.feed import FeedKey
from pipeline.live.follower import Follower
from pipeline.strategies.registry import BUILT_IN
from support.databases import JOB
from support.real_candles import real_candles
from support.traders import random_trader

CONFIGURATIONS, MARKETS, ROUNDS = 100, 24, 6


class Replay:
    """A feed of stored candles, of which the next one comes when it is asked for."""

    is_loaded, edition, ahead_ms = True, 0, 0

    def __init__(self, market, candles):
        self.market, self.whole = market, candles
        self.bars, self.due_ms = len(candles) - ROUNDS, 0

    @property
    def candles(self):
        return self.whole.cut(0, self.bars)

    def advance(self, now):
        self.bars, self.due_ms = self.bars + 1, 2**62
        return True

    def persist(self):
        """Nothing is kept."""

    def revisions(self, since_ms):
        return iter(())


def traders(repository, candles, example):
    """Random combinations; the markets differ by their store's name alone."""
    rng = np.random.default_rng(0)
    for number in range(CONFIGURATIONS):
        job_id = repository.jobs.create(**JOB)
        repository.jobs.start(job_id)
        row = example(job_id, id=f"PACE_20230131_235959_{number:06x}", gates=[])
        strategy, store = BUILT_IN[number % len(BUILT_IN)], f"market-{number % MARKETS}"
        yield random_trader(rng, strategy, row, candles, int(candles.day[-1]) - 60, store)


@pytest.mark.slow
def test_from_candles_to_signals(repository, example):
    candles = real_candles("binance_BTC-USDT_5m_2023-01_2023-12")
    follower = Follower(
        repository, None, [], lambda _: None, lambda: int(candles.timestamp[-1]) + candles.step_ms
    )
    for trader in traders(repository, candles, example):
        repository.configurations.save(trader.configuration)
        follower._traders[trader.id] = trader
        key = FeedKey.of(trader.simulation.market, trader.simulation.data)
        follower._keys[trader.id] = key
        follower._feeds.setdefault(key, Replay(trader.simulation.market, candles))
    assert len(follower._feeds) == MARKETS
    seconds = []
    for _ in range(ROUNDS):
        for feed in follower._feeds.values():
            feed.due_ms = 0
        began, work = time.perf_counter(), time.process_time()
        follower._inquiry.ask(follower._feeds, 0)
        while not follower._inquiry.is_idle:
            follower._take_answers(1.0)
        signals = repository.live.signals()
        seconds.append((time.perf_counter() - began, time.process_time() - work))
        assert len(signals) == CONFIGURATIONS
        newest = {one.signal["candle"]["opened"] for one in signals}
        assert len(newest) == 1
    print(
        f"\n{repository.engine.name}: {CONFIGURATIONS} configurations, {MARKETS} markets:"
        f" {', '.join(f'{wall:.2f} s ({cpu:.2f} s of CPU)' for wall, cpu in seconds)}"
    )
