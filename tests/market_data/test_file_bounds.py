"""Files that claim or unpack to more than candles need; files of any size, piece by piece."""

import gzip
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files import archives, reading
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS
from support.candle_files import (
    binance_csv,
    freqtrade_json,
    kraken_csv,
    random_candles,
    table,
    write,
    write_zip,
)

pytestmark = pytest.mark.hostile

STEP = 300_000
HEADER = ",".join(COLUMNS).encode() + b"\n"


@pytest.fixture
def candles():
    return random_candles(4, 400, STEP)


def imported(path, exchange="binance"):
    return read_market_files(Request(path, exchange, "BTC/USDT", "5m")).raw


def assert_same(raw, expected):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name), getattr(expected, name))


CONTENTS = {
    "named": lambda raw: ("BTCUSDT_5m.csv", table(raw).to_csv(index=False).encode()),
    "windows": lambda raw: (
        "BTCUSDT_5m.csv",
        table(raw).to_csv(index=False, lineterminator="\r\n").encode(),
    ),
    "returns": lambda raw: (
        "BTCUSDT_5m.csv",
        table(raw).to_csv(index=False, lineterminator="\r").encode(),
    ),
    "binance": lambda raw: ("BTCUSDT-5m-2023.csv", binance_csv(raw, 1_000)),
    "header": lambda raw: ("BTCUSDT-5m-2023.csv", binance_csv(raw, 1_000, header=True)),
    "kraken": lambda raw: ("XBTUSDT_5.csv", kraken_csv(raw)),
    "json": lambda raw: ("BTC_USDT-5m.json", freqtrade_json(raw)),
    "spaced": lambda raw: (
        "BTC_USDT-5m.json",
        b" " + freqtrade_json(raw).replace(b"], ", b"],\n ") + b"\n",
    ),
}


@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
@pytest.mark.parametrize("kind", CONTENTS)
def test_pieces_make_the_whole(tmp_path, monkeypatch, candles, kind, packed):
    monkeypatch.setattr(archives, "CHUNK", 700)
    name, content = CONTENTS[kind](candles)
    path = tmp_path / (name + packed)
    if packed == ".zip":
        write_zip(path, {name: content})
    else:
        path.write_bytes(gzip.compress(content) if packed else content)
    assert_same(imported(path, "kraken" if kind == "kraken" else "binance"), candles)


def test_numbers_that_are_whole_in_one_piece_and_not_in_another(tmp_path, monkeypatch, candles):
    monkeypatch.setattr(archives, "CHUNK", 700)
    candles.volume[:200] = np.arange(1, 201)
    path = tmp_path / "BTCUSDT_5m.csv"
    text = table(candles).to_csv(index=False)
    path.write_text(text.replace(".0\n", "\n"))
    assert_same(read_file(path), candles)


def test_dates_and_numbers_in_one_file(tmp_path, monkeypatch, candles):
    path = tmp_path / "BTCUSDT_5m.csv"
    text = table(candles).to_csv(index=False)
    monkeypatch.setattr(archives, "CHUNK", len(text))
    path.write_text(text + "2024-01-01 00:00:00,1,1,1,1,1\n" * 40)
    with pytest.raises(
        UserError, match=r"open times must be whole milliseconds.*other rows hold counts"
    ):
        read_file(path)


@pytest.mark.parametrize("chunk", [700, 1 << 20])
@pytest.mark.parametrize("empty", [0, 2])
def test_a_fault_is_named_by_its_line(tmp_path, monkeypatch, candles, chunk, empty):
    """In the first piece or a later one, with lines before it that hold nothing."""
    monkeypatch.setattr(archives, "CHUNK", chunk)
    lines = binance_csv(candles, 1_000, header=True).split(b"\n")
    lines[200] = lines[200].rsplit(b",", 2)[0]
    lines[198:198] = [b""] * empty
    path = tmp_path / "BTCUSDT-5m-2023.csv"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=rf"line {201 + empty}: Expected 12 columns, got 10"):
        imported(path)


def test_a_list_that_is_cut_short_after_a_row(tmp_path, monkeypatch, candles):
    monkeypatch.setattr(archives, "CHUNK", 700)
    path = tmp_path / "BTC_USDT-5m.json"
    path.write_bytes(freqtrade_json(candles).rsplit(b"],", 3)[0] + b"],")
    with pytest.raises(UserError, match=r"is not JSON"):
        imported(path)


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.parquet", "x.feather", "x.csv.gz"])
def test_more_rows_than_a_market_has(tmp_path, monkeypatch, candles, name):
    path = write(tmp_path / name.removesuffix(".gz"), candles)
    if name.endswith(".gz"):
        path = path.with_name(name)
        path.write_bytes(gzip.compress((tmp_path / "x.csv").read_bytes()))
    monkeypatch.setattr(reading, "MOST_ROWS", len(candles) - 2)
    with pytest.raises(UserError, match=r"has \d+ rows; at most \d+ are read.*at a time"):
        imported(path)


def test_rows_of_all_files_count(tmp_path, monkeypatch, candles):
    for name in "abc":
        write(tmp_path / f"{name}.csv", candles)
    monkeypatch.setattr(reading, "MOST_ROWS", 2 * len(candles))
    with pytest.raises(UserError, match=r"has \S+ rows; at most"):
        imported(tmp_path)


def test_a_market_that_never_moves_is_no_bomb(tmp_path, candles):
    """Of all candles these pack best."""
    rows = b"".join(b"%d,1,1,1,1,0\n" % (1_500_000_000_000 + 60_000 * n) for n in range(400_000))
    assert len(rows) < 40 * len(gzip.compress(rows, 9))
    assert archives.RATIO > 2 * 40


@pytest.mark.parametrize("name", ["x.csv.gz", "x.json.gz", "x.parquet.gz", "x.zip"])
def test_a_bomb_is_left_packed(tmp_path, name):
    start = b"[[" if ".json" in name else HEADER if ".csv" in name or ".zip" in name else b""
    zeros = start + bytes(64 << 20)
    if name == "x.zip":
        write_zip(tmp_path / name, {"x.csv": zeros})
    else:
        (tmp_path / name).write_bytes(gzip.compress(zeros))
    before = pa.total_allocated_bytes()
    with pytest.raises(UserError, match=r"unpacks to more than .* over 200 times as many"):
        imported(tmp_path / name)
    assert pa.total_allocated_bytes() - before < 1 << 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"timestamp," + b"a," * 5_000 + b"b\n1\n", "line 1 has 5,002 fields or more"),
        (b"timestamp," + b"a" * 100_000 + b"\n1,2\n", "line 1 has 2 fields or more"),
        (
            ",".join(COLUMNS).encode() + b"\n" + b"1" * (9 << 20),
            "has a line or row of over 4,194,304 bytes",
        ),
    ],
)
def test_lines_that_no_candles_have(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_file(tmp_path / "x.csv")


def columns(rows, **others):
    """A table of candles with some columns of another kind."""
    plain = {"timestamp": 1_600_000_000_000 + STEP * np.arange(rows)}
    plain |= dict.fromkeys(COLUMNS[1:], np.ones(rows))
    return pa.table({**plain, **others})


def saved(folder, content, suffix, **settings):
    path = folder / f"x{suffix}"
    if suffix == ".parquet":
        pq.write_table(content, path, **settings)
    else:
        pyarrow.feather.write_feather(content, path, **settings)
    return path


LONG = pa.array(["9" * 500_000]).dictionary_encode().dictionary
KINDS = {
    "list": pa.array([[1.0]] * 10),
    "struct": pa.array([{"a": 1.0}] * 10),
    "bytes": pa.array([b"1" * 1_000] * 10, pa.binary(1_000)),
    "duration": pa.array([1] * 10, pa.duration("ms")),
}


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
@pytest.mark.parametrize("column", ["open", "timestamp"])
@pytest.mark.parametrize("kind", KINDS)
def test_cells_that_hold_more_than_a_number(tmp_path, suffix, column, kind):
    path = saved(tmp_path, columns(10, **{column: KINDS[kind]}), suffix)
    with pytest.raises(UserError, match=r"one cell holds one value"):
        read_file(path)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_a_long_text_in_every_row_is_not_written_out(tmp_path, suffix):
    """A dictionary holds it once; written out it would take 25 GB."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), LONG)
    path = saved(tmp_path, columns(50_000, close=text), suffix)
    assert path.stat().st_size < 3 << 20
    with pytest.raises(UserError, match=r"column 'close' holds a text of 500,000 bytes"):
        read_file(path)


def test_texts_that_begin_like_the_one_before(tmp_path):
    """Each of 800 has 500,000 bytes, of which the file holds those of one."""
    text = pa.array([f"{LONG[0]}{n}" for n in range(800)])
    encoding = {"use_dictionary": False, "column_encoding": {"close": "DELTA_BYTE_ARRAY"}}
    path = saved(tmp_path, columns(800, close=text), ".parquet", **encoding)
    assert path.stat().st_size < 1 << 20
    said, megabytes, _ = in_a_child(path)
    assert "cannot be read as parquet" in said  # PyArrow has no dictionary of such texts
    assert megabytes < 200


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_numbers_as_short_texts_are_read_as_before(tmp_path, suffix):
    text = pa.array([f"{n}.5" for n in range(10)])
    for kind in (text, text.dictionary_encode(), text.cast(pa.large_string())):
        raw = read_file(saved(tmp_path, columns(10, close=kind), suffix))
        np.testing.assert_array_equal(raw.close, np.arange(10) + 0.5)


def test_a_feather_that_unpacks_to_more_than_its_rows_need(tmp_path):
    wide = columns(10, note=pa.array(["0" * (9 << 20)] * 10))
    path = saved(tmp_path, wide, ".feather", compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match=r"has 10 rows and unpacks to [\d,]+ bytes, more than"):
        read_file(path)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_broken_bytes_end_in_a_sentence(tmp_path, suffix, record_property):
    """Every tenth byte of the metadata set to each of three values."""
    path = saved(tmp_path, columns(50), suffix)
    content = path.read_bytes()
    read = 0
    for at in range(len(content) - 1_500, len(content), 10):
        for value in (0x00, 0x7F, 0xFF):
            broken = bytearray(content)
            broken[at] = value
            path.write_bytes(broken)
            try:
                read += len(read_file(path)) >= 0
            except UserError:
                continue
    record_property("tried", 450)
    assert read < 450  # a byte that is read by nobody, or was this one


BIG = """
import re, sys
from pathlib import Path
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.errors import UserError
try:
    said = len(read_market_files(Request(Path(sys.argv[1]), "binance", "BTC/USDT", "1m")).raw)
except UserError as refusal:
    said = refusal
# The highest since this program began; getrusage counts its parent's too.
print(said, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


#: The whole command: import, store, report of the quality, picture.
COMMAND = """
import atexit, re
from pathlib import Path
from pipeline import fetch
from pipeline.cli import command
from pipeline.config import FetchConfig
status = Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1][:-3]))
command.run(fetch.main, FetchConfig, "fetch", "")
"""


def in_a_child(path, program=BIG, *words):
    """Import in a child; return what it says, its MB and its seconds of both cores."""
    root = str(Path(__file__).resolve().parents[2])
    began = os.times()
    child = subprocess.run(
        [sys.executable, "-c", program, *(words or [str(path)])],
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    ended = os.times()
    said, megabytes = re.fullmatch(r"(.*)\s(\d+)\s*", child.stdout, re.DOTALL).groups()
    cpu = ended.children_user + ended.children_system
    return said, int(megabytes), cpu - began.children_user - began.children_system


def test_a_parquet_of_many_rows_is_refused_by_its_metadata(tmp_path, record_property):
    part = columns(1_000_000, timestamp=np.full(1_000_000, 1_600_000_000_000))
    path = tmp_path / "BTCUSDT_1m.parquet"
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(20):
            writer.write_table(part)
    assert path.stat().st_size < 1 << 20
    said, megabytes, cpu = in_a_child(path)
    record_property("bound", f"Parquet of 20 million rows: {megabytes} MB (200), {cpu:.1f} s")
    assert "has 20,000,000 rows; at most 15,000,000" in said
    assert megabytes < 200


def varint(number):
    """A non-negative number as Thrift's compact protocol writes it."""
    number *= 2  # zigzag
    head = []
    while number > 0x7F:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*head, number])


def page_header(whole, packed, values, extra=b""):
    """Header of a page of plain values without levels, with ``extra`` bytes after its sizes."""
    sizes = b"".join(b"\x15" + varint(one) for one in (0, whole, packed))
    data = b"".join(b"\x15" + varint(one) for one in (values, 0, 3, 3))
    return sizes + extra + (b"\x0c\x0a" if extra else b"\x2c") + data + b"\0\0"


def zeros(size):
    """So many zeros, packed by zstd."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packing:
        for start in range(0, size, 64 << 20):
            packing.write(bytes(min(64 << 20, size - start)))
    return sink.getvalue().to_pybytes()


BOMB = (1 << 31) - 8


@pytest.fixture(scope="module")
def innocent(tmp_path_factory):
    """A Parquet of 60,000 rows whose metadata claims 0.5 MB of volumes, which do not pack."""
    rows = 60_000
    content = {"timestamp": np.full(rows, 1_600_000_000_000)}
    content |= dict.fromkeys(COLUMNS[1:], np.ones(rows))
    content["volume"] = np.random.default_rng(1).random(rows)
    fields = [pa.field(n, pa.from_numpy_dtype(v.dtype), False) for n, v in content.items()]
    path = tmp_path_factory.mktemp("innocent") / "BTCUSDT_1m.parquet"
    table = pa.table(content, pa.schema(fields))
    one_page = {"use_dictionary": False, "data_page_size": 1 << 24}
    pq.write_table(table, path, compression="zstd", **one_page)
    return path


#: After its sizes a header may repeat one in another type, which a reader passes over.
SMALL_AGAIN = b"\x06\x04" + varint(100)


@pytest.mark.parametrize("extra", [b"", SMALL_AGAIN], ids=["plain", "said twice"])
def test_a_page_that_unpacks_to_more_than_its_column_claims(
    tmp_path, innocent, extra, record_property
):
    chunk = pq.ParquetFile(innocent).metadata.row_group(0).column(5)
    assert chunk.total_uncompressed_size < 1 << 19
    page = zeros(BOMB)
    page = page_header(BOMB, len(page), 60_000, extra) + page
    content = bytearray(innocent.read_bytes())
    assert len(page) < chunk.total_compressed_size
    content[chunk.data_page_offset : chunk.data_page_offset + len(page)] = page
    path = tmp_path / innocent.name
    path.write_bytes(content)
    said, megabytes, _ = in_a_child(path)
    record_property("bound", f"Parquet with a page of 2 GiB: {megabytes} MB (200)")
    assert "has 60,000 rows and unpacks to 2,149," in said
    assert megabytes < 200


def test_metadata_that_takes_much_to_read(tmp_path, candles):
    path = write(tmp_path / "x.parquet", candles)
    note = {"note": "9" * (5 << 20)}
    pq.write_table(pq.read_table(path).replace_schema_metadata(note), path, compression="zstd")
    with pytest.raises(UserError, match=r"its metadata has [\d,]+ bytes, of which at most"):
        read_file(path)


@pytest.mark.parametrize("kind", ["plain", "second version", "delta"])
def test_broken_pages_end_in_a_sentence(tmp_path, kind):
    """A header's bytes are changed at random; PyArrow takes no more than the file has."""
    settings = {
        "plain": {},
        "second version": {"data_page_version": "2.0", "compression": "zstd"},
        "delta": {
            "use_dictionary": False,
            "column_encoding": {"timestamp": "DELTA_BINARY_PACKED"},
        },
    }
    path = saved(tmp_path, columns(300), ".parquet", **settings[kind])
    content, chance = path.read_bytes(), np.random.default_rng(1)
    group = pq.ParquetFile(path).metadata.row_group(0)
    starts = [group.column(at).data_page_offset for at in range(6)]
    read = 0
    for _ in range(300):
        broken = bytearray(content)
        broken[chance.choice(starts) + chance.integers(40)] = chance.integers(256)
        path.write_bytes(broken)
        with suppress(UserError):
            read += len(read_file(path)) >= 0
    assert 0 < read < 300


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["named", "binance"])
def test_a_csv_of_300_mb(tmp_path, kind, record_property):
    path = tmp_path / ("BTCUSDT-1m.csv" if kind == "named" else "BTCUSDT-1m-2020.csv")
    rest = "" if kind == "named" else ",1599999,246913.12345678,123,0.12345678,1234.12345678,0"
    rows = 0
    with path.open("w") as file:
        file.write("timestamp,open,high,low,close,volume\n" if kind == "named" else "")
        while file.tell() < 300_000_000:
            file.writelines(
                f"{1_380_000_000_000 + 60_000 * n},{20_000 + n % 977}.12,21000.34,19000.56,"
                f"{20_000 + n % 991}.78,12.34567{rest}\n"
                for n in range(rows, rows + 100_000)
            )
            rows += 100_000
    began = time.monotonic()
    words = ("market=btc_binance_1h", "market.timeframe=1m", f"import={path}")
    said, megabytes, cpu = in_a_child(path, COMMAND, *words)
    took = time.monotonic() - began
    figures = f"{megabytes} MB (480), {took:.1f} s (40), of which {cpu:.1f} s computing"
    record_property("bound", f"CSV of 300 MB, {kind}, {rows:,} rows: {figures}")
    assert f"{rows:,}" in said
    assert megabytes < 480
    assert cpu < 40
