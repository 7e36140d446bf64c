"""What the floor counts is counted again here; peers are given the same entries as this engine."""

import numpy as np
import pytest

from gpu_engine import Window, choose
from pipeline.studies.bench import floor, peers
from pipeline.studies.bench.training import Training
from support.coarse import coarse_candles
from support.parameters import LOOKBACK, REJECTION, SIZE, VOLUME

SMALL = (
    f"strategy.parameters.{LOOKBACK}.grid=[20,50]",
    f"strategy.parameters.{SIZE}.grid=[0.5]",
    f"strategy.parameters.{VOLUME}.grid=[1.5,2]",
    f"strategy.parameters.{REJECTION}.grid=[3]",
)


@pytest.fixture(scope="module")
def evaluator():
    candles = coarse_candles(np.random.default_rng(0), 288 * 6)
    return Training.default(SMALL).setting.evaluator(candles, choose("numpy").backend)


def test_rows_trades_and_days_are_counted(evaluator):
    counts = floor.count(evaluator)
    window = Window(0, len(evaluator.candles))
    points = evaluator.space.points(np.arange(evaluator.space.size))
    trades = evaluator.points(points, (window,))["sample_size"].sum()
    assert (counts.units * counts.exits, counts.trades) == (576, trades)
    assert counts.days == np.count_nonzero(evaluator.daily_of(points, window))
    assert trades / counts.exits <= counts.rows
    assert counts.days <= counts.trades


def test_a_division_costs_more_than_the_other_operations_of_a_day():
    one_day = floor.Counts(units=0, exits=0, rows=0, trades=0, days=1)
    assert one_day.operations == floor.A_DAY - 1 + floor.DIVISION
    one_combination = floor.Counts(units=1, exits=1, rows=0, trades=0, days=0)
    assert one_combination.bytes == 88


def test_rates_are_those_of_a_processor():
    operations, bytes_ = floor.rates()
    assert 1e8 < operations < 1e12
    assert 1e8 < bytes_ < 1e13


def test_a_unit_has_every_stop_and_target_and_nothing_else(evaluator):
    points = peers.unit_points(evaluator)
    assert len(points) == evaluator.grid.n_exits == 24
    varying = [np.unique(column).size for column in points.T]
    names = [d.parameter.name for d in evaluator.space.dimensions]
    assert {n for n, count in zip(names, varying, strict=True) if count > 1} == {
        "stop_distance",
        "target_multiple",
    }


def test_peers_are_given_the_entries_of_the_trades(evaluator):
    """A trade of this engine is entered where a peer may enter; the stop is that of the rules."""
    points = peers.unit_points(evaluator)
    work = peers.unit_of(evaluator, points)
    trades = evaluator.trades(points[0], Window(0, len(evaluator.candles)))
    assert len(trades) > 0
    entered = np.where(trades["side"] > 0, work.long[trades["entry_bar"]], False)
    entered |= np.where(trades["side"] < 0, work.short[trades["entry_bar"]], False)
    assert entered.all()
    assert np.isnan(work.stop[~(work.long | work.short)]).all()
    names = [d.parameter.name for d in evaluator.space.dimensions]
    multiples = points[:, names.index("target_multiple")]
    at = trades["entry_bar"]
    np.testing.assert_allclose(work.target[at], work.stop[at] * multiples)


def test_what_is_not_installed_is_left_out(evaluator, monkeypatch):
    monkeypatch.setattr(peers, "TRIALS", 3)
    monkeypatch.setattr(peers, "is_installed", lambda name: name == "optuna")
    setting = Training.default(SMALL).setting
    rows = list(peers.rows_of(setting, evaluator.candles))
    assert [row.combinations for row in rows] == [576, 4, 3]
    assert all(row.seconds >= 0 for row in rows)
    assert rows[1].trades > 0
