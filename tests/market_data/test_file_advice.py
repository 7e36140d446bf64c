"""Every sentence that tells to do something about a file: it is done, and then the file is read."""

import ast
import gzip
import json
import re
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import FetchConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data import files
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.importing import import_request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.sources import file_candles
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
CANDLES = random_candles(8, 200, STEP, present=1.0)
CSV = table(CANDLES).to_csv(index=False)
NAMES = ",".join(COLUMNS)


@pytest.fixture(params=["import", "data.path"])
def door(request):
    return request.param


def opened(path, door, words=(), market="btc_binance_5m"):
    """Read as a command would, as far as a training judges the candles.

    Words are read by the command's configuration, which takes a while.
    """
    if not words and market == "btc_binance_5m":
        raw = read_market_files(Request(Path(path), "binance", "BTC/USDT", "5m", door)).raw
        make_regular(raw, "5m", str(path))
        return raw
    words = [f"market={market}", *words]
    if door == "import":
        config = load([*words, f"import={path}"], FetchConfig, "fetch")
        raw = read_market_files(import_request(config)).raw
    else:
        config = load([*words, "data=file", f"data.path={path}"], TrainConfig, "train")
        raw = file_candles(config.market, config.data).raw
    make_regular(raw, config.market.timeframe, str(path))
    return raw


def prefixed(door, word):
    return word if door == "import" else f"data.{word}"


class Case:
    """A wrong file, what is said of it, and what follows the advice.

    ``make(folder)`` returns the path; ``follow(folder, said, door)`` the new path and words, None
    for the same path.
    """

    def __init__(self, fragment, make, follow, market="btc_binance_5m"):
        self.fragment, self.make, self.follow, self.market = fragment, make, follow, market


def saved(name, content):
    def make(folder):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def replaced(name, content):
    """The right file under the same or another name."""
    return lambda folder, said, door: (saved(name, content)(folder), [])


def words(*given):
    return lambda folder, said, door: (None, [prefixed(door, word) for word in given])


def said_words(pattern):
    """The words that the sentence itself has."""

    def follow(folder, said, door):
        return None, re.search(pattern, said)[0].split()

    return follow


def command(folder, said, door):
    """Run the command between backticks in a shell; the path is the one that is said."""
    line, path = re.search(r"unpack it \(`(.*)`\), and give (.*) in its place", said).groups()
    subprocess.run(["sh", "-c", line], check=True, cwd=folder)
    return path, []


def above(line, text=CSV):
    return f"{line}\n{text}"


#: 2023-10-28 and 2023-03-25: on the next day Europe's clocks change; the second of two equal hours.
AUTUMN, SPRING, LOST_HOUR = 1_698_451_200_000, 1_679_702_400_000, 1_698_537_600_000 + 3_600_000


def over_the_change(zone, form="%Y-%m-%d %H:%M:%S", drop=0, start=AUTUMN):
    raw = random_candles(8, 600, STEP, start, present=1.0)
    keep = np.ones(len(raw), np.bool_)
    if drop:
        keep = (raw.timestamp < drop) | (raw.timestamp >= drop + 3_600_000)
    raw = raw.take(keep)
    times = pd.to_datetime(raw.timestamp, unit="ms", utc=True).tz_convert(zone).strftime(form)
    return table(raw).assign(timestamp=times).to_csv(index=False)


def bare(frame, separator=","):
    return frame.to_csv(index=False, header=False, sep=separator)


def two_of_one_name(folder):
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", CSV)
    return path


def zips(depth):
    content, name = CSV.encode(), "BTCUSDT_5m.csv"
    for level in range(depth):
        inner = Path(f"level{level}.zip")
        packed = bytearray()
        packed += zip_bytes({name: content})
        content, name = bytes(packed), inner.name
    return content


def zip_bytes(members):
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def unpacked(folder, said, door):
    out = folder / "out"
    with zipfile.ZipFile(folder / "x.zip") as archive:
        archive.extractall(out)
    return out, []


def tar(folder):
    path = folder / "R&D (1).tar.gz"
    inner = saved("BTCUSDT_5m.csv", CSV)(folder)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inner, inner.name)
    inner.unlink()
    return path


def disagreeing(folder):
    wrong = table(CANDLES).assign(close=1.0)
    (folder / "both").mkdir()
    write(folder / "both/a.csv", CANDLES)
    wrong.to_csv(folder / "both/b.csv", index=False)
    return folder / "both"


def without_b(folder, said, door):
    (folder / "both/b.csv").unlink()
    return None, []


def same_time_twice(folder):
    return saved("x.csv", CSV + CSV.splitlines()[-1].rsplit(",", 1)[0] + ",77\n")(folder)


COUNTS = [int(t) for t in CANDLES.timestamp]
WRONG_TIME = f"{COUNTS[0]}.5"
TRADES = "".join(f"{COUNTS[0] // 1_000 + 100 * n},100.5,0.25\n" for n in range(400))
FUNDING = "calc_time,funding_interval_hours,last_funding_rate\n1672531200000,8,0.0001\n"
FUTURES = binance_csv(CANDLES, header=True)
MARK = binance_csv(CANDLES, contract="mark")
INVERSE = binance_csv(CANDLES, contract="inverse")
BINANCE = "BTCUSDT-5m-2023-01.csv"
GOOD = replaced("x.csv", CSV)
NOW = int(time.time() * 1_000) // STEP * STEP
AHEAD = random_candles(8, 200, STEP, NOW + 86_400_000, present=1.0)


def prices(text):
    """Four prices and a volume of 5, in a file with semicolons."""
    return "\n".join(
        [NAMES.replace(",", ";"), *(f"{t};{text};{text};{text};{text};5" for t in COUNTS)]
    )


CASES = {
    "mark by name": Case(
        "take the files of the trades' candles",
        saved("BTC_USDT-5m-mark.csv", CSV),
        replaced("BTC_USDT-5m.csv", CSV),
    ),
    "another contract": Case(
        "{} {}",
        saved("BTC_USDT_USDT-5m-futures.csv", CSV),
        said_words(r"market=binanceusdm:BTC/USDT:USDT:5m"),
    ),
    "spot for a perpetual": Case(
        "{} {}",
        saved("BTC_USDT-5m-spot.csv", CSV),
        said_words(r"market=binance:BTC/USDT:5m"),
        market="binanceusdm:BTC/USDT:USDT:5m",
    ),
    "microseconds of spot": Case(
        "counts microseconds",
        saved("x.csv", binance_csv(CANDLES, 1_000)),
        said_words(r"market=binance:BTC/USDT:5m"),
        market="binanceusdm:BTC/USDT:USDT:5m",
    ),
    "a line of futures": Case(
        "delete that line",
        saved("x.csv", FUTURES),
        replaced("x.csv", FUTURES.split(b"\n", 1)[1]),
    ),
    "the market of a line of futures": Case(
        "delete that line",
        saved("x.csv", FUTURES),
        said_words(r"market=binanceusdm:BTC/USDT:USDT:5m"),
    ),
    "local times": Case(
        "as where the clock is put",
        saved("x.csv", over_the_change("Europe/Berlin")),
        words("timezone=Europe/Berlin"),
    ),
    "a lost hour": Case(
        "was there twice in",
        saved("x.csv", over_the_change("Europe/Berlin", drop=LOST_HOUR)),
        lambda folder, said, door: (
            saved("x.csv", over_the_change("UTC", drop=LOST_HOUR))(folder),
            [prefixed(door, "timezone=UTC")],
        ),
        market="btc_binance_5m +ZONE=Europe/Berlin",
    ),
    "a time that never was": Case(
        "the file has the time of another zone, or UTC",
        saved("x.csv", over_the_change("UTC", start=SPRING)),
        words("timezone=UTC"),
        market="btc_binance_5m +ZONE=Europe/Berlin",
    ),
    "no time": Case(
        "or as dates such as 2023-01-31 14:00",
        saved("x.csv", re.sub(r"^\d{9}(\d+)", r"noon\1", CSV, flags=re.MULTILINE)),
        replaced("x.csv", over_the_change("UTC", "%Y-%m-%d %H:%M")),
    ),
    "an empty time": Case(
        "rows have no timestamp", saved("x.csv", CSV.replace(str(COUNTS[5]), "")), GOOD
    ),
    "either of two months": Case(
        "write the dates as 2023-01-31",
        saved("x.csv", f"{NAMES}\n05/06/2023,1,1,1,1,1\n"),
        replaced("x.csv", over_the_change("UTC")),
    ),
    "several volumes": Case(
        "call that column volume, in the line of the names",
        saved("x.csv", CSV.replace("volume", "Volume USDT")),
        GOOD,
    ),
    "a name that is not known": Case(
        "write the needed name in its place",
        saved("x.csv", CSV.replace("close", "Schluss")),
        GOOD,
    ),
    "a name twice": Case(
        "take all but one away, or give the others another name",
        saved("x.csv", CSV.replace(NAMES, NAMES.replace("close", "open"))),
        GOOD,
    ),
    "bytes that are no text": Case(
        "Give a file of candles, or export this one again as CSV",
        saved("x.csv", b"\x89PNG\0\1\n"),
        GOOD,
    ),
    "a wide line": Case("alone.", saved("x.csv", above("timestamp," + "a," * 5_000)), GOOD),
    "no line of names": Case(
        "write such a line above them",
        saved("x.csv", bare(table(CANDLES), ";")),
        replaced("x.csv", above(NAMES.replace(",", ";"), bare(table(CANDLES), ";"))),
    ),
    "six columns without names": Case(
        "give it a first line such as",
        saved("x.csv", bare(table(CANDLES))),
        lambda folder, said, door: (
            saved("x.csv", above(re.search(r"such as (\S+)\.", said)[1], bare(table(CANDLES))))(
                folder
            ),
            [],
        ),
    ),
    "seven columns without names": Case(
        "in the order of its columns",
        saved("x.csv", bare(table(CANDLES).assign(turnover=1.5))),
        lambda folder, said, door: (
            saved(
                "x.csv",
                above(
                    re.search(r"such as (\S+), in", said)[1],
                    bare(table(CANDLES).assign(turnover=1.5)),
                ),
            )(folder),
            [],
        ),
    ),
    "another order": Case(
        "Save it as CSV with a first line that names them",
        saved(
            "x.json",
            json.dumps(
                table(CANDLES)[
                    ["timestamp", "low", "high", "open", "close", "volume"]
                ].values.tolist()
            ),
        ),
        lambda folder, said, door: (
            saved(
                "y.csv",
                above(
                    re.search(r"such as (\S+)\.$", said)[1],
                    bare(table(CANDLES)[["timestamp", "low", "high", "open", "close", "volume"]]),
                ),
            )(folder),
            [],
        ),
    ),
    "a table of trades": Case(
        "take the file of the candles",
        saved("x.csv", "id,price,qty,time\n1,1,1,1672531200000\n"),
        GOOD,
    ),
    "a Parquet of trades": Case(
        "(its columns",
        lambda folder: _parquet(folder, ["timestamp", "price", "amount"]),
        GOOD,
    ),
    "trades without names": Case(
        "take the exchange's archive of klines",
        saved("x.csv", "1,16541.5,0.1,1654.1,1672531200000,True,True\n"),
        replaced(BINANCE, binance_csv(CANDLES)),
    ),
    "mark prices": Case(
        "Take the archive of klines", saved("x.csv", MARK), replaced("x.csv", binance_csv(CANDLES))
    ),
    "a coin-margined future": Case(
        "settled in its quote, such as",
        saved("x.csv", INVERSE),
        replaced("x.csv", binance_csv(CANDLES)),
    ),
    "no volume": Case(
        "Take a file of candles with their volumes",
        saved("x.csv", table(CANDLES).assign(volume=0).to_csv(index=False)),
        GOOD,
    ),
    "a row that is none": Case(
        "other lines stand between the rows", saved("x.csv", CSV + "the end\n"), GOOD
    ),
    "JSON of something": Case(
        "export them as CSV with a line of names",
        saved("x.json", '{"a": 1}'),
        replaced("y.csv", CSV),
    ),
    "decimals or thousands": Case(
        "no other number tells which", saved("x.csv", prices("1,234")), words("decimal=comma")
    ),
    "thousands or decimals": Case(
        "no other number tells which", saved("x.csv", prices("1,234")), words("decimal=point")
    ),
    "two marks": Case(
        "with one decimal mark in all columns",
        saved("x.csv", prices("1,25") + f"\n{COUNTS[-1] + STEP};1.25;1.25;1.25;1.25;5"),
        replaced("x.csv", prices("1,25")),
    ),
    "a number that is none": Case(
        "with one way to write numbers",
        saved("x.csv", CSV.replace(f"{CANDLES.close[3]}", "n/q")),
        GOOD,
    ),
    "no file of candles": Case(
        "those end in",
        saved("x.pdf", CSV),
        lambda folder, said, door: ((folder / "x.pdf").rename(folder / "x.csv"), []),
    ),
    "a spreadsheet": Case("save it as CSV there", saved("x.xlsx", b"PK"), GOOD),
    "a tar": Case("which is not read: unpack it", tar, command),
    "zips in zips in zips": Case("unpack the outer one", saved("x.zip", zips(3)), unpacked),
    "a zip that packs zips well": Case(
        "unpack it, and give the folder that comes out",
        saved(
            "x.zip",
            zip_bytes(
                {f"{n}.zip": _ for n, _ in enumerate([zip_bytes({"BTCUSDT_5m.csv": CSV}) + b""])}
            ),
        ),
        unpacked,
    ),
    "a name twice in a zip": Case(
        "pack it again with one",
        two_of_one_name,
        lambda folder, said, door: (write_zip(folder / "x.zip", {"a.csv": CSV}), []),
    ),
    "nothing of the market": Case(
        "Take the exchange's files of candles",
        lambda folder: _folder(folder, {"a.csv": FUNDING, "b.csv": FUNDING}),
        replaced("given/c.csv", CSV),
    ),
    "another pair": Case(
        "Choose the market of the files",
        lambda folder: _folder(
            folder, {"ETHUSDC-5m-2023-01.csv": binance_csv(CANDLES), "ETHUSDC-1h-2023-01.csv": b""}
        ),
        lambda folder, said, door: (
            None,
            re.search(r"market\.base=\S+ market\.quote=[A-Z]+", said)[0].split(),
        ),
    ),
    "ahead of now": Case(
        "candles open after now", saved("x.csv", table(AHEAD).to_csv(index=False)), GOOD
    ),
    "nothing closed": Case(
        "Take a file of older ones",
        lambda folder: saved("x.csv", f"{NAMES}\n{int(time.time()) // 300 * 300},1,1,1,1,1\n")(
            folder
        ),
        GOOD,
    ),
    "files that disagree": Case("disagree", disagreeing, without_b),
    "rows that disagree": Case("disagree", same_time_twice, GOOD),
    "too few trades": Case(
        "take a file of more time",
        saved("XBTUSDT.csv", TRADES[: 2 * TRADES.index("\n") + 2]),
        replaced("XBTUSDT.csv", TRADES),
        market="btc_kraken_5m market.quote=USDT",
    ),
    "a text in a cell": Case(
        "Export it as numbers",
        lambda folder: _parquet_of(folder, close=["9" * 200] * 200),
        GOOD,
    ),
    "another type": Case(
        "must hold numbers, not",
        lambda folder: _parquet_of(folder, close=[[1.0]] * 200),
        GOOD,
    ),
    "a type that is no time": Case(
        "as integers since the epoch or as dates; found",
        lambda folder: _parquet_of(folder, timestamp=[[1]] * 200),
        GOOD,
    ),
}


def _folder(folder, members):
    path = folder / "given"
    path.mkdir()
    for name, content in members.items():
        saved(name, content)(path)
    return path


def _parquet(folder, names):
    path = folder / "x.parquet"
    table(CANDLES)[list(COLUMNS[: len(names)])].set_axis(names, axis=1).to_parquet(path)
    return path


def _parquet_of(folder, **columns):
    path = folder / "x.parquet"
    table(CANDLES).assign(**columns).to_parquet(path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_advice_that_is_followed_works(tmp_path, monkeypatch, name, door):
    case = CASES[name]
    if name == "a zip that packs zips well":
        monkeypatch.setattr("pipeline.market_data.files.archives.UNSUSPICIOUS", 10)
        monkeypatch.setattr("pipeline.market_data.files.listing.ZIP_RATIO", 0)
    market, *given = case.market.split()
    given = [word.replace("+ZONE=", prefixed(door, "timezone=")) for word in given]
    path = case.make(tmp_path)
    with pytest.raises(UserError) as caught:
        opened(path, door, given, market)
    said = str(caught.value)
    if case.fragment != "{} {}" and (name, door) != ("rows that disagree", "data.path"):
        assert case.fragment in said
    after, more = case.follow(tmp_path, said, door)
    zone = [] if any("timezone" in word for word in more) else given
    market = next((word for word in more if word.startswith("market=")), f"market={market}")
    more = [word for word in more if not word.startswith("market=")]
    assert len(opened(after or path, door, [*zone, *more], market.removeprefix("market="))) > 1


#: What is said where the file itself is spoilt: another copy is all that helps.
SPOILT = (
    "ownload it again",
    "ownload or copy it again",
    "ownload or export it again",
    "xport it again.",
    "fetch or export it again",
    "xport the file again without opening it there",
    "it must be a whole number of milliseconds",
)
#: What is tested where it belongs: bounds, another door, a store.
ELSEWHERE = (
    "download or export it again, a year at a time",  # test_archives
    "export the columns {} alone, as numbers",  # test_file_bounds
    "import them some years at a time",  # test_file_bounds
    "does not exist{}",  # places/test_candle_file_names
    "cannot be looked for",  # test_archives
    "widen data.since and data.until",  # test_fetch
    "choose the market of the archive",  # below
    "choose the market of the file,",  # below
    "Name one file",  # below
    "Build them with scripts/fetch first",  # below
)


def sentences():
    """What every refusal of a candle file says, with {} for what it names."""
    for path in sorted(Path(files.__file__).parent.glob("*.py")):
        if path.stem == "funding":  # test_funding_files
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = isinstance(node, ast.Call) and getattr(node.func, "id", None)
            if name in ("UserError", "NotCandlesError") and isinstance(
                node.args[0], ast.JoinedStr | ast.Constant
            ):
                parts = getattr(node.args[0], "values", [node.args[0]])
                yield "".join(
                    str(getattr(part, "value", "")) if isinstance(part, ast.Constant) else "{}"
                    for part in parts
                )


def test_every_sentence_is_followed_somewhere():
    fragments = {*(case.fragment for case in CASES.values()), *SPOILT, *ELSEWHERE}
    every = list(sentences())
    assert len(every) > 60
    assert [one for one in every if not any(fragment in one for fragment in fragments)] == []
    assert [f for f in fragments if not any(f in one for one in every)] == []


def test_the_market_of_an_archive(tmp_path):
    path = saved("BTCUSDT_5.csv", kraken_csv(CANDLES))(tmp_path)
    with pytest.raises(UserError, match=r"market is on binance: choose the market of the archive"):
        opened(path, "import")
    assert len(opened(path, "import", ["market.quote=USDT"], "btc_kraken_5m")) == len(CANDLES)
    assert len(opened(path, "data.path")) == len(CANDLES)


def test_the_market_of_a_name(tmp_path):
    path = saved("kraken_ETHXBT_5m.csv", CSV)(tmp_path)
    with pytest.raises(UserError, match="choose the market of the file, ") as caught:
        opened(path, "data.path", market="binance:BTC/USDT:5m")
    words = re.search(r"market\.base=\S+ market\.quote=[A-Z]+", str(caught.value))[0].split()
    assert words == ["market.base=ETH", "market.quote=BTC"]
    assert len(opened(path, "data.path", words)) == len(CANDLES)


def test_the_timeframe_of_a_file(tmp_path, door):
    path = write(tmp_path / "x.csv", random_candles(3, 100, 3_600_000, present=1.0))
    with pytest.raises(UserError, match="looks like 1h candles, but the market says 5m") as caught:
        opened(path, door)
    word = re.search(r"\((market\.timeframe=1h)\)", str(caught.value))[1]
    assert len(opened(path, door, [word])) == 100


def test_one_file_of_several_and_trades_without_a_market(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"a.csv": CSV, "b.csv": CSV})
    with pytest.raises(UserError, match="Name one file"):
        read_file(path)
    assert len(read_file(saved("a.csv", CSV)(tmp_path))) == len(CANDLES)
    trades = saved("XBTUSDT.csv", TRADES)(tmp_path)
    with pytest.raises(UserError, match=r"Build them with scripts/fetch first"):
        read_file(trades)
    words = ["market.quote=USDT"]
    assert len(opened(trades, "import", words, "btc_kraken_5m")) > 100


@pytest.mark.parametrize("form", ["csv.gz", "json.gz"])
def test_a_packed_file_of_any_market_is_read_alone(tmp_path, form):
    content = CSV.encode() if form == "csv.gz" else freqtrade_json(CANDLES)
    path = saved(f"x.{form}", gzip.compress(content))(tmp_path)
    assert len(read_file(path)) == len(CANDLES)
