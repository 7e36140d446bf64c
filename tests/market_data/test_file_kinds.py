"""What is candles of the market, what is not, and what is said of it, at both doors."""

import gzip
import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files import archives
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.raw import COLUMNS, RawCandles, concatenate
from support.candle_files import (
    binance_csv,
    freqtrade_json,
    kraken_csv,
    random_candles,
    table,
    write,
    write_zip,
)

STEP = 300_000
SPOT, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"
NAME = "BTCUSDT-5m-2023-01"


@pytest.fixture(params=["import", "data.path"])
def door(request):
    return request.param


@pytest.fixture(scope="module")
def candles():
    return random_candles(5, 300, STEP)


def read(path, door, pair=SPOT, exchange="binance", now=None, **told):
    request = Request(path, exchange, pair, "5m", door, **told)
    return read_market_files(request, now=now)


def assert_same(raw, expected):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name), getattr(expected, name))


# Contracts and prices


def binance_folder(root, candles, below, name=NAME, **content):
    folder = root / "data" / below / name.split("-")[0] / "5m"
    folder.mkdir(parents=True)
    path = folder / f"{name}.zip"
    return write_zip(path, {f"{name}.csv": binance_csv(candles, **content)})


@pytest.mark.parametrize("given", ["file", "folder", "root"])
@pytest.mark.parametrize("header", [False, True])
def test_binances_futures_are_a_perpetuals(tmp_path, candles, given, header, door):
    path = binance_folder(tmp_path, candles, "futures/um/monthly/klines", header=header)
    path = {"file": path, "folder": path.parent, "root": tmp_path}[given]
    assert_same(read(path, door, PERPETUAL).raw, candles)
    with pytest.raises(
        UserError, match=r"perpetual future.*choose market=binanceusdm:BTC/USDT:USDT:5m to"
    ):
        read(path, door)


@pytest.mark.parametrize("given", ["file", "folder", "root"])
def test_binances_spot_is_no_perpetuals(tmp_path, candles, given, door):
    path = binance_folder(tmp_path, candles, "spot/monthly/klines")
    path = {"file": path, "folder": path.parent, "root": tmp_path}[given]
    assert_same(read(path, door).raw, candles)
    with pytest.raises(UserError, match=r"choose market=binance:BTC/USDT:5m to trade spot"):
        read(path, door, PERPETUAL)


def test_futures_by_their_header_alone_until_it_is_deleted(tmp_path, candles, door):
    content = binance_csv(candles, header=True)
    path = tmp_path / f"{NAME}.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"archives of futures.*market=binanceusdm:.*delete that"):
        read(path, door)
    assert_same(read(path, door, PERPETUAL).raw, candles)
    path.write_bytes(content.split(b"\n", 1)[1])
    assert_same(read(path, door).raw, candles)


def test_spot_by_its_microseconds_alone(tmp_path, candles, door):
    path = tmp_path / f"{NAME}.csv"
    path.write_bytes(binance_csv(candles, 1_000))
    assert_same(read(path, door).raw, candles)
    with pytest.raises(UserError, match=r"microseconds.*choose market=binance:BTC/USDT:5m"):
        read(path, door, PERPETUAL)


@pytest.mark.parametrize("pair", [SPOT, PERPETUAL])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(
    ("below", "name", "contract"),
    [
        ("futures/cm/monthly/klines", "BTCUSD_PERP-5m-2023-01", "inverse"),
        ("futures/um/monthly/markPriceKlines", NAME, "mark"),
        ("futures/um/monthly/indexPriceKlines", NAME, "mark"),
        ("futures/um/monthly/premiumIndexKlines", NAME, "mark"),
        ("futures/um/monthly/klines", "BTCUSDT_230630-5m-2023-01", "linear"),
    ],
)
def test_what_is_traded_nowhere_here(tmp_path, candles, below, name, contract, header, pair, door):
    """By name and folder; and the first four by their content, under a name that says nothing."""
    path = binance_folder(tmp_path, candles, below, name, header=header, contract=contract)
    with pytest.raises(UserError, match=r"by the names of its files it has .*take"):
        read(tmp_path, door, pair)
    with pytest.raises(UserError, match=r"by the names of its files it has .*take"):
        read(path, door, pair)
    if contract != "linear":
        plain = tmp_path / "candles.csv"
        plain.write_bytes(binance_csv(candles, header=header, contract=contract))
        with pytest.raises(UserError, match=r"coin-margined|at which nobody traded"):
            read(plain, door, pair)


@pytest.mark.parametrize(
    ("name", "spot", "perpetual"),
    [
        ("BTC_USDT-5m.feather", True, True),
        ("BTC_USDT-5m-spot.feather", True, False),
        ("BTC_USDT_USDT-5m-futures.feather", False, True),
        ("BTC_USDT_USDT-5m-mark.feather", False, False),
        ("BTC_USDT_USDT-5m-funding_rate.feather", False, False),
        ("BTC_USD_BTC-5m-futures.feather", False, False),
        ("BINANCE_BTCUSDT.P, 5.csv", False, True),
    ],
)
def test_freqtrades_and_tradingviews_endings(tmp_path, candles, name, spot, perpetual, door):
    path = write(tmp_path / name, candles)
    for pair, taken in ((SPOT, spot), (PERPETUAL, perpetual)):
        if taken:
            assert_same(read(path, door, pair).raw, candles)
        else:
            with pytest.raises(UserError, match=r"has no candles of BTC/USDT"):
                read(path, door, pair)


def test_prices_without_any_volume_are_no_candles(tmp_path, candles, door):
    path = tmp_path / "x.parquet"
    table(candles).assign(volume=0.0).to_parquet(path)
    with pytest.raises(UserError, match=r"no volume in any of \d+ rows.*mark or index"):
        read(path, door)


def test_a_freqtrade_folder_gives_each_market_its_own(tmp_path, candles, door):
    other = random_candles(6, 300, STEP)
    futures = tmp_path / "futures"
    futures.mkdir()
    write(tmp_path / "BTC_USDT-5m.feather", candles)
    write(tmp_path / "ETH_USDT-5m.feather", other)
    write(futures / "BTC_USDT_USDT-5m-futures.feather", other)
    write(futures / "BTC_USDT_USDT-5m-mark.feather", candles)
    write(futures / "BTC_USDT_USDT-8h-funding_rate.feather", candles)
    assert_same(read(tmp_path, door).raw, candles)
    (note,) = read(futures, door, PERPETUAL).notes
    assert note.endswith("2 files of other markets or timeframes left out.")
    assert_same(read(futures, door, PERPETUAL).raw, other)


# Time


def test_a_candle_that_is_forming_is_left_out(tmp_path, candles, door):
    path = write(tmp_path / "BTC_USDT-5m.csv", candles)
    last = int(candles.timestamp[-1])
    result = read(path, door, now=last + STEP - 1)
    assert_same(result.raw, candles.take(candles.timestamp < last))
    assert result.notes == (f"{path}: left out 1 candle that had not closed.",)


def test_candles_of_the_future_are_refused(tmp_path, candles, door):
    path = write(tmp_path / "BTC_USDT-5m.csv", candles)
    now = int(candles.timestamp[-1]) - 3_600_000
    assert len(read(path, door, now=now).raw) < len(candles)  # a clock that is an hour behind
    with pytest.raises(UserError, match=r"1 candles open after now .*not in UTC, or this machine"):
        read(path, door, now=now - 1)


# Kinds of files


RAW = {
    "Binance, csv": (f"{NAME}.csv", lambda raw: binance_csv(raw)),
    "Binance, microseconds": (f"{NAME}.csv", lambda raw: binance_csv(raw, 1_000)),
    "Binance, csv.gz": (f"{NAME}.csv.gz", lambda raw: gzip.compress(binance_csv(raw))),
    "Binance, zip": (f"{NAME}.zip", lambda raw: zipped({f"{NAME}.csv": binance_csv(raw)})),
    "Kraken, csv": ("XBTUSDT_5.csv", lambda raw: kraken_csv(raw)),
    "Kraken, zip": ("K.zip", lambda raw: zipped({"m/XBTUSDT_5.csv": kraken_csv(raw)})),
    "Kraken, zip of zips": (
        "K.zip",
        lambda raw: zipped({"Q1.zip": zipped({"XBTUSDT_5.csv": kraken_csv(raw)})}),
    ),
    "freqtrade, json": ("BTC_USDT-5m.json", freqtrade_json),
    "freqtrade, json.gz": ("BTC_USDT-5m.json.gz", lambda raw: gzip.compress(freqtrade_json(raw))),
    "ccxt, texts": ("BTC_USDT.json", lambda raw: texts_json(raw)),
    "Binance's API": ("BTC_USDT.json", lambda raw: api_json(raw)),
    "named rows": ("BTC_USDT.json", lambda raw: json.dumps(table(raw).to_dict("records")).encode()),
    "other names": (
        "BTC_USDT.json",
        lambda raw: (
            table(raw)
            .set_axis(["Time", "Open", "High", "Low", "Close", "Vol"], axis=1)
            .to_json(orient="records", double_precision=15)
            .encode()
        ),
    ),
}


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inside in members.items():
            archive.writestr(name, inside)
    return content.getvalue()


def texts_json(raw):
    rows = [[int(row[0]), *map(repr, row[1:])] for row in table(raw).values.tolist()]
    return json.dumps(rows).encode()


def api_json(raw):
    rows = pd.read_csv(io.BytesIO(binance_csv(raw)), header=None, dtype=str).values.tolist()
    return json.dumps([[int(row[0]), *row[1:6], int(row[6]), *row[7:]] for row in rows]).encode()


@pytest.mark.parametrize("kind", RAW)
def test_files_as_they_are_published(tmp_path, candles, kind, door):
    name, content = RAW[kind]
    path = tmp_path / name
    path.write_bytes(content(candles))
    exchange = "kraken" if kind.startswith("Kraken") else "binance"
    result = read(path, door, exchange=exchange)
    if kind == "other names":
        for column in COLUMNS:
            np.testing.assert_allclose(getattr(result.raw, column), getattr(candles, column), 1e-14)
    else:
        assert_same(result.raw, candles)
    assert result.notes == ()


def test_a_folder_of_months(tmp_path, candles, door):
    middle = len(candles) // 2
    parts = candles.take(slice(0, middle)), candles.take(slice(middle, len(candles)))
    for month, part in zip(("2023-01", "2023-02"), parts, strict=True):
        name = f"BTCUSDT-5m-{month}"
        write_zip(tmp_path / f"{name}.zip", {f"{name}.csv": binance_csv(part)})
    assert_same(read(tmp_path, door).raw, candles)


@pytest.mark.parametrize("exchange", ["coinbase", "kucoin"])
def test_columns_in_another_order_without_names(tmp_path, candles, exchange, door):
    frame = table(candles)
    order = (
        ["low", "high", "open", "close"]
        if exchange == "coinbase"
        else ["open", "close", "high", "low"]
    )
    frame = frame[["timestamp", *order, "volume"]]
    path = tmp_path / "candles.json"
    path.write_text(json.dumps(frame.values.tolist()))
    with pytest.raises(UserError, match=r"columns are not time, open, high, low.*Save it as CSV"):
        read(path, door)
    path = tmp_path / "candles.csv"
    frame.assign(turnover=1.5).to_csv(path, header=False, index=False)
    with pytest.raises(UserError, match=r"first line that names them|names no columns"):
        read(path, door)
    frame.to_csv(path, index=False)
    assert_same(read(path, door).raw, candles)


NOISE = {
    "notes.txt": b"bought some",
    "pairs.json": b'["BTC/USDT", "ETH/USDT"]',
    "config.json": b'{"exchange": "binance"}',
    "BTCUSDT-trades-2023-01.csv": b"1,16541.5,0.1,1654.1,1672531200000,True,True\n",
    "BTCUSDT-aggTrades-2023-01.csv": b"1,16541.5,0.1,1,1,1672531200000,True,True\n",
    "BTCUSDT-bookDepth.csv": b"timestamp,percentage,depth,notional\n1,1,1,1\n",
    "funding.csv": b"calc_time,funding_interval_hours,last_funding_rate\n1672531200000,8,0.0001\n",
    "portfolio.csv": b"date,equity\n2023-01-01,1\n",
    "more.7z": b"7z\xbc\xaf",
    "empty.csv": b"",
}


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_candles_in_a_folder_is_left_out_and_named(tmp_path, candles, packed, door):
    members = {"BTC_USDT-5m.json": freqtrade_json(candles), **NOISE}
    path = tmp_path / "given"
    if packed:
        path = write_zip(tmp_path / "given.zip", members)
    else:
        path.mkdir()
        for name, content in members.items():
            (path / name).write_bytes(content)
        table(candles).assign(side="buy", price=1.0)[
            ["timestamp", "side", "price", "volume"]
        ].to_feather(path / "BTC_USDT-trades.feather")
    result = read(path, door)
    assert_same(result.raw, candles)
    (note,) = result.notes
    count = len(NOISE) + (not packed)
    assert f"{count} files without candles left out (" in note


@pytest.mark.parametrize("name", NOISE)
def test_alone_it_is_refused_and_named(tmp_path, name, door):
    (tmp_path / name).write_bytes(NOISE[name])
    with pytest.raises(UserError, match=re.escape(name)):
        read(tmp_path / name, door)


def test_a_folder_without_candles_names_what_it_has(tmp_path, door):
    for name in ("notes.txt", "pairs.json", "BTCUSDT-trades-2023-01.csv"):
        (tmp_path / name).write_bytes(NOISE[name])
    with pytest.raises(UserError, match=r"no candles of BTC/USDT 5m: .*trades.*, notes.txt: "):
        read(tmp_path, door)


def test_a_damaged_file_in_a_folder_is_no_other_thing(tmp_path, candles, door):
    write(tmp_path / "a.json", candles)
    (tmp_path / "b.json").write_bytes(freqtrade_json(candles)[:-30])
    with pytest.raises(UserError, match=r"b.json is not JSON"):
        read(tmp_path, door)


# Zips in zips, and other archives


def test_zips_lie_two_deep_at_most(tmp_path, candles, door):
    inner = zipped({"XBTUSDT_5.csv": kraken_csv(candles)})
    path = tmp_path / "K.zip"
    path.write_bytes(zipped({"Q1.zip": zipped({"more.zip": inner})}))
    with pytest.raises(UserError, match=r"zip in a zip in a zip: unpack the outer one"):
        read(path, door, exchange="kraken")


def test_zips_in_a_zip_are_bounded_together(tmp_path, monkeypatch, candles, door):
    monkeypatch.setattr(archives, "UNSUSPICIOUS", 1_000)
    member = zipped({"XBTUSDT_5.csv": kraken_csv(candles)})
    path = tmp_path / "K.zip"
    path.write_bytes(zipped({f"{n}.zip": member for n in range(4)}))
    read(path, door, exchange="kraken")  # what is packed does not pack again
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("XBTUSDT_5.csv", bytes(80_000))
    path.write_bytes(zipped({f"{n}.zip": content.getvalue() for n in range(4)}))
    with pytest.raises(UserError, match=r"zips in it of [\d,]+ or more, which no archive"):
        read(path, door, exchange="kraken")


def test_a_bomb_in_a_zip_in_a_zip(tmp_path, door):
    bomb = zipped({"XBTUSDT_5.csv": b"timestamp,open,high,low,close,volume\n" + bytes(64 << 20)})
    path = tmp_path / "K.zip"
    path.write_bytes(zipped({"Q1.zip": bomb}))
    with pytest.raises(UserError, match=r"over 200 times as many"):
        read(path, door, exchange="kraken")


def test_a_damaged_zip_in_a_zip_is_named(tmp_path, door):
    path = tmp_path / "K.zip"
    path.write_bytes(zipped({"Q1.zip": b"PK\x03\x04 and so on"}))
    with pytest.raises(UserError, match=r"K.zip cannot be read: File is not a zip file"):
        read(path, door, exchange="kraken")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.7z", "7z x .* -o"),
        ("x.rar", "unrar x"),
        ("x.tar.gz", "tar -xzf"),
        ("x.csv.xz", "xz -dk"),
        ("x.xlsx", "save it as CSV"),
    ],
)
def test_other_archives_are_refused_with_what_unpacks_them(tmp_path, name, words, door):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(UserError, match=words):
        read(tmp_path / name, door)


# Trades of Kraken


def trade_file(path, times, seed=1):
    chance = np.random.default_rng(seed)
    price = chance.integers(1_000, 2_000, len(times))
    amount = chance.integers(1, 10**8, len(times))
    rows = zip(times, price, amount, strict=True)
    path.write_text("".join(f"{t},{p / 10:.5f},{a / 1e8:.8f}\n" for t, p, a in rows))
    return price / 10, amount / 1e8


QUARTER = 1_672_531_200  # 2023-01-01


@pytest.mark.parametrize("exact", [False, True])
def test_trades_are_built_into_candles(tmp_path, exact, door):
    chance = np.random.default_rng(3)
    seconds = np.sort(QUARTER + 17 + chance.integers(0, 40_000, 3_000))
    times = [f"{s}.{n % 10**9:09d}" if exact else str(s) for n, s in enumerate(seconds)]
    price, amount = trade_file(tmp_path / "XBTUSDT.csv", times)
    result = read(tmp_path / "XBTUSDT.csv", door, exchange="kraken")
    bars = seconds // 300
    whole = [bar for bar in np.unique(bars) if bar != bars[-1]]  # the first begins a quarter
    np.testing.assert_array_equal(result.raw.timestamp, np.array(whole) * STEP)
    for row, bar in enumerate(whole):
        inside = bars == bar
        assert result.raw.open[row] == price[inside][0]
        assert result.raw.high[row] == price[inside].max()
        assert result.raw.low[row] == price[inside].min()
        assert result.raw.close[row] == price[inside][-1]
        assert result.raw.volume[row] == pytest.approx(amount[inside].sum(), rel=1e-14)
    assert "candles built of its trades" in result.notes[0]


def test_trades_that_begin_within_an_interval_leave_it_out(tmp_path, door):
    times = QUARTER + 500 + np.arange(40) * 60
    trade_file(tmp_path / "XBTUSDT.csv", times)
    raw = read(tmp_path / "XBTUSDT.csv", door, exchange="kraken").raw
    first, last = (times[0] // 300 + 1) * 300_000, (times[-1] // 300 - 1) * 300_000
    assert (raw.timestamp[0], raw.timestamp[-1]) == (first, last)


def test_pieces_of_trades_make_the_whole(tmp_path, monkeypatch, door):
    times = np.sort(QUARTER + np.random.default_rng(4).integers(0, 20_000, 2_000))
    trade_file(tmp_path / "XBTUSDT.csv", times)
    whole = read(tmp_path / "XBTUSDT.csv", door, exchange="kraken").raw
    monkeypatch.setattr("pipeline.market_data.files.archives.CHUNK", 700)
    assert_same(read(tmp_path / "XBTUSDT.csv", door, exchange="kraken").raw, whole)


def test_candles_come_before_trades(tmp_path, candles, door):
    (tmp_path / "XBTUSDT_5.csv").write_bytes(kraken_csv(candles))
    trade_file(tmp_path / "XBTUSDT.csv", QUARTER + np.arange(4_000) * 10)
    result = read(tmp_path, door, exchange="kraken")
    assert_same(result.raw, candles)
    assert "XBTUSDT.csv: trades" in result.notes[0]


def test_trades_out_of_order_are_refused(tmp_path, door):
    trade_file(tmp_path / "XBTUSDT.csv", QUARTER + np.array([0, 900, 300, 1_200]))
    with pytest.raises(UserError, match=r"trades are not in the order of time"):
        read(tmp_path / "XBTUSDT.csv", door, exchange="kraken")


def test_too_few_trades_for_a_whole_interval(tmp_path, door):
    trade_file(tmp_path / "XBTUSDT.csv", QUARTER + 400 + np.arange(3))
    with pytest.raises(UserError, match=r"in which no interval is whole"):
        read(tmp_path / "XBTUSDT.csv", door, exchange="kraken")


def test_two_rows_of_one_file_that_disagree(tmp_path, candles):
    wrong = candles.take(np.array([0]))
    wrong.close[0] += 1.0
    path = write(tmp_path / "a.csv", concatenate([candles, wrong], RawCandles))
    with pytest.raises(UserError, match=r"disagree: close .* Remove the wrong row"):
        read(path, "import")
