"""A feed asks the exchange once for each closed candle, and keeps what it saw."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import DAY_MS, Candles, Funding
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.live import clients
from pipeline.live import exchange_feed as feeds
from pipeline.market_data.exchange import fetching, funding
from pipeline.market_data.store.store import candle_path
from pipeline.market_data.store.store import load as load_store
from support.loopback import CANDLE_START, Fault, LoopbackBinance, candle_series
from support.loopback.binance_futures import LoopbackBinanceFutures, payments
from support.loopback.clients import pointed

STEP, BARS = 300_000, 900
MIDNIGHT = CANDLE_START + 4 * 86_400_000
LOOK_MS = 400


@pytest.fixture
def exchange(monkeypatch):
    with LoopbackBinance({"5m": candle_series(BARS)}, CANDLE_START + 500 * STEP) as server:

        def client(name, *_):
            return pointed(name, server.url, rateLimit=1)

        monkeypatch.setattr(clients, "new_client", client)
        monkeypatch.setattr(fetching, "new_client", client)
        yield server


@pytest.fixture
def feed(exchange, tmp_path):
    words = ["market=btc_binance_5m", f"data.store={tmp_path}", "data.since=2023-01-01"]
    config = load(words, TrainConfig, "train")
    made = feeds.feed_of(
        config.market, config.data, CANDLE_START, lambda _: None, lambda: exchange.now
    )
    made.load()
    return made


def closes(exchange, bar):
    """Go to a moment after the close of a bar."""
    exchange.now = CANDLE_START + (bar + 1) * STEP + LOOK_MS


def stored(tmp_path):
    return load_store(candle_path(tmp_path, "binance", "BTC/USDT", "5m")).rows


def test_one_request_a_candle(feed, exchange, tmp_path):
    closes(exchange, 500)
    feed.advance(exchange.now)
    before = len(exchange.requests)
    for bar in range(501, 531):
        closes(exchange, bar)
        assert feed.due_ms <= exchange.now
        assert feed.advance(exchange.now)
        assert int(feed.candles.timestamp[-1]) == CANDLE_START + bar * STEP
        assert feed.due_ms == CANDLE_START + (bar + 2) * STEP + feeds.ASK_AFTER_MS
    assert len(exchange.requests) - before == 30
    feed.persist()
    assert len(stored(tmp_path)) == len(feed.candles) == 531


def test_a_day_of_24_markets_costs_at_most_7000_requests(feed, exchange):
    """A day, with the question for revisions."""
    before = len(exchange.requests)
    for bar in range(500, 788):
        closes(exchange, bar)
        assert feed.advance(exchange.now)
    assert list(feed.revisions(exchange.now - 2 * 288 * STEP)) == []
    assert len(exchange.requests) - before == 288 + 1
    assert 24 * (len(exchange.requests) - before) <= 7_000


def test_a_candle_that_is_late_is_asked_for_again_later_each_time(feed, exchange):
    row = exchange.history["5m"].pop(500)
    del exchange.history["5m"][500:]
    closes(exchange, 500)
    pauses = []
    for _ in range(3):
        assert not feed.advance(exchange.now)
        pauses.append(feed.due_ms - exchange.now)
        exchange.now = feed.due_ms
    assert pauses == [2_000, 4_000, 8_000]
    exchange.history["5m"].append(row)
    assert feed.advance(exchange.now)


def test_another_edition_where_candles_are_other_ones(feed, exchange):
    for bar in (500, 501, 510):
        closes(exchange, bar)
        feed.advance(exchange.now)
    assert feed.edition == 0
    feed.load()  # from the store, which has what was persisted alone, and the exchange again
    assert feed.edition == 0
    for name in Candles.COLUMNS[1:6]:
        candles = feed.candles
        other = getattr(candles, name).copy()
        other[3] += 1.0
        before = feed.edition
        feed._take(replace(candles, **{name: other}))
        assert feed.edition == before + 1
    paid = Funding(feed.candles.timestamp[[2, 9]], np.array([1e-4, 1e-4]))
    for edition, payment in (
        (6, paid),
        (6, paid),
        (7, replace(paid, rate=2 * paid.rate)),
        (8, None),
    ):
        feed._take(replace(feed.candles, funding=payment))
        assert feed.edition == edition


def test_downtime_is_caught_up_in_one_answer(feed, exchange):
    closes(exchange, 890)
    assert feed.advance(exchange.now)
    assert len(feed.candles) == 891


def test_a_hole_is_filled_and_asked_for_twice(feed, exchange):
    del exchange.history["5m"][505]
    closes(exchange, 500)
    feed.advance(exchange.now)
    before = len(exchange.asked("klines"))
    closes(exchange, 510)
    assert feed.advance(exchange.now)
    assert len(exchange.asked("klines")) - before == 2
    assert feed.candles.filled.nonzero()[0].tolist() == [505]


def test_a_candle_that_came_late_is_in_the_store_after_the_next_fetch(feed, exchange, tmp_path):
    row = exchange.history["5m"].pop(503)
    for bar in (500, 504):
        closes(exchange, bar)
        assert feed.advance(exchange.now)
    exchange.history["5m"].insert(503, row)
    feed.persist()
    assert len(stored(tmp_path)) == 504
    assert feed.candles.filled[503]
    feed.load()
    assert stored(tmp_path).close[503] == feed.candles.close[503] == row[4]


def test_candles_that_found_no_room_are_stored_with_the_next(feed, exchange, tmp_path, monkeypatch):
    def full(*_):
        raise UserError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(feeds, "save", full)
        for bar in (500, 501):
            closes(exchange, bar)
            assert feed.advance(exchange.now)
            with pytest.raises(UserError, match="no room"):
                feed.persist()
    feed.persist()
    assert stored(tmp_path).close.tolist() == feed.candles.close.tolist()


def test_what_was_seen_stays_and_its_revision_is_named(feed, exchange, tmp_path):
    closes(exchange, 510)
    feed.advance(exchange.now)
    feed.persist()
    seen = list(exchange.history["5m"][505])
    exchange.history["5m"][505] = [*seen[:4], seen[4] + 1.0, seen[5]]
    (revision,) = feed.revisions(CANDLE_START)
    assert revision.opened_ms == seen[0]
    assert revision.seen == tuple(seen[1:])
    assert revision.now == (*seen[1:4], seen[4] + 1.0, seen[5])
    assert feed.candles.close[505] == stored(tmp_path).close[505] == seen[4]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.RESET, Fault.INVALID_JSON])
def test_an_outage_is_a_sentence_and_passes(feed, exchange, fault):
    closes(exchange, 500)
    feed.advance(exchange.now)
    closes(exchange, 501)
    exchange.fail(fault)
    with pytest.raises(UserError, match="binance BTC/USDT 5m"):
        feed.advance(exchange.now)
    assert feed.due_ms > exchange.now
    assert feed.advance(exchange.now)
    assert len(feed.candles) == 502


def test_broken_candles_are_refused_and_not_kept(feed, exchange, tmp_path):
    closes(exchange, 500)
    feed.advance(exchange.now)
    good = list(exchange.history["5m"][501])
    exchange.history["5m"][501] = [good[0], *(value * 40 for value in good[1:5]), good[5]]
    closes(exchange, 501)
    with pytest.raises(UserError):
        feed.advance(exchange.now)
    assert len(feed.candles) == 501
    exchange.history["5m"][501] = good
    assert feed.advance(exchange.now)
    feed.persist()
    assert stored(tmp_path).close[501] == good[4]


@pytest.mark.parametrize("seconds", [3, -3, 600, -600])
def test_a_clock_that_is_set_takes_no_candle_early(exchange, tmp_path, seconds):
    """This machine's clock is wrong at first, and then it is set right."""
    off = [seconds * 1000]
    words = ["market=btc_binance_5m", f"data.store={tmp_path}", "data.since=2023-01-01"]
    config = load(words, TrainConfig, "train")

    def clock():
        return exchange.now - off[0]

    feed = feeds.feed_of(config.market, config.data, CANDLE_START, lambda _: None, clock)
    closes(exchange, 500)
    feed.load()
    closes(exchange, 501)
    assert feed.advance(clock())
    off[0], late = 0, []
    while exchange.now < CANDLE_START + 506 * STEP:
        exchange.now = max(feed.due_ms, exchange.now + 100)
        if feed.advance(clock()):
            late.append(exchange.now % STEP)
    feed.persist()
    rows = stored(tmp_path)
    served = {row[0]: row for row in exchange.history["5m"]}
    assert int(rows.timestamp[-1]) >= CANDLE_START + 503 * STEP
    for opened, close, volume in zip(rows.timestamp, rows.close, rows.volume, strict=True):
        assert [close, volume] == served[int(opened)][4:]
    assert late[-1] <= 1_000  # it asks in time again


@pytest.mark.parametrize("minutes", [5, -5])
def test_a_start_with_a_wrong_clock_takes_what_the_exchange_has(exchange, tmp_path, minutes):
    """Once, as `scripts/signal` loads; and its markets share what is known of the clock."""
    words = ["market=btc_binance_5m", f"data.store={tmp_path}", "data.since=2023-01-01"]
    config = load(words, TrainConfig, "train")
    closes(exchange, 500)
    shared, arguments = clients.Clients(), (config.market, config.data, CANDLE_START)
    one, other = (
        feeds.feed_of(*arguments, lambda _: None, lambda: exchange.now - 60_000 * minutes, shared)
        for _ in range(2)
    )
    assert one.ahead_ms == 0
    one.load()
    assert one.ahead_ms == other.ahead_ms == 60_000 * minutes
    assert int(one.candles.timestamp[-1]) == CANDLE_START + 500 * STEP
    other.load()
    assert other.candles.close.tolist() == one.candles.close.tolist()


def test_a_start_without_the_exchange_goes_by_this_machine(exchange, feed, tmp_path):
    """What is stored is all there is by this machine's clock: no answer is needed."""
    words = ["market=btc_binance_5m", f"data.store={tmp_path}", "data.since=2023-01-01"]
    config = load(words, TrainConfig, "train")
    end = int(feed.candles.timestamp[-1]) + STEP
    exchange.fail(*[Fault.UNAVAILABLE] * 9)
    again = feeds.feed_of(config.market, config.data, CANDLE_START, lambda _: None, lambda: end)
    again.load()
    assert (again.ahead_ms, len(again.candles)) == (0, len(feed.candles))


@pytest.fixture
def notes():
    return []


@pytest.fixture
def perpetual(tmp_path, monkeypatch, notes):
    """A loopback exchange 10 minutes before the payment of a midnight, and a feed of it."""
    with LoopbackBinanceFutures(
        {"5m": candle_series(1_300)},
        MIDNIGHT - 600_000 + LOOK_MS,
        funding=payments(40, CANDLE_START, seed=3),
    ) as server:
        for module in (clients, fetching, funding):
            monkeypatch.setattr(
                module, "new_client", lambda name, *_: pointed(name, server.url, rateLimit=1)
            )
        words = ["market=binanceusdm:BTC/USDT:USDT:5m", f"data.store={tmp_path}"]
        config = load([*words, "data.since=2023-01-01"], TrainConfig, "train")
        feed = feeds.feed_of(
            config.market, config.data, CANDLE_START, notes.append, lambda: server.now
        )
        feed.load()
        yield server, feed


def test_a_payment_is_known_with_the_candle_that_opens_then(perpetual):
    server, feed = perpetual
    newest = []
    for bars in range(1, 15):
        server.now = MIDNIGHT - 600_000 + bars * STEP + LOOK_MS
        assert feed.advance(server.now)
        newest.append(int(feed.candles.funding.timestamp[-1]) // 60_000 * 60_000)
    # The candle of 23:55 closes at midnight; that of 00:00 is the first that pays.
    assert newest == [MIDNIGHT - DAY_MS // 3] * 2 + [MIDNIGHT] * 12
    assert feed.edition == 0


@pytest.mark.parametrize(("published", "first"), [(12, 12), (90, 60)])
def test_a_candle_waits_an_hour_for_the_payment_of_its_open(perpetual, published, first, notes):
    """The candle of midnight is there with the true rate, or after an hour with 0.0001."""
    server, feed = perpetual
    due = next(row for row in server.funding if row[0] // 60_000 * 60_000 == MIDNIGHT)
    server.funding.remove(due)
    seen = {}
    for minute in range(0, 66, 2):
        server.now = MIDNIGHT + minute * 60_000 + LOOK_MS
        if minute == published:
            server.funding.append(due)
            server.funding.sort()
        feed.advance(server.now)
        if int(feed.candles.timestamp[-1]) >= MIDNIGHT:
            paid = feed.candles.funding
            seen.setdefault(minute, float(paid.rate[paid.timestamp.searchsorted(MIDNIGHT)]))
    rate = float(due[1]) if published == 12 else 1e-4
    assert (min(seen), set(seen.values())) == (first, {rate})
    assert [note.split("listed ")[1] for note in notes] == [
        "yet: its candle waits.",
        "in time: a rate stands in.",
    ][: 1 + (published > 60)]
    assert feed.edition == 0


def test_a_payment_after_one_that_never_came_is_waited_for_too(perpetual, notes):
    """That of midnight is never listed, that of 08:00 is so twelve minutes late."""
    server, feed = perpetual
    never, late = (
        next(row for row in server.funding if row[0] // 60_000 * 60_000 == MIDNIGHT + after)
        for after in (0, DAY_MS // 3)
    )
    server.funding.remove(never)
    server.funding.remove(late)
    eight, seen = MIDNIGHT + DAY_MS // 3, {}
    server.now = eight + LOOK_MS
    feed.advance(server.now)
    for minute in range(4, 20, 2):
        if minute == 12:
            server.funding = sorted([*server.funding, late])
        server.now = eight + minute * 60_000 + LOOK_MS
        feed.advance(server.now)
        if int(feed.candles.timestamp[-1]) >= eight:
            paid = feed.candles.funding
            rates = paid.rate[paid.timestamp.searchsorted([MIDNIGHT, eight])]
            seen.setdefault(minute, rates.tolist())
    assert (min(seen), seen[12]) == (12, [1e-4, float(late[1])])
    assert feed.edition == 0
    assert [note.split("listed ")[1] for note in notes] == [
        "in time: a rate stands in.",
        "yet: its candle waits.",
    ]


def test_a_start_in_the_middle_of_the_wait_waits_on(perpetual, tmp_path):
    server, feed = perpetual
    due = next(row for row in server.funding if row[0] // 60_000 * 60_000 == MIDNIGHT)
    server.funding.remove(due)
    server.now = MIDNIGHT + 20 * 60_000
    feed.advance(server.now)
    again = feeds.feed_of(feed.market, feed._data, CANDLE_START, lambda _: None, lambda: server.now)
    again.load()
    assert int(again.candles.timestamp[-1]) == MIDNIGHT - STEP
    server.funding = sorted([*server.funding, due])
    server.now += 60_000
    assert again.advance(server.now)
    assert int(again.candles.timestamp[-1]) == MIDNIGHT + 3 * STEP
    assert float(again.candles.funding.rate[-1]) == due[1]
