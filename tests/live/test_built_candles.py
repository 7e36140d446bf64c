"""Coarse candles that are built live from finer ones lack none that may still come."""

import numpy as np
import pytest

from pipeline.config import TrainConfig, load
from pipeline.live import clients
from pipeline.live import exchange_feed as feeds
from pipeline.market_data.exchange import fetching
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.resample import resampled
from support.loopback import CANDLE_START, LoopbackBinance, candle_series
from support.loopback.clients import pointed

FINE, HOUR = 300_000, 3_600_000
#: The hour that is followed closes then.
CLOSE = CANDLE_START + 30 * HOUR


@pytest.fixture
def exchange(monkeypatch):
    with LoopbackBinance({"5m": candle_series(600)}, CLOSE - HOUR + 400) as server:
        for module in (clients, fetching):
            monkeypatch.setattr(
                module, "new_client", lambda name, *_: pointed(name, server.url, rateLimit=1)
            )
        yield server


@pytest.fixture
def feed_of(exchange, tmp_path):
    words = ["market=btc_binance_1h", f"data.store={tmp_path}", "data.since=2023-01-01"]
    words += ["data.resample_from=5m", "data.quality.filled_share=0.1"]
    config = load(words, TrainConfig, "train")

    def made():
        return feeds.feed_of(
            config.market, config.data, CANDLE_START, lambda _: None, lambda: exchange.now
        )

    return made


def take(exchange, *bars):
    """Take fine candles away; they are counted from the hour that is followed."""
    rows = exchange.history["5m"]
    gone = [row for row in rows if (row[0] - CLOSE + HOUR) // FINE in bars]
    for row in gone:
        rows.remove(row)
    return gone


def whole(rows):
    """The coarse candles of fine ones."""
    return resampled(RawCandles.of(np.array(rows)), FINE, HOUR)


def same(candles, rows):
    built = whole(rows)
    count = len(candles)
    return all(
        np.array_equal(getattr(candles, name), getattr(built, name)[:count])
        for name in ("timestamp", "open", "high", "low", "close", "volume")
    )


def looks(exchange, feed, minutes):
    """Look each minute from the close on; yield the minute and the newest candle."""
    for minute in minutes:
        exchange.now = CLOSE + minute * 60_000 + 400
        if feed.due_ms <= exchange.now:
            feed.advance(exchange.now)
        yield minute, int(feed.candles.timestamp[-1])


@pytest.mark.parametrize("bars", [(11,), (0,), (4, 7)])
def test_a_coarse_candle_waits_for_a_fine_one_that_comes_late(exchange, feed_of, bars, tmp_path):
    rows = list(exchange.history["5m"])
    feed = feed_of()
    feed.load()
    gone = take(exchange, *bars)
    newest = dict(looks(exchange, feed, range(5)))
    assert {*newest.values()} == {CLOSE - 2 * HOUR}
    exchange.history["5m"] = rows
    newest = dict(looks(exchange, feed, range(5, 8)))
    assert newest[7] == CLOSE - HOUR
    assert same(feed.candles, rows)
    assert (len(gone), feed.edition) == (len(bars), 0)
    feed.persist()
    again = feed_of()
    again.load()
    assert again.candles.close.tolist() == feed.candles.close.tolist()


@pytest.mark.parametrize(("bar", "first"), [(11, 60), (6, 35), (0, 5)])
def test_after_an_hour_a_fine_candle_comes_no_more(exchange, feed_of, bar, first):
    """The hour is counted from the end of the fine candle, as the store counts it."""
    feed = feed_of()
    feed.load()
    take(exchange, bar)
    newest = dict(looks(exchange, feed, range(70)))
    came = [minute for minute, opened in newest.items() if opened >= CLOSE - HOUR]
    assert first <= came[0] <= first + 1
    assert same(feed.candles, exchange.history["5m"])
    assert feed.edition == 0
    requests = len(exchange.requests)
    assert dict(looks(exchange, feed, range(70, 122)))[121] == CLOSE + HOUR
    assert len(exchange.requests) - requests <= 2
    assert same(feed.candles, exchange.history["5m"])


def test_a_start_in_the_middle_of_the_wait_waits_on(exchange, feed_of):
    """What `scripts/signal` sees, too: it loads once."""
    rows = list(exchange.history["5m"])
    take(exchange, 9)
    exchange.now = CLOSE + 10 * 60_000
    feed = feed_of()
    feed.load()
    assert int(feed.candles.timestamp[-1]) == CLOSE - 2 * HOUR
    exchange.history["5m"] = rows
    feed = feed_of()
    feed.load()
    assert int(feed.candles.timestamp[-1]) == CLOSE - HOUR
    assert same(feed.candles, rows)


def test_a_hole_of_before_is_as_in_a_training(exchange, feed_of, tmp_path):
    """An outage of the exchange, older than an hour, is no reason to wait."""
    take(exchange, *range(-40, -20))
    feed = feed_of()
    feed.load()
    assert int(feed.candles.timestamp[-1]) == CLOSE - 2 * HOUR
    rows = exchange.history["5m"]
    kept = np.isin(feed.candles.timestamp, whole(rows).timestamp)
    assert np.array_equal(feed.candles.filled, ~kept)
    assert feed.candles.filled.sum() == 1
    assert dict(looks(exchange, feed, [0]))[0] == CLOSE - HOUR
