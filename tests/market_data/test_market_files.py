"""Every format brings the candles back that were written to it, and wrong files are named."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.importing import merge
from pipeline.market_data.files.market_files import (
    LONGEST_OWN_HOLE_MS,
    answered_spans,
    closed_candles,
    read_market_files,
)
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS, RawCandles, concatenate
from pipeline.market_data.store.store import StoredCandles
from support.candle_files import (
    binance_csv,
    freqtrade_json,
    kraken_csv,
    random_candles,
    write,
    write_zip,
)

STEP = 300_000
BARS = 600


@pytest.fixture
def candles():
    return random_candles(1, BARS, STEP)


def imported(path, exchange="binance", pair="BTC/USDT", timeframe="5m"):
    return read_market_files(Request(path, exchange, pair, timeframe))


def assert_same(raw, expected):
    for name in COLUMNS:
        column = getattr(raw, name)
        assert column.dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(column, getattr(expected, name))


def halves(raw):
    """The rows before and after the middle, three of them in both."""
    middle = len(raw) // 2
    return raw.take(np.arange(middle + 3)), raw.take(np.arange(middle, len(raw)))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather", "json", "json.gz"])
def test_a_single_file(tmp_path, candles, suffix):
    path = write(tmp_path / f"BTC_USDT-5m.{suffix}", candles)
    result = imported(path)
    assert_same(result.raw, candles)
    assert (result.source, result.notes) == (path.name, ())


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("unit", [1, 1_000])
def test_binance_by_month_header_or_none_milliseconds_or_microseconds(
    tmp_path, candles, unit, header
):
    content = binance_csv(candles, unit, header)
    pair = "BTC/USDT:USDT" if header and unit == 1 else "BTC/USDT"  # as futures' archives are
    path = write_zip(tmp_path / "BTCUSDT-5m-2023-01.zip", {"BTCUSDT-5m-2023-01.csv": content})
    assert_same(imported(path, pair=pair).raw, candles)
    (tmp_path / "BTCUSDT-5m-2023-01.csv").write_bytes(content)
    assert_same(imported(tmp_path / "BTCUSDT-5m-2023-01.csv", pair=pair).raw, candles)


def test_a_folder_of_months_in_both_units_overlapping(tmp_path, candles):
    for month, part, unit in zip(("2024-12", "2025-01"), halves(candles), (1, 1_000), strict=True):
        name = f"BTCUSDT-5m-{month}"
        path = write_zip(tmp_path / f"{name}.zip", {f"{name}.csv": binance_csv(part, unit)})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (tmp_path / f"{name}.zip.CHECKSUM").write_text(f"{digest}  {name}.zip\n")
    result = imported(tmp_path)
    assert_same(result.raw, candles)
    assert result.source == f"{tmp_path.name} (2 files)"
    assert result.answered == ((int(candles.timestamp[0]), int(candles.timestamp[-1]) + STEP),)
    assert result.notes == (f"{tmp_path}: 3 rows repeat a candle of before, the same each time.",)


def test_a_zip_that_is_not_the_one_its_checksum_describes(tmp_path, candles):
    path = write_zip(tmp_path / "x.zip", {"BTCUSDT-5m-2023-01.csv": binance_csv(candles)})
    (tmp_path / "x.zip.CHECKSUM").write_text(f"{'0' * 64}  x.zip\n")
    with pytest.raises(UserError, match=r"x.zip is not what x.zip.CHECKSUM describes: download"):
        imported(path)


def test_each_file_answers_for_its_own_time(tmp_path, candles):
    months = candles.take(np.arange(0, 100)), candles.take(np.arange(300, len(candles)))
    for name, part in zip(("2023-01", "2023-02"), months, strict=True):
        write(tmp_path / f"{name}.csv", part)
    assert imported(tmp_path).answered == tuple(
        (int(part.timestamp[0]), int(part.timestamp[-1]) + STEP) for part in months
    )


def test_disagreement_with_the_store_is_counted_and_the_named_truth_wins(tmp_path, candles):
    ours = candles.take(np.arange(0, 200))
    ours.close[[50, 60]] += 1.0
    answered = ((int(ours.timestamp[0]), int(ours.timestamp[-1]) + STEP),)
    theirs = imported(write(tmp_path / "x.csv", candles.take(np.arange(40, len(candles)))))
    for truth, close in (("stored", ours.close), ("imported", candles.close)):
        merged = merge(StoredCandles(ours, answered), theirs.raw, truth, theirs.answered)
        assert merged.compared == 160
        assert (merged.theirs.close - merged.ours.close).round(9).tolist() == [-1.0, -1.0]
        np.testing.assert_array_equal(merged.stored.rows.timestamp, candles.timestamp)
        np.testing.assert_array_equal(merged.stored.rows.close[:200], close[:200])
        assert merged.stored.missing(int(candles.timestamp[0]), answered[0][1]) == []


def test_krakens_big_zip_gives_up_the_one_market(tmp_path, candles):
    other = kraken_csv(random_candles(2, 50, STEP))
    names = ["XBTUSD_5", "XBTUSDT_1", "XBTUSDT_15", "ETHUSDT_5", "SOLJPY_5", "XBTUSDT_1440"]
    members = {f"master/{name}.csv": other for name in names}
    members |= {"master/XBTUSDT_5.csv": kraken_csv(candles), "__MACOSX/._XBTUSDT_5.csv": b"junk"}
    result = imported(write_zip(tmp_path / "Kraken_OHLCVT.zip", members), "kraken")
    assert_same(result.raw, candles)
    (note,) = result.notes
    assert note.endswith("Kraken_OHLCVT.zip: 6 files of other markets or timeframes left out.")


def test_quarterly_updates_of_kraken_are_united(tmp_path, candles):
    for quarter, part in enumerate(halves(candles), start=1):
        members = {"XBTUSDT_5.csv": kraken_csv(part)}
        write_zip(tmp_path / f"Kraken_OHLCVT_Q{quarter}_2023.zip", members)
    assert_same(imported(tmp_path, "kraken").raw, candles)


def test_a_folder_named_after_the_market(tmp_path, candles):
    folder = tmp_path / "binance" / "BTC_USDT" / "5m"
    folder.mkdir(parents=True)
    for month, part in zip(("2023-01", "2023-02"), halves(candles), strict=True):
        write(folder / f"{month}.parquet", part)
    assert_same(imported(tmp_path / "binance").raw, candles)
    with pytest.raises(UserError, match=r"no candles of ETH/USDT 5m; .* it has BTCUSDT 5m"):
        imported(tmp_path / "binance", pair="ETH/USDT")


@given(seed=st.integers(0, 10**6), bars=st.integers(3, 60), step=st.sampled_from([60_000, STEP]))
def test_every_format_brings_the_candles_back(tmp_path_factory, seed, bars, step):
    folder = tmp_path_factory.mktemp("candles")
    expected = random_candles(seed, bars, step)
    timeframe, minutes = f"{step // 60_000}m", step // 60_000
    (folder / f"XBTUSDT_{minutes}.csv").write_bytes(kraken_csv(expected))
    (folder / f"BTCUSDT-{timeframe}-2023-01.csv").write_bytes(binance_csv(expected, 1_000))
    for suffix in ("csv", "parquet", "feather", "json", "json.gz"):
        write(folder / f"BTC_USDT-{timeframe}.{suffix}", expected)
    for path in folder.iterdir():
        exchange = "kraken" if path.name.startswith("XBT") else "binance"
        assert_same(imported(path, exchange, timeframe=timeframe).raw, expected)


@pytest.mark.parametrize("exchange", ["binance", "kraken", "freqtrade"])
def test_real_candles_survive_every_format(tmp_path, data_folder, exchange):
    name = "kraken_BTC-USD_4h_2013-10_2023-01" if exchange == "kraken" else None
    real = read_file(data_folder / f"{name or 'binance_BTC-USDT_4h_2023-01_2023-12'}.parquet")
    if exchange == "kraken":
        path = write_zip(tmp_path / "K.zip", {"XBTUSD_240.csv": kraken_csv(real)})
        assert_same(imported(path, "kraken", "BTC/USD", "4h").raw, real)
        return
    content = binance_csv(real) if exchange == "binance" else freqtrade_json(real)
    suffix = "4h-2023-01.csv" if exchange == "binance" else "4h.json"
    path = tmp_path / f"{'BTCUSDT' if exchange == 'binance' else 'BTC_USDT'}-{suffix}"
    path.write_bytes(content)
    assert_same(imported(path, timeframe="4h").raw, real)


def test_a_zip_may_tell_what_its_members_do_not(tmp_path, candles):
    path = write_zip(tmp_path / "ETHUSDT-5m-2023-01.zip", {"data.csv": binance_csv(candles)})
    assert_same(imported(path, pair="ETH/USDT").raw, candles)
    with pytest.raises(UserError, match=r"no candles of BTC/USDT 5m; .* it has ETHUSDT 5m"):
        imported(path)


def test_an_archive_of_another_exchange_is_refused(tmp_path, candles):
    (tmp_path / "XBTUSDT_5.csv").write_bytes(kraken_csv(candles))
    with pytest.raises(UserError, match=r"XBTUSDT_5.csv has the 7 columns of .* Kraken, but .* on"):
        imported(tmp_path / "XBTUSDT_5.csv")


def test_two_files_that_disagree_are_named_with_both_values(tmp_path, candles):
    first, second = halves(candles)
    second.close[0] += 1.5
    write(tmp_path / "a.csv", first)
    write(tmp_path / "b.csv", second)
    with pytest.raises(UserError, match=r"disagree: close is \d.* in .*a.csv and \d.* in .*b.csv"):
        imported(tmp_path)


def test_candles_of_a_coarser_timeframe_without_a_name(tmp_path):
    write(tmp_path / "candles.csv", random_candles(3, 50, 3_600_000))
    with pytest.raises(UserError, match=r"looks like 1h candles, but the market says 5m"):
        imported(tmp_path / "candles.csv")


def test_a_folder_of_two_timeframes_names_the_file_of_the_other(tmp_path, candles):
    write(tmp_path / "a.csv", candles)
    write(tmp_path / "b.csv", random_candles(3, 50, 3_600_000, start=1_675_209_600_000))
    with pytest.raises(UserError, match=r"b.csv looks like 1h candles, but the market says 5m"):
        imported(tmp_path)


def test_a_file_of_two_timeframes(tmp_path, candles):
    hours = random_candles(3, 50, 3_600_000, start=1_675_209_600_000, present=1.0)
    both = concatenate([candles, hours], RawCandles)
    write(tmp_path / "a.csv", both)
    with pytest.raises(
        UserError, match=r"a.csv: 49 rows from 2023-02-01 00:00 UTC on look like 1h candles"
    ):
        imported(tmp_path)


def test_a_candle_that_was_forming_is_left_out_and_not_answered(tmp_path, candles):
    path = write(tmp_path / "BTC_USDT-5m.csv", candles)
    last = int(candles.timestamp[-1])
    result = read_market_files(Request(path, "binance", "BTC/USDT", "5m"), now=last + STEP - 1)
    assert_same(result.raw, candles.take(candles.timestamp < last))
    assert result.answered == ((int(candles.timestamp[0]), int(result.raw.timestamp[-1]) + STEP),)
    assert result.notes == (f"{path}: left out 1 candle that had not closed.",)


def test_a_hole_of_days_in_an_exported_file_is_noted_and_not_answered(tmp_path, candles):
    later = random_candles(2, BARS, STEP, start=int(candles.timestamp[-1]) + 30 * 86_400_000)
    both = concatenate([candles, later], RawCandles)
    result = imported(write(tmp_path / "BTC_USDT-5m.csv", both))
    assert result.answered == tuple(
        (int(part.timestamp[0]), int(part.timestamp[-1]) + STEP) for part in (candles, later)
    )
    (note,) = result.notes
    assert "no candle from 2023-01-03 02:00 UTC to 2023-02-02 01:55 UTC; no file answers" in note


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("BTCUSDT-5m-2023-01.csv", b"", "BTCUSDT-5m-2023-01.csv is empty: download"),
        ("x.csv", b"1672531200000,1,2,1,2,5\n", "x.csv: line 1 names no columns and has 6 fields"),
        ("x.json", b"[[1672531200000, 1, 2", "x.json is not JSON: .* in line 1, column 22"),
        ("x.json", b"[[1, 2], [3]]", "x.json must hold a list of rows of 6 numbers"),
        ("x.json", b'{"a": 1}', "x.json must hold a list of rows of 6 numbers"),
        ("x.json", b"[]", "x.json must hold a list of rows of 6 numbers"),
        ("x.json", b"[" * 100_000, "x.json must hold a list of rows of 6 numbers"),
        ("x.json", b"[[1" + b"0" * 400 + b",1,1,1,1,1]]", "x.json must hold a list of rows of 6"),
        ("x.json", b"[[null,1,1,1,1,1]]", "open time in row 1 is nan; it must be a whole number"),
        ("x.json", b"[[1e30,1,1,1,1,1]]", r"open time in row 1 is 1e\+30; it must be a whole"),
        ("x.json", b"[[1672531200000.5,1,1,1,1,1]]", "open time in row 1 is .*e.12; it must be"),
        (
            "BTCUSDT-5m-2023-01.csv",
            b"1735689600000007" + b",1" * 11,
            "row 1 is 1735689600000007, no",
        ),
        ("x.json.gz", b"\x1f\x8b\x08", "x.json.gz cannot be read: .*copy it again"),
        ("x.zip", b"PK\x03\x04 and so on", "x.zip cannot be read: File is not a zip file"),
        ("x.parquet", b"PAR1 no more", "x.parquet cannot be read as parquet"),
        ("x.pdf", b"1,2,3", "x.pdf holds no file of candles: those end in .zip, .csv"),
    ],
)
def test_files_that_are_no_candles(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        imported(tmp_path / name)


def test_a_path_that_is_not_there(tmp_path):
    (tmp_path / "candles.zip").touch()
    with pytest.raises(UserError, match=r"candle.zip does not exist. Did you mean 'candles.zip'"):
        imported(tmp_path / "candle.zip")


def test_a_line_that_is_cut_short_is_named_with_its_member(tmp_path, candles):
    content = binance_csv(candles)[:-30]
    line = content.count(b"\n") + 1
    path = write_zip(tmp_path / "months.zip", {"BTCUSDT-5m-2023-01.csv": content})
    with pytest.raises(
        UserError,
        match=rf"months.zip, member BTCUSDT-5m-2023-01.csv cannot be .*: line {line}: Expected 12",
    ):
        imported(path)


@pytest.mark.parametrize(("header", "line"), [(False, 3), (True, 4)])
def test_a_field_that_is_no_number_is_named_by_its_line(tmp_path, candles, header, line):
    lines = binance_csv(candles, 1_000, header=header).split(b"\n")
    lines[line - 1] = lines[line - 1].replace(b",", b",n/a,", 1).rsplit(b",", 1)[0]
    (tmp_path / "BTCUSDT-5m-2023-01.csv").write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=rf"line {line}: .* invalid value 'n/a'. It is damaged"):
        imported(tmp_path / "BTCUSDT-5m-2023-01.csv")


def test_a_truncated_zip(tmp_path, candles):
    path = write_zip(tmp_path / "x.zip", {"XBTUSDT_5.csv": kraken_csv(candles)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"x.zip cannot be read: File is not a zip file"):
        imported(path, "kraken")


def test_a_zip_with_a_flipped_byte(tmp_path, candles):
    path = write_zip(tmp_path / "x.zip", {"XBTUSDT_5.csv": kraken_csv(candles)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x.zip, member XBTUSDT_5.csv cannot be read: "):
        imported(path, "kraken")


def test_rows_that_no_candle_can_be_are_named(tmp_path, candles):
    candles.low[7] = -1.0
    (tmp_path / "XBTUSDT_5.csv").write_bytes(kraken_csv(candles))
    with pytest.raises(UserError, match=r"XBTUSDT_5.csv: low is -1 at .*line 8 .*must be above 0"):
        imported(tmp_path / "XBTUSDT_5.csv", "kraken")


HOLE = LONGEST_OWN_HOLE_MS // STEP  # bars


@pytest.mark.parametrize(
    ("now", "written", "bars"),
    [
        (10.0, 10.0, 10),
        (9.99, 9.99, 9),  # the tenth is forming
        (4.0, 99.0, 4),  # the rest lies in the future
        (99.0, 9.5, 9),  # it was forming when the file was written
        (99.0, 10.0, 10),
        (99.0, -5.0, 10),  # an archive that gives its members no time
    ],
)
def test_only_candles_that_had_closed(rows, now, written, bars):
    start = int(rows([0]).timestamp[0])
    raw = closed_candles(
        rows(range(10)), STEP, start + int(now * STEP), start + int(written * STEP)
    )
    np.testing.assert_array_equal(raw.timestamp, rows(range(bars)).timestamp)


@pytest.mark.parametrize(
    ("published", "spans"),
    [(False, [(0, 3), (4 + HOLE, 6 + HOLE)]), (True, [(0, 6 + HOLE)])],
)
def test_only_an_archive_answers_for_a_hole_longer_than_a_day(published, spans):
    bars = np.array([0, 2, 4 + HOLE, 5 + HOLE])
    result = answered_spans(STEP * bars, STEP, published)
    assert result == tuple((STEP * a, STEP * b) for a, b in spans)


def test_any_file_answers_for_a_hole_of_a_day():
    assert answered_spans(STEP * np.array([0, 1 + HOLE]), STEP, False) == ((0, STEP * (2 + HOLE)),)
