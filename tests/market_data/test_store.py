"""The store: what it answers for, and that no reader ever sees half of it."""

from multiprocessing import get_context

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.files import read_file
from pipeline.market_data.store import EMPTY, Stored, candle_path, load, locked, save

STEP = 300_000
spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda s: (s[0], s[0] + s[1])), max_size=6
)


def page(start, end, price=1.0):
    """One row a step of 1 in ``[start, end)``, all numbers ``price``."""
    rows = np.full((end - start, 6), price)
    rows[:, 0] = np.arange(start, end)
    return rows, (start, end)


@given(spans, st.integers(0, 50), st.integers(0, 50))
def test_missing_and_answered_share_out_the_asked_range(answered, start, end):
    stored = EMPTY.add(page(*span) for span in answered) if answered else EMPTY
    known = {t for a, b in answered for t in range(a, b)}
    gaps = stored.missing(start, end)
    assert {t for a, b in gaps for t in range(a, b)} == set(range(start, end)) - known
    assert all(a < b for a, b in gaps)
    assert gaps == sorted(gaps)
    assert set(stored.candles.timestamp.tolist()) == known


def test_a_fetched_candle_replaces_the_stored_one_of_its_time():
    stored = EMPTY.add([page(0, 4, 1.0)]).add([page(2, 6, 2.0)])
    np.testing.assert_array_equal(stored.candles.timestamp, np.arange(6))
    np.testing.assert_array_equal(stored.candles.close, [1, 1, 2, 2, 2, 2])
    assert stored.answered == ((0, 6),)


def test_what_is_saved_is_loaded(tmp_path):
    stored = EMPTY.add([page(0, 3), page(7, 9, 1 / 3)])
    save(tmp_path / "5m.parquet", stored)
    again = load(tmp_path / "5m.parquet", STEP)
    assert again.answered == ((0, 3), (7, 9))
    np.testing.assert_array_equal(again.candles.timestamp, [0, 1, 2, 7, 8])
    np.testing.assert_array_equal(again.candles.volume, [1, 1, 1, 1 / 3, 1 / 3])


def test_nothing_stored_is_empty_and_all_is_missing(tmp_path):
    assert load(tmp_path / "5m.parquet", STEP).missing(0, 10) == [(0, 10)]


def test_layout_and_types_on_disk(tmp_path):
    path = candle_path(tmp_path, "kraken", "BTC/USD", "5m")
    assert path == tmp_path / "kraken" / "BTC_USD" / "5m.parquet"
    with locked(path):
        save(path, EMPTY.add([page(0, 3)]))
    assert pyarrow.parquet.read_schema(path).types == ["int64", *["double"] * 5]
    assert len(read_file(path)) == 3


def test_a_file_from_elsewhere_answers_for_its_own_time(tmp_path, rows):
    raw = rows(range(3))
    columns = ("timestamp", "open", "high", "low", "close", "volume")
    table = pyarrow.table({name: getattr(raw, name) for name in columns})
    pyarrow.parquet.write_table(table, tmp_path / "5m.parquet")
    start = int(raw.timestamp[0])
    assert load(tmp_path / "5m.parquet", STEP).answered == ((start, start + 3 * STEP),)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "5m.parquet"
    save(path, EMPTY.add([page(0, 3)]))
    good = EMPTY.add([page(0, 5)])
    with pytest.raises(TypeError):
        save(path, Stored(good.candles, ((object(), 1),)))
    assert len(load(path, STEP).candles) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["5m.parquet"]


def _append(path, start):
    with locked(path):
        save(path, load(path, 1).add([page(start, start + 1)]))


def test_processes_take_turns(tmp_path):
    path = tmp_path / "binance" / "BTC_USDT" / "5m.parquet"
    processes = [get_context("spawn").Process(target=_append, args=(path, i)) for i in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    np.testing.assert_array_equal(load(path, 1).candles.timestamp, [0, 1, 2])


def test_a_store_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "store").touch()
    path = candle_path(tmp_path / "store", "binance", "BTC/USDT", "5m")
    with (
        pytest.raises(UserError, match=r"Candles cannot be kept in .*BTC_USDT: Not a directory"),
        locked(path),
    ):
        pass
