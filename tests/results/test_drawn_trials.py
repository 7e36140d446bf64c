"""What a search that draws asked, written and read back."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.results.artifacts import drawn_trials
from pipeline.results.artifacts.drawn_trials import DrawnTrials, read_drawn, write_drawn

TRIALS = DrawnTrials(
    {"score": np.array([np.nan, 2.0, 1.0, 2.0]), "b": np.array([0.3, 0.1, 0.2, 0.25])},
    {"score": np.array([1.5, np.nan, np.inf, -2.0]), "sample_size": np.array([3.0, 1, 2, 9])},
)


def test_they_are_read_back_though_a_parameter_is_called_score(tmp_path):
    write_drawn(tmp_path / "trials.parquet", TRIALS)
    read = read_drawn(tmp_path / "trials.parquet")
    for part in ("parameters", "metrics"):
        own, now = getattr(TRIALS, part), getattr(read, part)
        assert list(own) == list(now)
        for name, values in own.items():
            np.testing.assert_array_equal(now[name], values)


def test_the_same_trials_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_drawn(tmp_path / name, TRIALS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_few_values_are_an_axis_with_off_first():
    assert TRIALS.axes["score"] == [None, 1.0, 2.0]
    assert TRIALS.places("score").tolist() == [0, 2, 1, 2]


def test_many_values_are_put_into_ranges(monkeypatch):
    monkeypatch.setattr(drawn_trials, "MOST_VALUES", 3)
    monkeypatch.setattr(drawn_trials, "RANGES", 2)
    trials = DrawnTrials(TRIALS.parameters, TRIALS.metrics)
    assert trials.axes["b"] == pytest.approx([0.15, 0.25])
    assert trials.places("b").tolist() == [1, 0, 1, 1]  # a border belongs to the upper one


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"parameters.a": [1.0]}, "score is no column of numbers"),
        ({"score": [1.0], "parameters.a": [1]}, "parameters.a is no column of numbers"),
    ],
)
def test_other_columns_are_refused(tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "trials.parquet")
    with pytest.raises(ValueError, match=said):
        read_drawn(tmp_path / "trials.parquet")


def test_more_rows_than_there_can_be_are_refused(tmp_path, monkeypatch):
    write_drawn(tmp_path / "trials.parquet", TRIALS)
    monkeypatch.setattr(drawn_trials, "MOST_TRIALS", 3)
    with pytest.raises(ValueError, match="4 rows, more than 3"):
        read_drawn(tmp_path / "trials.parquet")
