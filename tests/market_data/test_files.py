"""Reading files as users have them: written here by pandas and pyarrow, as other tools would."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS, RawCandles

START, STEP = 1_672_531_200_000, 300_000
NUMBERS = {
    "open": [100.0, 101.0, 102.5],
    "high": [101.0, 102.0, 103.0],
    "low": [99.0, 100.0, 101.0],
    "close": [101.0, 102.0, 102.0],
    "volume": [1.0, 2.0, 0.125],
}
TIMES = START + STEP * np.arange(3)
EXPECTED = RawCandles(TIMES, **{name: np.array(values) for name, values in NUMBERS.items()})


def spec_table():
    return pd.DataFrame({"timestamp": TIMES, **NUMBERS})


def freqtrade_table(unit):
    date = pd.Series(pd.to_datetime(TIMES, unit="ms", utc=True)).dt.as_unit(unit)
    return pd.DataFrame({"date": date, **NUMBERS})


def assert_read(path):
    raw = read_file(path)
    assert raw.timestamp.dtype == np.int64
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name), getattr(EXPECTED, name))
        assert name == "timestamp" or getattr(raw, name).dtype == np.float64


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_spec_columns(tmp_path, suffix):
    path = tmp_path / f"candles.{suffix}"
    table = spec_table()
    table.to_csv(path, index=False) if suffix == "csv" else getattr(table, f"to_{suffix}")(path)
    assert_read(path)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_freqtrade_dates_of_any_resolution_become_milliseconds(tmp_path, suffix, unit):
    path = tmp_path / f"BTC_USDT-5m.{suffix}"
    table = freqtrade_table(unit)
    table.to_csv(path, index=False) if suffix == "csv" else getattr(table, f"to_{suffix}")(path)
    assert_read(path)


def test_dates_may_be_the_index_of_a_pandas_frame(tmp_path):
    freqtrade_table("us").set_index("date").to_parquet(tmp_path / "x.parquet")
    assert_read(tmp_path / "x.parquet")


def test_dates_without_a_zone_are_utc_and_local_ones_are_converted(tmp_path):
    table = freqtrade_table("ms")
    table.assign(date=table.date.dt.tz_localize(None)).to_parquet(tmp_path / "naive.parquet")
    table.assign(date=table.date.dt.tz_convert("Asia/Tokyo")).to_parquet(tmp_path / "tokyo.parquet")
    assert_read(tmp_path / "naive.parquet")
    assert_read(tmp_path / "tokyo.parquet")


def test_days_without_a_time_of_day(tmp_path):
    (tmp_path / "1d.csv").write_text(
        "date,open,high,low,close,volume\n2023-01-01,1,2,1,2,5\n2023-01-02,2,3,2,3,5\n"
    )
    raw = read_file(tmp_path / "1d.csv")
    np.testing.assert_array_equal(raw.timestamp, [START, START + 86_400_000])
    np.testing.assert_array_equal(raw.open, [1.0, 2.0])


def test_order_and_further_columns_do_not_matter_and_rows_stay_as_they_came(tmp_path):
    table = spec_table()[::-1].assign(trades=7)[["trades", *reversed(COLUMNS)]]
    table.to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(read_file(tmp_path / "x.parquet").timestamp, TIMES[::-1])


def test_an_empty_cell_is_nan_for_the_grid_to_refuse(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{START},1,2,1,,5\n")
    assert np.isnan(read_file(path).close).all()


def test_path_that_does_not_exist_suggests_a_neighbour(tmp_path):
    (tmp_path / "BTC_5m.parquet").touch()
    with pytest.raises(
        UserError, match=r"BTC_5n.parquet does not exist. Did you mean 'BTC_5m.parq"
    ):
        read_file(tmp_path / "BTC_5n.parquet")


def test_path_in_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"does not exist \(there is no folder .*nowhere either\)"):
        read_file(tmp_path / "nowhere" / "x.csv")


def test_a_folder_of_several_files_lists_them(tmp_path):
    for name in ("a.csv", "b.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"holds 2 files \(a.csv, b.parquet\). Name one file"):
        read_file(tmp_path)


def test_unknown_suffix_names_the_known_ones(tmp_path):
    (tmp_path / "x.pdf").write_text("x")
    with pytest.raises(UserError, match=r"no file of candles: .* .zip, .csv, .parquet, .feather"):
        read_file(tmp_path / "x.pdf")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_empty_file(tmp_path, suffix):
    (tmp_path / f"x.{suffix}").touch()
    with pytest.raises(UserError, match=rf"x.{suffix} is empty"):
        read_file(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_damaged_file(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    getattr(spec_table(), f"to_{suffix}")(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=rf"x.{suffix} cannot be read as {suffix}: .*damaged"):
        read_file(path)


def test_csv_row_with_a_cell_too_few(tmp_path):
    (tmp_path / "x.csv").write_text(f"{','.join(COLUMNS)}\n{START},1,2,1\n")
    with pytest.raises(UserError, match=r"cannot be read as csv: .*Expected 6 columns, got 4"):
        read_file(tmp_path / "x.csv")


def test_a_binary_file_is_no_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x89PNG\0\0\x01\n" + bytes(64))
    with pytest.raises(UserError, match=r"is no CSV: line 1 holds bytes that are no text"):
        read_file(path)


@pytest.mark.parametrize("name", COLUMNS)
def test_missing_column_is_named_with_those_there(tmp_path, name):
    spec_table().drop(columns=name).to_csv(tmp_path / "x.csv", index=False)
    there = ", ".join(column for column in COLUMNS if column != name)
    with pytest.raises(UserError, match=rf"has no column '{name}'.*there: {there}\."):
        read_file(tmp_path / "x.csv")


def test_misspelt_column_is_suggested(tmp_path):
    spec_table().rename(columns={"volume": "volum"}).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(UserError, match=r"no column 'volume'.* Did you mean 'volum'\?"):
        read_file(tmp_path / "x.csv")


def test_column_that_is_there_twice(tmp_path):
    (tmp_path / "x.csv").write_text(f"{','.join(COLUMNS)},open\n{START},1,2,1,1,5,1\n")
    with pytest.raises(UserError, match="has several columns 'open'"):
        read_file(tmp_path / "x.csv")


def test_text_among_the_prices(tmp_path):
    spec_table().assign(close=["1", "2", "n/q"]).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(UserError, match=r"column 'close' has 'n/q', which is no number"):
        read_file(tmp_path / "x.csv")


def test_missing_times_are_counted(tmp_path):
    table = pa.table({"timestamp": pa.array([START, None, START]), **NUMBERS})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"1 of 3 rows have no timestamp"):
        read_file(tmp_path / "x.parquet")


@pytest.mark.parametrize("times", [[1.5, 2.5, 3.5], ["noon", "one", "two"]])
def test_times_that_are_none(tmp_path, times):
    spec_table().assign(timestamp=times).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"open times must be whole milliseconds, .*; found"):
        read_file(tmp_path / "x.parquet")
