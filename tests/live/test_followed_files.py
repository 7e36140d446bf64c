"""A feed of files: what is appended, in a file or in a folder, and a payment that comes late."""

import os

import pytest

from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.live import exchange_feed as feeds
from support.loopback import CANDLE_START, candle_series

HOUR, STEP = 3_600_000, 300_000
HEAD = "timestamp,open,high,low,close,volume\n"


def lines(rows):
    return "".join(f"{','.join(map(str, row))}\n" for row in rows)


@pytest.fixture
def clock():
    return [CANDLE_START]


@pytest.fixture
def followed(clock):
    def made(word, path, *words):
        config = load(
            [f"market={word}", "data=file", f"data.path={path}", *words], TrainConfig, "train"
        )
        return feeds.feed_of(
            config.market, config.data, CANDLE_START, lambda _: None, lambda: clock[0]
        )

    return made


def append(path, text):
    """Append as a program does whose writes share a tick of the file system's clock."""
    before = path.stat()
    with path.open("a") as file:
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("deep", [False, True])
def test_a_file_that_grows_in_a_folder_is_read_again(tmp_path, followed, deep):
    folder = tmp_path / "candles"
    inner = folder / "2023" if deep else folder
    inner.mkdir(parents=True)
    rows = candle_series(600)
    (inner / "BTCUSDT-5m-a.csv").write_text(HEAD + lines(rows[:200]))
    (inner / "BTCUSDT-5m-b.csv").write_text(HEAD + lines(rows[200:300]))
    feed = followed("btc_binance_5m", folder)
    feed.load()
    assert not feed.advance(0)
    append(inner / "BTCUSDT-5m-b.csv", lines(rows[300:301]))
    assert feed.advance(0)
    assert not feed.advance(0)
    (inner / "BTCUSDT-5m-c.csv").write_text(HEAD + lines(rows[301:303]))
    assert feed.advance(0)
    assert (len(feed.candles), feed.edition) == (303, 0)
    assert feed.candles.close.tolist() == [row[4] for row in rows[:303]]


def test_a_file_that_cannot_be_read_is_read_until_it_can(tmp_path, followed):
    rows, path = candle_series(300), tmp_path / "candles.csv"
    path.write_text(HEAD + lines(rows[:200]))
    feed = followed("btc_binance_5m", path)
    feed.load()
    broken, kept = HEAD + lines(rows[:200]) + "1,2\n" + lines(rows[200:203]), tmp_path / "kept"
    path.write_text(broken)
    for _ in range(2):  # why its candles are stale is told as long as it is so
        with pytest.raises(UserError, match="cannot be read"):
            feed.advance(0)
    path.rename(kept)
    for _ in range(2):
        with pytest.raises(UserError, match="does not exist"):
            feed.advance(0)
    kept.write_text(HEAD + lines(rows[:203]))
    kept.rename(path)
    assert feed.advance(0)
    assert not feed.advance(0)


@pytest.mark.parametrize(("published", "first"), [(12, 12), (None, 60)])
def test_a_candle_of_a_file_waits_an_hour_for_the_payment_of_its_open(
    tmp_path, followed, clock, published, first
):
    """A minute after each close a candle is appended; the payment of 16:00 may be late."""
    rows = candle_series(300)
    candles, payments = tmp_path / "candles.csv", tmp_path / "funding"
    payments.mkdir()
    paid = payments / "BTCUSDT-funding.csv"
    candles.write_text(HEAD + lines(rows[: 16 * 12]))
    paid.write_text(
        "timestamp,rate\n" + lines([[CANDLE_START + n * 8 * HOUR, 2e-4] for n in (0, 1)])
    )
    word = "binanceusdm:BTC/USDT:USDT:5m"
    feed, due, seen = followed(word, candles, f"data.funding={payments}"), 16 * HOUR, {}
    clock[0] = CANDLE_START + due
    feed.load()
    for minute in range(66):
        clock[0] = CANDLE_START + due + minute * 60_000
        if minute % 5 == 1 and minute > 5:
            append(candles, lines(rows[16 * 12 + minute // 5 - 1 : 16 * 12 + minute // 5]))
        if minute == published:
            append(paid, lines([[CANDLE_START + due, 3e-4]]))
        feed.advance(clock[0])
        if int(feed.candles.timestamp[-1]) >= CANDLE_START + due:
            funding = feed.candles.funding
            at = funding.timestamp.searchsorted(CANDLE_START + due)
            seen.setdefault(minute, float(funding.rate[at]))
    assert (min(seen), {*seen.values()}) == (first, {3e-4 if published else 1e-4})
    assert feed.edition == 0
    assert int(feed.candles.timestamp[-1]) == CANDLE_START + due + 11 * STEP


def test_half_a_row_of_a_followed_file_is_no_candle(tmp_path):
    """Of a payment that is not there yet the rate is the one that stands in, 0.0001."""
    rows = "".join(f"{','.join(map(str, row))}\n" for row in candle_series(300))
    paid = [(CANDLE_START + hour * 3_600_000, f"0.000{hour}") for hour in (0, 8, 16)]
    files = {
        "candles.csv": "timestamp,open,high,low,close,volume\n" + rows,
        "funding.csv": "timestamp,rate\n" + "".join(f"{time},{rate}\n" for time, rate in paid),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = [
        "market=binanceusdm:BTC/USDT:USDT:5m",
        "data=file",
        f"data.path={tmp_path}/candles.csv",
    ]
    config = load([*words, f"data.funding={tmp_path}/funding.csv"], TrainConfig, "train")

    def rates():
        feed = feeds.feed_of(config.market, config.data, CANDLE_START, lambda _: None)
        feed.load()
        return len(feed.candles), float(feed.candles.funding.rate[1])

    whole = rates()
    assert whole == (300, 0.00016)
    for name, before in (("candles.csv", (299, 0.00016)), ("funding.csv", (300, 1e-4))):
        last = files[name].splitlines()[-1]
        for length in (1, 13, len(last) - 3, len(last)):
            (tmp_path / name).write_text(files[name][: -len(last) - 1] + last[:length])
            assert rates() == before
        (tmp_path / name).write_text(files[name])
        assert rates() == whole
