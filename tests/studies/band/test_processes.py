"""Invented daily returns have the moments that they claim."""

import numpy as np
import pytest

from pipeline.studies.band.measure import (
    CHANGES,
    DEVIATION,
    MEAN,
    PROCESSES,
    changed,
    with_edge,
)


def drawn(process, cases=200, days=700, seed=0):
    return PROCESSES[process](np.random.default_rng(seed), cases, days)


@pytest.mark.parametrize("process", PROCESSES)
def test_days_have_mean_0_and_variance_1(process):
    daily = drawn(process)
    assert daily.shape == (200, 700)
    assert daily.mean() == pytest.approx(0.0, abs=0.015)
    assert daily.std() == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_edge_is_that_many_times_the_promised_one(process):
    daily = drawn(process)
    for edges in (1.0, -1.0):
        moved = with_edge(daily, edges) - with_edge(daily, 0.0)
        assert moved.mean() == pytest.approx(edges * MEAN * DEVIATION, rel=0.03)


def test_a_rare_strategy_trades_on_its_share_of_days():
    daily = with_edge(drawn("rare"), 1.0)
    assert (daily != 0.0).mean() == pytest.approx(0.15, abs=0.01)


def test_neighbours_correlate_only_where_they_should():
    for process, expected in (("autocorrelated", 0.3), ("normal", 0.0), ("garch", 0.0)):
        daily = drawn(process, 100)
        found = np.corrcoef(daily[:, 1:].ravel(), daily[:, :-1].ravel())[0, 1]
        assert found == pytest.approx(expected, abs=0.04), process


def test_wild_days_of_garch_follow_wild_days():
    size = np.abs(drawn("garch", 100))
    assert np.corrcoef(size[:, 1:].ravel(), size[:, :-1].ravel())[0, 1] > 0.1


def test_a_change_begins_on_its_day():
    daily = drawn("normal", 3, 365)
    same = changed(daily, "nothing")
    for change, (_, _, first) in CHANGES.items():
        differs = (changed(daily, change) != same).any(axis=0)
        assert not differs[:first].any()
        assert differs[first:].all() == (change != "nothing")
