"""What a user gets wrong: exit status 2, a sentence that names it, and nothing half-written."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from gpu_engine import BackendUnavailableError, choose
from pipeline.config import TrainConfig, load
from pipeline.market_data.files.names import check_file_name
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.synthetic import synthetic_candles
from support.runs import SMALL_GRID, run, run_here
from support.snapshots import assert_said

HOURS = ("market=btc_binance_1h", "data=file", "data.path=candles.csv", *SMALL_GRID)
SHORT_WINDOWS = ("validation.train=20", "validation.gap=1", "validation.test=10", "min_trades=1")


@pytest.fixture(scope="session")
def good():
    """Columns of 60 days of hours that nothing is wrong with."""
    raw = synthetic_candles(60, "1h", 0, 0.6)
    return {name: getattr(raw, name) for name in COLUMNS}


@pytest.fixture
def columns(good):
    """A copy to spoil."""
    return {name: column.copy() for name, column in good.items()}


@pytest.fixture
def train(tmp_path):
    """Train on columns as a CSV file, in this process."""

    def train(columns, *arguments):
        pyarrow.csv.write_csv(pa.table(columns), tmp_path / "candles.csv")
        return run_here(tmp_path, *HOURS, *arguments)

    return train


def assert_refused(finished, case=None):
    """A mistake, named in the words of ``case``; a job says the same, and nothing else is left."""
    assert finished.status == 2
    assert "Traceback" not in finished.err
    said = finished.err
    if (finished.folder / "var/trainings.db").exists():
        (job,) = finished.jobs
        assert job.status == "failed"
        assert finished.err.endswith(f"{job.error}\n")
        assert finished.configurations == []
        said = job.error
    if case is not None:
        assert_said("train", f"({case})", said.strip())
    assert finished.artifacts == []
    assert list(finished.folder.glob("var/runs/*/*/result.json")) == []


def test_an_empty_file_by_the_real_command(tmp_path):
    (tmp_path / "candles.csv").touch()
    finished = run(tmp_path, *HOURS)
    assert_refused(finished, "an empty file")
    assert len(finished.jobs) == 1
    assert finished.out == ""


def no_rows(columns):
    return {name: column[:0].astype(float) for name, column in columns.items()}


def one_candle(columns):
    return {name: column[:1] for name, column in columns.items()}


def no_volume_column(columns):
    return {name: column for name, column in columns.items() if name != "volume"}


def nan_price(columns):
    columns["close"][100] = np.nan
    return columns


def empty_price(columns):
    text = [str(value) for value in columns["open"]]
    text[7] = ""
    return columns | {"open": pa.array(text)}


def negative_volume(columns):
    columns["volume"][[5, 6]] = -1.0
    return columns


def zero_price(columns):
    columns["low"][9] = 0.0
    return columns


def high_below_low(columns):
    columns["high"][50], columns["low"][50] = columns["low"][50], columns["high"][50] + 1.0
    return columns


def duplicates_that_differ(columns):
    twice = {name: np.append(column, column[-1]) for name, column in columns.items()}
    twice["close"][-1] += 0.5
    return twice


def row_numbers(columns):
    return columns | {"timestamp": np.arange(len(columns["timestamp"]))}


def off_the_grid(columns):
    return columns | {"timestamp": columns["timestamp"] + 60_000}


def a_hole_too_long(columns):
    keep = np.ones(len(columns["open"]), bool)
    keep[100:200] = False
    return {name: column[keep] for name, column in columns.items()}


@pytest.mark.parametrize(
    "spoil",
    [
        no_rows,
        one_candle,
        no_volume_column,
        nan_price,
        empty_price,
        negative_volume,
        zero_price,
        high_below_low,
        duplicates_that_differ,
        row_numbers,
        off_the_grid,
        a_hole_too_long,
    ],
)
def test_candles_that_cannot_be_used(train, columns, spoil):
    finished = train(spoil(columns))
    assert_refused(finished, spoil.__name__.replace("_", " "))
    assert len(finished.jobs) == 1


def test_a_timeframe_that_is_not_the_markets(train, columns):
    finished = train(columns, "market=btc_binance_5m")
    assert_refused(finished, "another timeframe")


@pytest.fixture(scope="module")
def clean(good, tmp_path_factory):
    """What the candles give with nothing done to them."""
    folder = tmp_path_factory.mktemp("clean")
    pyarrow.csv.write_csv(pa.table(good), folder / "candles.csv")
    finished = run_here(folder, *HOURS, *SHORT_WINDOWS)
    assert finished.status == 0
    return finished.result


def same_but_for_quality(one, other):
    own = ("configuration_id", "job_id", "timings", "provenance")
    assert {k: v for k, v in one.items() if k not in own} == {
        k: v for k, v in other.items() if k not in own
    }
    assert one["provenance"]["data_hash"] == other["provenance"]["data_hash"]


def test_unsorted_rows_are_sorted_and_counted(train, columns, clean):
    order = np.arange(len(columns["open"]))
    order[[10, 20]] = order[[20, 10]]
    finished = train({name: column[order] for name, column in columns.items()}, *SHORT_WINDOWS)
    same_but_for_quality(finished.result, clean)
    assert finished.result["provenance"]["quality"]["out_of_order"] == 2
    assert re.search(r"│ duplicates, out of order +│ +0, 2 │", finished.out)


def test_equal_duplicates_are_dropped_and_counted(train, columns, clean):
    rows = np.sort(np.append(np.arange(len(columns["open"])), [3, 3, 700]))
    finished = train({name: column[rows] for name, column in columns.items()}, *SHORT_WINDOWS)
    same_but_for_quality(finished.result, clean)
    assert finished.result["provenance"]["quality"]["duplicates"] == 3
    assert re.search(r"│ duplicates, out of order +│ +3, 0 │", finished.out)


def test_candles_of_a_file_are_not_called_synthetic(train, columns):
    finished = train(columns, *SHORT_WINDOWS)
    (row,) = finished.configurations
    assert "SYNTHETIC" not in finished.out
    assert row.synthetic is row.document["metadata"]["synthetic"] is False
    assert finished.result["synthetic"] is False


def test_a_history_too_short_names_both_numbers(train, columns):
    finished = train(columns)
    assert_refused(finished, "60 days")


def test_a_split_that_leaves_too_little_names_both_numbers(train, columns):
    finished = train(columns, "validation=train_test_split")
    assert_refused(finished, "60 days to split")


def test_a_generated_history_too_short_is_refused_before_anything_is_made(here):
    finished = here("market=demo", "data.days=100")
    assert_refused(finished, "100 generated days")
    assert not (finished.folder / "var/trainings.db").exists()


def test_part_of_a_file_that_is_not_there(train, columns):
    finished = train(columns, "data.since=2030-01-01")
    assert_refused(finished, "no candle of the days")


@pytest.mark.parametrize(
    "path", ["candels.csv", "no/candles.csv", "candles.xlsx"], ids=lambda path: path
)
def test_a_file_that_is_not_there(train, columns, path):
    assert_refused(train(columns, f"data.path={path}"), f"data.path={path}")


def test_cuda_is_refused_where_there_is_none(here):
    try:
        choose("cuda")
    except BackendUnavailableError as error:
        reason = str(error)
    else:
        pytest.skip("there is a GPU here")
    finished = here("market=demo_null", "backend=cuda", *SMALL_GRID)
    assert_refused(finished)
    assert f"{reason}.\n" in finished.err


@pytest.mark.parametrize(
    ("url", "case"),
    [
        ("sqlite:///:memory:", "a database in memory"),
        ("sqlite:///taken/results.db", "a database in a file"),
        ("sqlite:///taken", "a file that is no database"),
        ("postgresql://user:hush@127.0.0.1:1/name", None),  # the server's own words differ
    ],
)
def test_a_database_that_cannot_be_used(here, tmp_path, url, case):
    (tmp_path / "taken").write_text("a file where a folder should be, and no database")
    finished = here("market=demo_null", f"storage.url='{url}'", *SMALL_GRID)
    assert_refused(finished, case)
    assert "hush" not in finished.err
    assert not (tmp_path / "var/trainings.db").exists()


def test_a_database_that_needs_its_address(here, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    finished = here("market=demo_null", "storage=postgresql")
    assert_refused(finished, "postgresql without an address")


def test_candles_of_another_coin_are_refused_by_their_name(here, tmp_path):
    (tmp_path / "binance_ETH-USDT_1h.csv").write_text("timestamp,open,high,low,close,volume\n")
    finished = here(*HOURS[:2], "data.path=binance_ETH-USDT_1h.csv", *SMALL_GRID)
    assert_refused(finished, "a file of another coin")


@pytest.mark.parametrize(
    "name", ["BTC_USDT-5m.feather", "XBTUSD_60.csv", "btcusdt-1h-2023-01.csv", "candles.parquet"]
)
def test_names_that_agree_or_say_nothing_pass(name):
    config = load(["market=btc_binance_1h", "data=file", f"data.path={name}"], TrainConfig, "train")
    assert check_file_name(config.market, name) == ()


@pytest.mark.parametrize("name", ["kraken_BTC-USD_1h.parquet", "2023/BTCUSDT-1h-Kraken.csv"])
def test_a_name_with_another_exchange_is_warned_about(name):
    config = load(["market=btc_binance_1h", "data=file", f"data.path={name}"], TrainConfig, "train")
    assert check_file_name(config.market, name) == (
        f"data.path={name} names kraken, the market is on binance: its costs are taken, and the"
        " result is stored as binance:BTC/USDT:1h.",
    )
