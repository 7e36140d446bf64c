"""Configurations side by side, from one that was trained and days made by hand."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline.report.comparison import Candidate, Comparison, curves
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.validation.pooling import COMMON_DAYS

RNG = np.random.default_rng(7)


def days(first, count, returns=None, hold=None):
    day = np.arange(first, first + count, dtype=np.int32)
    returns = RNG.normal(0.0, 0.01, count) if returns is None else returns
    return DailySeries(day, returns, None, np.zeros(count) if hold is None else hold)


@pytest.fixture
def candidate(report):
    """Make one of days; figures of its row may be changed."""

    def made(series, out_of_sample=None, **changes):
        row = report.configuration
        metrics = row.out_of_sample | (out_of_sample or {})
        changes = {"synthetic": False} | changes
        return Candidate(replace(row, out_of_sample=metrics, **changes), report.job, series)

    return made


def by_name(lines):
    return {line.name: line for line in lines}


def test_figures_over_common_days_are_computed_from_these_alone(candidate):
    first = days(100, 50, hold=np.full(50, 0.001))
    second = days(110, 60)
    compared = Comparison([candidate(first), candidate(second)], {})
    assert (compared.common == np.arange(110, 150)).all()
    lines = by_name(compared.on_common_days())
    profits = [np.prod(1.0 + first.returns[10:]) - 1.0, np.prod(1.0 + second.returns[:40]) - 1.0]
    net = lines["common.net_profit"]
    assert net.values == pytest.approx(profits)
    assert net.best == (int(np.argmax(profits)),)
    assert lines["common.hold_net_profit"].values[0] == pytest.approx(1.001**40 - 1.0)
    deepest = lines["common.max_drawdown"]
    assert deepest.best == (int(np.argmin(deepest.values)),)
    drawn = curves(compared)
    assert [len(trace["x"]) for trace in drawn["data"]] == [41, 41]
    assert [trace["y"][0] for trace in drawn["data"]] == [0.0, 0.0]
    assert drawn["data"][0]["y"][-1] == pytest.approx(profits[0])
    assert drawn["data"][0]["x"][0] == str(np.datetime64(109, "D"))
    go.Figure(drawn)


def test_each_says_whether_it_beats_luck_in_the_words_of_its_page(candidate):
    """Both rows have the gates of one that lost; monitoring found one in decay since."""
    fallen = candidate(days(100, 50), lifecycle_stage="DECAY")
    line = by_name(Comparison([candidate(days(100, 50)), fallen], {}).figures())["beats_luck"]
    assert line.written == ("no: it lost", "no: it stopped earning on newer candles")


def test_correlation_is_of_the_days_that_two_share(candidate):
    one, other = days(0, 90), days(30, 90)
    late, flat = days(70, 90), days(0, 90, np.zeros(90))
    compared = Comparison([candidate(s) for s in (one, other, late, flat)], {})
    correlation, shared = compared.correlation
    assert shared[0].tolist() == [90, 60, 20, 90]
    expected = np.corrcoef(one.returns[30:], other.returns[:60])[0, 1]
    assert correlation[0, 1] == pytest.approx(expected)
    assert shared[0, 2] < COMMON_DAYS
    assert np.isnan(correlation[0, 2])
    assert np.isnan(correlation[0, 3]), "one that does not vary"
    assert np.isnan(correlation[3, 3])


def test_without_common_days_nothing_is_called_better_and_curves_stand_alone(candidate):
    pair = [
        candidate(days(0, 40), {"net_profit": 0.3}),
        candidate(days(50, 40), {"net_profit": 0.1}),
    ]
    compared = Comparison(pair, {})
    assert by_name(compared.figures())["net_profit"].best == ()
    assert compared.on_common_days() == []
    assert [len(trace["x"]) for trace in curves(compared)["data"]] == [41, 41]
    assert any("No day is common" in remark for remark in compared.remarks())


def test_on_the_same_days_the_better_figures_are_marked(candidate):
    series = days(0, 40)
    pair = [
        candidate(series, {"net_profit": 0.3, "max_drawdown": 0.2}),
        candidate(series, {"net_profit": 0.1, "max_drawdown": 0.1}),
    ]
    compared = Comparison(pair, {})
    lines = by_name(compared.figures())
    assert (lines["net_profit"].best, lines["max_drawdown"].best) == ((0,), (1,))
    assert lines["sharpe_ratio"].best == (), "all alike"
    assert compared.remarks() == []


def test_invented_candles_are_never_better_than_real_ones(candidate):
    series = days(0, 40)
    compared = Comparison(
        [
            candidate(series, {"net_profit": 9.0}, synthetic=True),
            candidate(series, {"net_profit": 0.1}),
            candidate(series, {"net_profit": 0.2}),
        ],
        {},
    )
    assert by_name(compared.figures())["net_profit"].best == (2,)
    assert compared.invented.startswith("A is of invented candles (SYNTHETIC)")


def test_two_inventions_under_one_name_are_not_held_against_each_other(candidate):
    """Of one demo market each strategy has candles of its own: an edge is planted for it."""
    series, profits = days(0, 40), ({"net_profit": 9.0}, {"net_profit": 0.1})
    for hashes, best, said in ((("a", "a"), (0,), False), (("a", "b"), (), True)):
        made = [
            candidate(series, profit, synthetic=True, provenance={"data_hash": one})
            for profit, one in zip(profits, hashes, strict=True)
        ]
        compared = Comparison(made, {})
        assert by_name(compared.figures())["net_profit"].best == best
        assert ("Not all are of the same candles" in compared.invented) == said


def test_parameters_of_another_strategy_and_settings_that_differ(candidate, report):
    series = days(0, 40)
    other = candidate(series, strategy="OTHER_V1", parameters={"length": 5.0})
    config = report.job.config | {"seed": 5, "space": "grid"}
    other = replace(other, job=replace(report.job, config=config))
    compared = Comparison([candidate(series), other], {})
    lines = by_name(compared.parameters())
    assert lines["length"].values == (None, 5.0)
    assert lines["length"].written == ("-", "5")
    assert any("strategies differ" in remark for remark in compared.remarks())
    settings = compared.settings()
    different = {line.name for line in settings if line.differs}
    assert {"seed", "strategy"} <= different
    assert [line.differs for line in settings] == sorted(
        (line.differs for line in settings), reverse=True
    )
    assert not any("path" in line.name for line in settings), "nothing of this machine"


def test_a_candidate_without_its_days_has_no_curve(candidate, report):
    lost = Candidate(report.configuration, report.job, None, "They are gone.")
    compared = Comparison([candidate(days(0, 40)), lost], {})
    assert len(curves(compared)["data"]) == 1
    assert compared.on_common_days() == []
    assert "B has no curve. They are gone." in compared.remarks()
    assert compared.correlation[1].tolist() == [[40, 0], [0, 0]]
