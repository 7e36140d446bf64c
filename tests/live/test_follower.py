"""What a follower does at its edges: a restart, a time in which nobody followed."""

from datetime import timedelta

import numpy as np
import pytest

from pipeline.config import milliseconds, moment
from pipeline.live.agreement import differences
from pipeline.live.feed import FeedKey
from pipeline.live.follower import Follower
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from support.databases import JOB
from support.traders import random_trader

DAY = 96
#: Bars that are followed: at the first candle of a stretch all before it is booked late.
FIRST, OFF, ON, END = 25 * DAY, 26 * DAY, 29 * DAY, 30 * DAY
LOOK = timedelta(milliseconds=400)


class Replay:
    """A feed of stored candles, as they were at a time."""

    is_loaded, edition, due_ms = True, 0, 0

    def __init__(self, market, whole):
        self.market, self.whole, self.bars = market, whole, FIRST

    @property
    def candles(self):
        return self.whole.cut(0, self.bars)

    def advance(self, now):
        return True

    def persist(self):
        """Nothing is kept."""

    def revisions(self, since_ms):
        return iter(())


@pytest.fixture(scope="module")
def candles():
    return make_regular(synthetic_candles(31, "15m", 3), "15m", "generated")[0]


@pytest.fixture
def trader(repository, candles, example):
    """A combination that trades often, stored; its series begins with the 20th day."""
    job_id = repository.jobs.create(**JOB)
    repository.jobs.start(job_id)
    often = {"entry_channel": 20, "exit_channel": 10, "volume_factor": 0, "stop_distance": 2}
    row = example(job_id, gates=[])
    first_day = int(candles.day[0]) + 20
    made = random_trader(
        np.random.default_rng(0),
        "donchian_breakout",
        row,
        candles,
        first_day,
        timeframe="15m",
        **often,
    )
    repository.configurations.save(made.configuration)
    return made


class Service:
    """A follower as a process that has just started, which follows one trader."""

    def __init__(self, repository, trader, candles):
        self.feed = Replay(trader.simulation.market, candles)
        self.notes = []
        self.follower = Follower(repository, None, [], self.notes.append, self.now)
        self.key = FeedKey.of(trader.simulation.market, trader.data)
        self.follower._traders[trader.id] = trader
        self.follower._keys[trader.id] = self.key
        self.follower._feeds[self.key] = self.feed
        self.follower._accounts |= repository.live.accounts()

    def now(self):
        candles = self.feed.whole
        closed = moment(int(candles.timestamp[self.feed.bars - 1]) + candles.step_ms)
        return milliseconds(closed + LOOK)

    def follow(self, start, end):
        """Look after each candle from one to before another."""
        for bars in range(start + 1, end + 1):
            self.feed.bars = bars
            self.follower._book(self.key)
        return self


def test_a_ledger_with_pauses_is_that_of_the_whole_series(repository, trader, candles):
    """On both databases, with stops and targets; what was missed is booked late."""
    Service(repository, trader, candles).follow(FIRST, OFF)
    Service(repository, trader, candles).follow(ON, END)
    account = repository.live.account(trader.id)
    trades, days = repository.live.trades(trader.id), repository.live.days(trader.id)
    series = trader.series(candles.cut(0, END), milliseconds(account.first_candle))
    assert list(differences(trader, series, trades, days)) == []
    assert account.trades == len(trades) > 20
    assert all(trade.stop is not None for trade in trades)
