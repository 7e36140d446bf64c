"""What a follower does at its edges: another one, a restart, a time in which nobody followed."""

import math
from datetime import timedelta

import numpy as np
import pytest

from pipeline.config import StoredConfig, load, milliseconds, moment
from pipeline.errors import UserError
from pipeline.live import signal_batch
from pipeline.live.clients import now_ms
from pipeline.live.closing import differences
from pipeline.live.feed import FeedKey, Revision
from pipeline.live.follower import REFUSED_EVERY, Follower
from pipeline.live.signal import signal_now
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

    is_loaded, edition, due_ms, ahead_ms = True, 0, 0, 0

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
        self.follower._first[self.key] = trader.first_ms
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


def test_trades_of_a_time_in_which_nobody_followed_were_not_called(repository, trader, candles):
    """Switched off and on again: the ledger goes on whole, and says what could be followed."""
    Service(repository, trader, candles).follow(FIRST, OFF)
    Service(repository, trader, candles).follow(ON, END)
    account = repository.live.account(trader.id)
    trades, days = repository.live.trades(trader.id), repository.live.days(trader.id)
    series = trader.series(candles.cut(0, END), milliseconds(account.first_candle))
    assert list(differences(trader, series, trades, days)) == []
    assert all(trade.stop is not None for trade in trades)

    signals = [candles.timestamp.searchsorted(milliseconds(one.signal_at)) for one in trades]
    followed = [FIRST <= bar < OFF or ON <= bar < END for bar in signals]
    assert [one.called for one in trades] == followed
    entered_off = [OFF <= bar < ON for bar in signals]
    held_over = [one.called and one.exit_at > moment(int(candles.timestamp[OFF])) for one in trades]
    assert min(sum(followed), sum(entered_off), sum(held_over)) > 0
    assert account.called == sum(followed) < account.trades == len(trades)
    exposure = trader.simulation.risk.exposure
    growth = math.prod(1.0 + exposure * one.ret for one in trades if one.called)
    assert account.called_equity == pytest.approx(growth, rel=1e-12)


def test_an_order_that_comes_late_was_not_called(repository, trader, candles):
    service = Service(repository, trader, candles)
    punctual, late = service.now, 61_000
    service.follower._clock = lambda: punctual() + late
    service.follow(FIRST, FIRST + DAY)
    assert [one.called for one in repository.live.trades(trader.id)].count(True) == 0
    orders = [one for one in repository.live.events(limit=9999) if one.kind == "order"]
    assert len(orders) > 0


@pytest.mark.parametrize("ahead", [300_000, -300_000])
def test_a_wrong_clock_makes_nothing_late_where_the_exchange_tells_its_time(
    repository, trader, candles, ahead
):
    """A machine whose clock is five minutes off: orders are stamped by the exchange's."""
    service = Service(repository, trader, candles)
    punctual, service.feed.ahead_ms = service.now, ahead
    service.follower._clock = lambda: punctual() - ahead
    service.follow(FIRST, FIRST + DAY)
    service.follower._tell_staleness()
    trades = repository.live.trades(trader.id)
    first = moment(int(candles.timestamp[FIRST]))
    assert [one.called for one in trades] == [one.signal_at >= first for one in trades]
    assert sum(one.called for one in trades) > 0
    lines = repository.live.events(limit=9999)
    orders = [one for one in lines if one.kind == "order"]
    step = timedelta(milliseconds=candles.step_ms)
    assert {one.at - one.candle - step for one in orders} == {LOOK}
    assert [one for one in lines if one.kind == "stale"] == []
    (stored,) = repository.live.signals()
    assert (stored.signal["refusal"], stored.signal["ahead"]) == (None, ahead / 1000)
    assert stored.signal["made"] == moment(punctual()).isoformat().replace("+00:00", "Z")
    service.feed.ahead_ms = 0  # a file: this machine's clock counts
    service.follower._clock = lambda: punctual() + candles.step_ms + 60_000
    service.follower._tell_staleness()
    assert [one.kind for one in repository.live.events(limit=9999)].count("stale") == 1


def test_a_signal_that_is_asked_for_goes_by_the_clock_of_the_exchange(
    repository, trader, candles, monkeypatch
):
    """The exchange's clock is years behind this machine's here, and its candles are fresh."""
    feed, made = Replay(trader.simulation.market, candles), []
    monkeypatch.setattr(signal_batch, "trader_of", lambda *_: trader)
    monkeypatch.setattr(signal_batch, "feed_of", lambda *_, **__: feed)
    monkeypatch.setattr(Replay, "load", lambda _: None, raising=False)
    config = load([], StoredConfig, "stored")
    end = int(candles.timestamp[FIRST - 1]) + candles.step_ms
    for late_ms in (400, candles.step_ms + 60_000):
        feed.ahead_ms = end + late_ms - now_ms()
        (signal,) = signal_batch.signals(
            config, repository, [trader.configuration], None, lambda _: None
        )
        made.append(signal)
    fresh, stale = made
    assert (fresh.refusal, stale.refusal is None) == (None, False)
    assert timedelta() <= fresh.made - moment(end + 400) < timedelta(minutes=1)
    assert fresh.ahead < stale.ahead == feed.ahead_ms / 1000 < 0.0


def test_a_refusal_keeps_the_clock_that_it_was_made_by(repository, trader, candles, monkeypatch):
    """This machine's clock is half an hour ahead: what was said a moment ago is no older."""
    service = Service(repository, trader, candles)
    punctual, service.feed.ahead_ms = service.now, -1_800_000
    service.follower._clock = lambda: punctual() + 1_800_000

    def broken(*_):
        raise ZeroDivisionError("it divides")

    monkeypatch.setattr(Follower, "_decide", broken)
    service.follow(FIRST, FIRST + 1)
    (stored,) = repository.live.signals()
    shown = signal_now(trader.configuration, stored, moment(service.follower._clock()), True)
    assert shown.signal.refusal == "ZeroDivisionError: it divides"


def test_an_order_that_waited_for_the_database_was_not_called(
    repository, trader, candles, monkeypatch
):
    service = Service(repository, trader, candles)
    punctual, waited, book = service.now, [0], repository.live.book
    service.follower._clock = lambda: punctual() + waited[0]

    def away(*booking):
        waited[0] = 61_000
        book(*booking)
        waited[0] = 0

    monkeypatch.setattr(repository.live, "book", away)
    service.follow(FIRST, FIRST + DAY)
    trades = repository.live.trades(trader.id)
    assert [one.called for one in trades] == [False] * len(trades)
    assert len(trades) > 0
    orders = [one for one in repository.live.events(limit=9999) if one.kind == "order"]
    step = timedelta(milliseconds=candles.step_ms)
    assert {one.at - one.candle - step for one in orders} == {LOOK + timedelta(seconds=61)}


def test_what_was_refused_is_followed_again_when_it_can_be(
    repository, trader, candles, monkeypatch
):
    """Its signal is made anew at once, though no candle came: a bot may hold a position."""
    broken = []

    def prepared(repository, storage, row):
        if broken:
            raise UserError(f"{row.id}: its artifacts are gone.")
        return trader

    service = Service(repository, trader, candles).follow(FIRST, FIRST + 1)
    service.follower._let_go(trader.id)
    service.follower._ids = (trader.id,)
    monkeypatch.setattr("pipeline.live.follower.trader_of", prepared)
    monkeypatch.setattr("pipeline.live.follower.feed_of", lambda *_: service.feed)

    def look(later):
        service.follower._roster_at -= later
        service.follower._refused_at -= later
        service.follower._look_at_roster()
        if service.follower._feeds and service.follower._awaits_booking(service.key):
            service.follower._book(service.key)
        (stored,) = repository.live.signals()
        return stored.signal["refusal"]

    broken.append(True)
    assert look(10_000) == "its artifacts are gone"
    broken.clear()
    assert look(2) == "its artifacts are gone"
    assert look(REFUSED_EVERY) is None
    assert service.notes == [
        f"{trader.id} is not followed: its artifacts are gone.",
        f"{trader.id} is followed again.",
    ]
    assert not service.follower._awaits_booking(service.key)


def test_a_revision_is_one_line_whoever_sees_it_again(repository, trader, candles):
    opened = int(candles.timestamp[FIRST - 5])
    seen, later = (1.0, 2.0, 1.0, 1.5, 9.0), (1.0, 2.0, 1.0, 1.6, 9.0)
    first, again = Revision(opened, seen, later), Revision(opened, seen, (*later[:4], 9.5))
    for told in ((first,), (first,), (again,), (again,)):
        service = Service(repository, trader, candles)  # after a restart
        service.follower._tell_revisions(service.key, told)
        service.follower._tell_revisions(service.key, told)
    lines = [one for one in repository.live.events() if one.kind == "revised"]
    assert len(lines) == 2
    assert {one.candle for one in lines} == {moment(opened)}
    assert [str(first) in lines[0].text, str(again) in lines[1].text] == [True, True]


def test_a_follower_says_since_when_and_that_it_looks(repository):
    assert repository.follower.state() == (None, None, None, None)
    assert not repository.follower.go_on()
    assert repository.follower.claim()
    before = repository.follower.state()
    assert before.dead is None
    assert before.since == before.looked_at
    assert repository.follower.go_on()
    now = repository.follower.state()
    assert now.since == before.since < now.looked_at
    repository.follower.release()
    assert repository.follower.state().since is None


def test_what_is_refused_is_no_nothing_that_is_switched_on(repository):
    notes = []
    follower = Follower(repository, None, [], notes.append)
    assert "switch a configuration on" in follower.summary
    follower._refuse("x", None, "generated candles")
    assert follower.summary.startswith("Nothing is followed: all that is switched on is refused")
    assert (notes, list(follower.findings())) == (["x is not followed: generated candles."], [])
