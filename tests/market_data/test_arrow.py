"""Columns of Arrow and arrays of NumPy, there and back, without pandas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.market_data.arrow import DTYPES, array_of, table_of

ROOT = Path(__file__).resolve().parents[2]
cells = st.lists(st.none() | st.floats(), max_size=20)


@given(chunks=st.lists(cells, max_size=4), start=st.integers(0, 30), length=st.integers(0, 30))
def test_empty_cells_are_nan_however_a_column_is_cut(chunks, start, length):
    column = pa.chunked_array(chunks, pa.float64()).slice(start, length)
    values = array_of(column)
    np.testing.assert_array_equal(values, [np.nan if v is None else v for v in column.to_pylist()])
    assert values.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_an_array_comes_back(dtype):
    values = np.arange(12, dtype=dtype)[::3]
    (column,) = table_of({"a": values}).columns
    assert column.equals(pa.chunked_array([pa.array(values)]))
    back = array_of(column)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("column", [pa.array(["1"]), pa.array([1, None]), pa.array([True])])
def test_what_has_no_numbers_is_refused(column):
    with pytest.raises(ValueError, match=str(column.type)):
        array_of(pa.chunked_array([column]))


def test_nothing_here_imports_pandas(tmp_path):
    """To read candles, store results and estimate their spread takes a run without pandas."""
    path = tmp_path / "candles.parquet"
    program = f"""
import sys
import numpy as np
import pyarrow.parquet
from gpu_engine import Candles
from pipeline.market_data.arrow import table_of
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS
from pipeline.results.artifacts import artifact_set
from pipeline.results.document.performance import average_spread_bps

price = 100 + np.random.default_rng(0).random((5, 50))
columns = dict(zip(COLUMNS, (np.arange(50) * 60_000, *price), strict=True))
pyarrow.parquet.write_table(table_of(columns), {str(path)!r})
raw = read_file({str(path)!r})
candles = Candles(raw.timestamp, *price, np.zeros(50, np.bool_), 60_000)
assert average_spread_bps(candles) is not None
series = artifact_set.DailySeries(np.arange(3, dtype=np.int32), np.ones(3))
artifact_set._write_series(__import__("pathlib").Path({str(tmp_path / "series.parquet")!r}), series)
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == "False\n", run.stderr
