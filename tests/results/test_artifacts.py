from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_engine import REASONS, TRADE
from pipeline.errors import UserError
from pipeline.results.artifacts.artifact_set import (
    ArtifactSet,
    DailySeries,
    NullDistribution,
    ScoreSummary,
    ScoreSurface,
    check_root,
    read_artifacts,
    write_artifacts,
)
from support.parameters import DEPTH, SPREAD

ID = "LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3"


@pytest.fixture
def artifacts() -> ArtifactSet:
    rng = np.random.default_rng(5)
    trades = np.zeros(3, TRADE)
    trades["side"], trades["entry_bar"], trades["entry"] = (1, -1, 1), (5, 9, 70_000), (1.5, 2, 3)
    days = np.arange(19_358, 19_358 + 90, dtype=np.int32)  # from 2023-01-01 on
    return ArtifactSet(
        in_sample=DailySeries(days, rng.normal(size=90)),
        out_of_sample=DailySeries(days[:30] + 97, *rng.normal(size=(3, 30))),
        trades=trades,
        windows=[{"train": [0, 90], "net_profit": 0.1}, {"train": [30, 120], "net_profit": None}],
        scores=ScoreSurface(
            axes={DEPTH: [0.001, 0.002], SPREAD: [None, 1.0, 2.0]},
            metrics={"net_profit": np.float32([[1, 2, 3], [4, np.nan, 6]])},
        ),
    )


def test_what_is_written_is_read_back(tmp_path: Path, artifacts: ArtifactSet) -> None:
    relative = write_artifacts(tmp_path / "new" / "root", ID, artifacts)
    assert relative == ID
    read = read_artifacts(tmp_path / "new" / "root", relative)
    for one, two in [
        (read.in_sample, artifacts.in_sample),
        (read.out_of_sample, artifacts.out_of_sample),
    ]:
        np.testing.assert_array_equal(one.day, two.day)
        np.testing.assert_array_equal(one.returns, two.returns)
        assert (one.day.dtype, one.returns.dtype) == (np.int32, np.float64)
    np.testing.assert_array_equal(read.out_of_sample.closed, artifacts.out_of_sample.closed)
    np.testing.assert_array_equal(read.out_of_sample.hold, artifacts.out_of_sample.hold)
    assert (read.in_sample.closed, read.in_sample.hold) == (None, None)
    np.testing.assert_array_equal(read.trades, artifacts.trades)
    assert read.trades.dtype == TRADE
    assert read.windows == artifacts.windows
    assert read.scores is not None
    assert artifacts.scores is not None
    assert read.scores.axes == artifacts.scores.axes
    assert list(read.scores.metrics) == ["net_profit"]
    surface = read.scores.metrics["net_profit"]
    np.testing.assert_array_equal(surface, artifacts.scores.metrics["net_profit"])
    assert surface.dtype == np.float32


@pytest.mark.parametrize(
    ("found", "best", "surrogates"),
    [(2.0, None, {}), (None, 2.5, {"permuted": [1.0, -np.inf], "bar_flipped": [3.0]})],
)
def test_what_luck_shows_is_read_back(
    tmp_path: Path,
    artifacts: ArtifactSet,
    found: float | None,
    best: float | None,
    surrogates: dict[str, list[float]],
) -> None:
    drawn = {kind: np.array(values) for kind, values in surrogates.items()}
    null = NullDistribution(found, np.array([0.5, 3.0, -0.1]), best, drawn)
    write_artifacts(tmp_path, ID, replace(artifacts, null=null))
    read = read_artifacts(tmp_path, ID).null
    assert read is not None
    assert (read.observed, read.best) == (found, best)
    np.testing.assert_array_equal(read.maxima, null.maxima)
    assert {kind: values.tolist() for kind, values in read.surrogates.items()} == surrogates


def test_series_of_an_earlier_build_are_read(tmp_path: Path, artifacts: ArtifactSet) -> None:
    """It kept daily returns by closed trades, and no others."""
    plain = replace(artifacts.out_of_sample, closed=None, hold=None)
    write_artifacts(tmp_path, ID, replace(artifacts, out_of_sample=plain))
    assert pq.read_schema(tmp_path / ID / "out_of_sample.parquet").names == ["day", "return"]
    read = read_artifacts(tmp_path, ID).out_of_sample
    np.testing.assert_array_equal(read.returns, plain.returns)
    assert (read.closed, read.hold) == (None, None)


def test_a_summary_is_read_back(tmp_path: Path, artifacts: ArtifactSet) -> None:
    summary = ScoreSummary(
        axes={DEPTH: [0.001, 0.002], SPREAD: [None, 1.0]},
        index=np.array([3, 0]),
        score=np.array([2.5, 1.0]),
        pairs={(DEPTH, SPREAD): np.array([[1.0, np.nan], [0.5, 2.5]])},
    )
    write_artifacts(tmp_path, ID, replace(artifacts, scores=None, summary=summary))
    read = read_artifacts(tmp_path, ID)
    assert read.scores is None
    assert read.summary is not None
    assert read.summary.axes == summary.axes
    np.testing.assert_array_equal(read.summary.index, summary.index)
    np.testing.assert_array_equal(read.summary.score, summary.score)
    assert list(read.summary.pairs) == list(summary.pairs)
    for names, table in summary.pairs.items():
        np.testing.assert_array_equal(read.summary.pairs[names], table)


def test_days_are_dates_to_other_tools(tmp_path: Path, artifacts: ArtifactSet) -> None:
    write_artifacts(tmp_path, ID, artifacts)
    table = pq.read_table(tmp_path / ID / "in_sample.parquet")
    assert str(table["day"][0]) == "2023-01-01"


def test_without_a_surface_and_without_trades(tmp_path: Path, artifacts: ArtifactSet) -> None:
    bare = replace(artifacts, scores=None, trades=np.zeros(0, TRADE))
    read = read_artifacts(tmp_path, write_artifacts(tmp_path, ID, bare))
    assert read.scores is None
    assert read.trades.shape == (0,)


def test_trades_of_an_earlier_build(tmp_path: Path, artifacts: ArtifactSet) -> None:
    """It called the setup bar another name, had no levels, and counted reasons without a signal."""
    write_artifacts(tmp_path, ID, artifacts)
    rows = {"sweep_bar": [7], "signal_bar": [8], "side": [1], "entry_bar": [9], "exit_bar": [12]}
    rows |= {"entry": [2.0], "exit": [3.0], "ret": [0.5]}
    expected = ["stop_gap", "target_gap", "stop", "target", "time", "end"]
    table = {name: values * 6 for name, values in rows.items()} | {"reason": range(6)}
    pq.write_table(pa.table(table), tmp_path / ID / "trades.parquet")
    trades = read_artifacts(tmp_path, ID).trades
    assert [REASONS[reason] for reason in trades["reason"]] == expected
    assert set(trades.dtype.names or ()) == {*TRADE.names} - {"stop", "target"}  # type: ignore[misc]
    assert trades["setup_bar"].tolist() == [7] * 6
    assert trades["ret"].tolist() == [0.5] * 6


def test_a_failure_leaves_nothing_behind(tmp_path: Path, artifacts: ArtifactSet) -> None:
    wrong = ScoreSurface({"a": [1, 2]}, {"net_profit": np.zeros(3, np.float32)})
    with pytest.raises(
        ValueError, match=r"scores of net_profit have shape \(3,\), the axes \(2,\)"
    ):
        write_artifacts(tmp_path, ID, replace(artifacts, scores=wrong))
    assert list(tmp_path.iterdir()) == []


def test_artifacts_are_written_once(tmp_path: Path, artifacts: ArtifactSet) -> None:
    write_artifacts(tmp_path, ID, artifacts)
    with pytest.raises(FileExistsError, match="written once"):
        write_artifacts(tmp_path, ID, replace(artifacts, windows=[]))
    assert read_artifacts(tmp_path, ID).windows == artifacts.windows


def test_a_root_that_cannot_be_written_to(tmp_path: Path, artifacts: ArtifactSet) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"storage\.artifacts: cannot write to .*taken"):
        write_artifacts(tmp_path / "taken", ID, artifacts)


def test_drafts_that_a_killed_process_left_are_removed_after_a_day(tmp_path: Path) -> None:
    old, fresh = (tmp_path / f".{ID}.{digit * 32}" for digit in "ab")
    others = [tmp_path / name for name in (ID, ".mine", "unstored")]
    for folder in (old, fresh, *others):
        folder.mkdir()
        (folder / "trades.parquet").write_text("half")
    yesterday = time.time() - 25 * 3600
    for folder in (old, *others):
        os.utime(folder, (yesterday, yesterday))
    check_root(tmp_path)
    assert set(tmp_path.iterdir()) == {fresh, *others}
