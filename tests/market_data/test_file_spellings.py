"""Tables as spreadsheets, data sellers and exchanges write them, at both doors."""

import codecs
import csv

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files import archives
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.raw import COLUMNS, RawCandles
from support.candle_files import random_candles, table

STEP = 300_000


def rounded(step, bars=400):
    """Candles of a few digits, as people's files have them; prices around 1,000."""
    raw = random_candles(7, bars, step, present=1.0)
    prices = {name: (getattr(raw, name) / 20).round(2) for name in COLUMNS[1:5]}
    return RawCandles(raw.timestamp, **prices, volume=(raw.volume * 50).round(3))


CANDLES = {"5m": rounded(STEP), "1d": rounded(86_400_000)}


@pytest.fixture(params=["import", "data.path"])
def door(request):
    return request.param


def read(path, door, timeframe="5m", pair="BTC/USDT", **told):
    return read_market_files(Request(path, "binance", pair, timeframe, door, **told))


def assert_read(path, door, timeframe="5m", **told):
    raw = read(path, door, timeframe, **told).raw
    order = np.argsort(raw.timestamp)
    for name in COLUMNS:
        expected = getattr(CANDLES[timeframe], name)
        np.testing.assert_array_equal(getattr(raw, name)[order], expected)


def dates(raw, form, zone=None):
    times = pd.DatetimeIndex(pd.to_datetime(raw.timestamp, unit="ms", utc=True))
    return (times.tz_convert(zone) if zone else times).strftime(form)


def grouped(values, thousands, decimal):
    """Numbers with thousands, such as 1.234,50."""
    texts = (f"{value:,.3f}" for value in values)
    return [t.replace(",", "_").replace(".", decimal).replace("_", thousands) for t in texts]


def styled(frame, thousands, decimal):
    return frame.assign(**{n: grouped(frame[n], thousands, decimal) for n in COLUMNS[1:]})


def as_csv(frame, **settings):
    return frame.to_csv(index=False, **settings)


def named(frame, names):
    return frame.rename(columns=dict(zip(COLUMNS, names, strict=True)))


def dated(frame, form, zone=None):
    return frame.assign(timestamp=dates(frame, form, zone))


def crypto_data_download(raw):
    frame = table(raw)[::-1]
    frame.insert(1, "Date", dates(frame, "%Y-%m-%d %H:%M:%S"))
    frame.insert(2, "Symbol", "BTCUSDT")
    frame = frame.assign(money=frame.volume * frame.close, tradecount=5)
    names = ["Unix", "Date", "Symbol", "Open", "High", "Low", "Close", "Volume BTC", "Volume USDT"]
    return "https://www.CryptoDataDownload.com\n" + as_csv(frame.set_axis([*names, "n"], axis=1))


def tradingview(raw):
    frame = table(raw).assign(ma=1.5, plot="", plot2="")
    frame["timestamp"] //= 1_000
    names = ["time", "open", "high", "low", "close", "Volume", "Volume MA", "Plot", "Plot"]
    return as_csv(frame.set_axis(names, axis=1))


def metatrader(raw):
    frame = table(raw)
    day, hour = dates(raw, "%Y.%m.%d"), dates(raw, "%H:%M:%S")
    frame = frame.drop(columns="timestamp").assign(spread=3)
    frame.insert(0, "d", day)
    frame.insert(1, "t", hour)
    frame.insert(6, "ticks", 9)
    names = ["DATE", "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "TICKVOL", "VOL", "SPREAD"]
    return as_csv(frame.set_axis([f"<{name}>" for name in names], axis=1), sep="\t")


def everything_quoted(raw):
    return as_csv(table(raw), quoting=csv.QUOTE_ALL)


FRAME = table(CANDLES["5m"])
OHLCV = ["Open", "High", "Low", "Close", "Volume"]
SPELLINGS = {
    "semicolons and decimal commas": as_csv(FRAME, sep=";", decimal=","),
    "tabs": as_csv(FRAME, sep="\t"),
    "bars": as_csv(FRAME, sep="|"),
    "German thousands": as_csv(styled(FRAME, ".", ","), sep=";"),
    "English thousands": as_csv(styled(FRAME, ",", "."), sep=";"),
    "English thousands in quotes": as_csv(styled(FRAME, ",", ".")),
    "French thousands": as_csv(styled(FRAME, "\u202f", ","), sep=";"),
    "Swiss thousands": as_csv(styled(FRAME, "'", "."), sep=";"),
    "lines above": "My export\n\nfrom an exchange; in USDT\n" + as_csv(FRAME),
    "capitals": as_csv(named(FRAME, ["Timestamp", *OHLCV])),
    "several names": as_csv(
        named(FRAME, ["Open time", "Open", "High", "Low", "Close/Last", "Vol."])
    ),
    "short names": as_csv(named(FRAME, ["ts", "o", "h", "l", "c", "v"])),
    "Kaggle": as_csv(
        named(FRAME, ["Timestamp", "Open", "High", "Low", "Close", "Volume_(BTC)"]).assign(
            **{"Volume_(Currency)": 1.0, "Weighted_Price": 1.0}
        )
    ),
    "CryptoDataDownload": crypto_data_download(CANDLES["5m"]),
    "TradingView": tradingview(CANDLES["5m"]),
    "MetaTrader": metatrader(CANDLES["5m"]),
    "Dukascopy": as_csv(named(dated(FRAME, "%d.%m.%Y %H:%M:%S.000"), ["Gmt time", *OHLCV])),
    "index without a name": FRAME.assign(timestamp=dates(FRAME, "%Y-%m-%d %H:%M:%S"))
    .rename(columns={"timestamp": ""})
    .to_csv(index=False),
    "row numbers": FRAME.to_csv(),
    "all in quotes": everything_quoted(CANDLES["5m"]),
    "newest first": as_csv(FRAME[::-1]),
    "a mark": "\ufeff" + as_csv(FRAME),
    "a mark and quotes": "\ufeff" + everything_quoted(CANDLES["5m"]),
    "Windows": as_csv(FRAME, lineterminator="\r\n"),
    "old Apple": as_csv(FRAME, lineterminator="\r"),
    "further columns": as_csv(FRAME.assign(close_time=1, quote_volume=2, note="a;b")),
    "seconds": as_csv(FRAME.assign(timestamp=FRAME.timestamp // 1_000)),
    "microseconds": as_csv(FRAME.assign(timestamp=FRAME.timestamp * 1_000)),
    "nanoseconds": as_csv(FRAME.assign(timestamp=FRAME.timestamp * 1_000_000)),
    "counts with a point": as_csv(FRAME.assign(timestamp=FRAME.timestamp.astype(float))),
    "Z": as_csv(dated(FRAME, "%Y-%m-%dT%H:%M:%SZ")),
    "UTC": as_csv(dated(FRAME, "%Y-%m-%d %H:%M:%S UTC")),
    "an offset": as_csv(dated(FRAME, "%Y-%m-%d %H:%M:%S%z", "Asia/Kolkata")),
    "an offset with T": as_csv(dated(FRAME, "%Y-%m-%dT%H:%M:%S%z", "America/New_York")),
    "minutes": as_csv(dated(FRAME, "%Y-%m-%d %H:%M")),
    "slashes, year first": as_csv(dated(FRAME, "%Y/%m/%d %H:%M:%S")),
    "half days": as_csv(dated(FRAME, "%Y/%m/%d %I:%M %p")),
    "points and an offset": as_csv(dated(FRAME, "%d.%m.%Y %H:%M:%S GMT%z", "Europe/Berlin")),
    "names of months": as_csv(dated(FRAME, "%b %d, %Y %H:%M"), quoting=csv.QUOTE_ALL),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_table_is_read_as_it_is_meant(tmp_path, spelling, door):
    path = tmp_path / "candles.csv"
    path.write_bytes(SPELLINGS[spelling].encode())
    assert_read(path, door)


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ".csv.gz", ".CSV"])
def test_other_endings(tmp_path, suffix, door):
    path = tmp_path / f"BTCUSDT{suffix}"
    if suffix == ".csv.gz":
        FRAME.to_csv(path, index=False)
    else:
        path.write_text(as_csv(FRAME, sep="\t"))
    assert_read(path, door)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
@pytest.mark.parametrize("chunk", [700, 1 << 20])
def test_what_excel_calls_unicode_text(tmp_path, monkeypatch, mark, chunk, door):
    monkeypatch.setattr(archives, "CHUNK", chunk)
    order = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    path = tmp_path / "candles.txt"
    path.write_bytes(mark + as_csv(FRAME, sep="\t", decimal=",").encode(order))
    assert_read(path, door)


def thousands(values):
    return [f"{value / 1_000:.6f}K" if value > 20 else f"{value:.3f}" for value in values]


DAYS = table(CANDLES["1d"])
DAILY = {
    "Yahoo": as_csv(named(dated(DAYS, "%Y-%m-%d"), ["Date", *OHLCV]).assign(**{"Adj Close": 1.0})),
    "Investing.com": as_csv(
        named(
            dated(DAYS.assign(volume=thousands(DAYS.volume)), "%m/%d/%Y")[::-1],
            ["Date", "Open", "High", "Low", "Price", "Vol."],
        ).assign(**{"Change %": "-1.0%"}),
        quoting=csv.QUOTE_ALL,
    ),
    "day first": as_csv(dated(DAYS, "%d/%m/%Y")),
    "Nasdaq": as_csv(
        named(
            dated(
                DAYS.assign(**{n: [f"${v:,.2f}" for v in DAYS[n]] for n in COLUMNS[1:5]}),
                "%m/%d/%Y",
            ),
            ["Date", "Open", "High", "Low", "Close/Last", "Volume"],
        )
    ),
}


@pytest.mark.parametrize("spelling", DAILY)
def test_a_table_of_days(tmp_path, spelling, door):
    path = tmp_path / "candles.csv"
    path.write_text(DAILY[spelling])
    assert_read(path, door, "1d")


@pytest.mark.parametrize("style", ["German thousands", "semicolons and decimal commas"])
def test_numbers_are_read_alike_in_every_piece(tmp_path, monkeypatch, style, door):
    """The first rows have no thousands, which come later."""
    monkeypatch.setattr(archives, "CHUNK", 900)
    path = tmp_path / "candles.csv"
    path.write_text(SPELLINGS[style])
    assert_read(path, door)


def test_thousands_that_only_later_rows_have(tmp_path, door):
    frame = FRAME.copy()
    frame[list(COLUMNS[1:5])] = (frame[list(COLUMNS[1:5])] / 4).round(2)
    frame.loc[399, list(COLUMNS[1:5])] *= 8
    texts = styled(frame, ",", ".")
    path = tmp_path / "candles.csv"
    path.write_text(as_csv(texts))
    np.testing.assert_array_equal(np.sort(read(path, door).raw.high), np.sort(frame.high))


@pytest.mark.parametrize(
    ("number", "separator"), [("1,234", ";"), ("1.234", ";"), ("1,234", "\t"), ('"1,234"', ",")]
)
def test_a_mark_that_may_mean_either_is_told_by_the_user(tmp_path, number, separator, door):
    rows = [[str(1_672_531_200_000 + STEP * n), *[number] * 4, "5"] for n in range(3)]
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(separator.join(row) for row in [list(COLUMNS), *rows]))
    prefix = "" if door == "import" else "data."
    words = f"{prefix}decimal=comma or {prefix}decimal=point"
    with pytest.raises(UserError, match=rf"may be a number with decimals .* Say it: {words}\."):
        read(path, door)
    mark = next(sign for sign in number if sign in ".,")
    decimal, other = ("comma", "point") if mark == "," else ("point", "comma")
    assert read(path, door, decimal=decimal).raw.close[0] == 1.234
    assert read(path, door, decimal=other).raw.close[0] == 1234.0


def test_one_number_that_proves_the_mark_is_enough(tmp_path, door):
    path = tmp_path / "candles.csv"
    rows = "".join(
        f"{1_672_531_200_000 + STEP * n};1,234;1,234;1,234;1,234;0,5\n" for n in range(3)
    )
    path.write_text(";".join(COLUMNS) + "\n" + rows)
    assert read(path, door).raw.close[0] == 1.234


def test_two_marks_in_one_file_are_refused(tmp_path, door):
    path = tmp_path / "candles.csv"
    path.write_text(f"{';'.join(COLUMNS)}\n{1_672_531_200_000};1,25;1.25;1,25;1,25;3\n")
    with pytest.raises(UserError, match=r"writes numbers in two ways, 1,25 and 1\.25"):
        read(path, door)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("time,open,high,low,close", r"no column 'volume'"),
        ("open,high,low,close,volume", r"no column 'timestamp'"),
        ("close time,open,high,low,close,volume", "'close time' would be one candle late"),
        ("time,open,high,low,close,Volume USDT", "'Volume USDT', and none .* volume in BTC"),
        ("time,Open,OPEN ,high,low,close,volume", "several columns 'open'"),
        ("id,price,qty,time,is_buyer_maker", "holds trades, no candles"),
        ("timestamp,id,type,side,price,amount,cost", "holds trades, no candles"),
        ("timestamp,symbol,side,size,price,tickDirection", "holds trades, no candles"),
        ("calc_time,funding_interval_hours,last_funding_rate", "holds funding rates"),
        ("create_time,symbol,sum_open_interest,sum_open_interest_value", "holds open interest"),
        ("pair", "no line that names the columns of candles"),
    ],
)
def test_columns_that_are_no_candles(tmp_path, names, message, door):
    path = tmp_path / "candles.csv"
    path.write_text(f"{names}\n{','.join('1' for _ in names.split(','))}\n")
    with pytest.raises(UserError, match=message):
        read(path, door)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("1,67E+12", "a spreadsheet has rounded it"),
        ("noon", "'noon' in row 1 is no time"),
        ("31/02/2023", "no day of the calendar"),
        ("05/06/2023", "may be a day of either of two months"),
        ("2023-01-01 CET", "is no time"),
    ],
)
def test_times_that_cannot_be_read(tmp_path, time, message, door):
    path = tmp_path / "candles.csv"
    path.write_text(f"{';'.join(COLUMNS)}\n{time};1;1;1;1;1\n{time};1;1;1;1;1\n")
    with pytest.raises(UserError, match=message):
        read(path, door)


def test_a_table_of_any_spelling_in_parquet(tmp_path, door):
    frame = named(FRAME, ["Open time", *OHLCV])
    frame.to_parquet(tmp_path / "a.parquet")
    assert_read(tmp_path / "a.parquet", door)
    frame["Open time"] *= 1_000
    frame.to_feather(tmp_path / "b.feather")
    assert_read(tmp_path / "b.feather", door)
    index = pd.to_datetime(FRAME.timestamp, unit="ms", utc=True)
    FRAME.drop(columns="timestamp").set_index(index.rename(None)).to_parquet(tmp_path / "c.parquet")
    assert_read(tmp_path / "c.parquet", door)


def test_the_volume_of_the_markets_base(tmp_path, door):
    frame = FRAME.rename(columns={"volume": "Volume ETH"}).assign(**{"Volume BTC": 1.0})
    frame.to_csv(tmp_path / "x.csv", index=False)
    raw = read(tmp_path / "x.csv", door, pair="ETH/BTC").raw
    np.testing.assert_array_equal(raw.volume, FRAME.volume)


def test_lines_that_are_no_rows_are_named(tmp_path, door):
    text = as_csv(FRAME).splitlines()
    (tmp_path / "x.csv").write_text("\n".join([*text[:50], "to be continued", *text[50:]]))
    with pytest.raises(UserError, match=r"cannot be read as csv: .*Expected 6 columns, got 1"):
        read(tmp_path / "x.csv", door)
