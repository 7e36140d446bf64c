"""What a reader sees first agrees with what is stored."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline.report.headline import HEIGHT, WIDTH, newer_days, sparkline, tiles
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.results.records import ConfigurationEvent
from pipeline.results.tables.live_models import PaperAccount
from pipeline.review.explanation import explain
from support.judged import judged_row

#: Days out of sample with which nothing but the tests of luck decides.
SURE = {"net_profit": 0.2, "sharpe_ratio": 2.0, "sample_size": 120, "n_days": 240}


def _tile(report, label, statistics=None, **figures):
    row = report.configuration
    row = replace(
        row,
        out_of_sample=row.out_of_sample | figures,
        statistics=row.statistics | (statistics or {}),
    )
    (found,) = [t for t in tiles(row, explain(row)) if t.label == label]
    return found, [remark.outcome for remark in found.remarks]


def test_there_are_six_and_each_says_what_to_think_of_it(report):
    made = tiles(report.configuration, report.explanation)
    assert len(made) == 6
    assert all(tile.remarks for tile in made)
    oos = report.configuration.out_of_sample
    assert made[3].value == f"{oos['sample_size']:,}"


@pytest.mark.parametrize(
    ("net", "hold", "outcomes", "points"),
    [
        (0.1, 0.3, ["passed", "failed"], "20.0 points less"),
        (0.1, -0.3, ["passed", "passed"], "40.0 points more"),
        (-0.1, -0.3, ["failed", "skipped"], "20.0 points more"),
        (0.0, 0.0, ["failed", "failed"], "0.0 points less"),
    ],
)
def test_profit_stands_beside_holding(report, net, hold, outcomes, points):
    held = {"hold": {"net_profit": hold, "max_drawdown": 0.5, "sharpe_ratio": 0.0}}
    tile, found = _tile(report, "Net profit", held, net_profit=net)
    assert found == outcomes
    assert tile.remarks[1].sentence.startswith(points)


def test_without_holding_nothing_is_said_of_it(report):
    assert _tile(report, "Net profit", {"hold": None}, net_profit=0.1)[1] == ["passed", "skipped"]
    assert _tile(report, "Largest drawdown", {"hold": None})[1] == ["skipped"]


@pytest.mark.parametrize(
    ("interval", "outcomes"),
    [
        ({"low": 0.1, "high": 2.0}, ["passed"]),
        ({"low": -0.1, "high": 2.0}, ["failed"]),
        (None, ["skipped"]),
    ],
)
def test_an_interval_with_zero_in_it_proves_nothing(report, interval, outcomes):
    of, known = "Sharpe ratio, a year", {"sharpe_interval": interval}
    assert _tile(report, of, known, sample_size=30)[1] == outcomes
    few = _tile(report, of, known, sample_size=29)[1]  # one day that won would pass
    assert few == ["failed" if interval else "skipped"]


def test_thirty_trades_are_enough(report):
    assert _tile(report, "Trades", sample_size=29)[1][1] == "failed"
    assert _tile(report, "Trades", sample_size=30)[1][1] == "passed"


def _luck(report, surrogate_p, reality_check_p, p_value, fdr_q_value=None):
    known = {"surrogate_p": surrogate_p, "reality_check_p": reality_check_p, "p_value": p_value}
    judged = judged_row(SURE, known | {"fdr_q_value": fdr_q_value, "beta": 0.1})
    row = replace(report.configuration, gates=judged.gates, lifecycle_stage=judged.lifecycle_stage)
    explained = explain(row)
    assert f"beats luck: {tiles(row, explained)[5].value}" in explained.badge
    return tiles(row, explained)[5]


@pytest.mark.parametrize(
    ("p_values", "answer"),
    [
        ((None, 0.01, 0.01), "not known yet"),
        ((None, None, None), "not known yet"),
        ((None, 0.01, 0.2), "no"),
        ((None, 0.2, 0.01), "no"),
        ((0.2, 0.01, 0.01), "no"),
        ((0.01, 0.01, 0.01, 0.3), "no"),
        ((0.01, 0.2, 0.01), "not known yet"),
        ((0.01, 0.01, 0.06), "not known yet"),
        ((0.01, None, 0.01), "not known yet"),
        ((0.01, 0.01, 0.01), "yes"),
        ((0.01, 0.01, 0.01, 0.03), "yes"),
    ],
)
def test_luck_is_beaten_by_all_tests_or_not_known_to_be(report, p_values, answer):
    """The tile has the badge's answer and its one reason first, red where a figure misses."""
    missed = any(p is not None and p >= 0.05 for p in p_values)
    tile = _luck(report, *p_values)
    assert tile.value == answer
    known = {"yes": "passed"}.get(answer, "skipped")
    assert tile.remarks[0].outcome == ("failed" if missed else known)


def test_a_case_of_luck_is_told_in_plain_numbers(report):
    """Each p-value once, as a share of cases."""
    said = [r.sentence for r in _luck(report, 0.97, 0.0004, 0.01).remarks]
    assert said == [
        "the search does as well on candles without an edge in 970 of 1,000 cases",
        "luck finds a combination as good in under 1 of 1,000 cases",
    ]
    label = "Luck alone earns as much in"
    tile, outcomes = _tile(report, label, {"p_value": 0.0527}, sample_size=30)
    assert (tile.value, outcomes) == ("53 of 1,000", ["failed", "skipped"])
    # One day in 240 that won: the Sharpe ratio's p-value is 0.024, whatever it won.
    one, outcomes = _tile(report, label, {"p_value": 0.0237}, sample_size=1)
    assert (outcomes, "1 trade" in one.remarks[0].sentence) == (["failed", "skipped"], True)


@pytest.mark.parametrize(
    ("beta", "alpha_p", "figures", "reason"),
    [
        (0.9, 0.3, {}, "holding the market explains"),
        (0.1, 0.01, {"sample_size": 12}, "12 trades, 30 are needed"),
        (0.1, 0.01, {}, "nobody tested it"),
    ],
)
def test_an_untested_search_in_a_sweep_is_not_laid_to_its_markets(
    report, beta, alpha_p, figures, reason
):
    """What is not tested counts with a p of 1 (validation rules §3.2): its q says nothing."""
    known = {"surrogate_p": None, "beta": beta, "alpha_p": alpha_p, "fdr_q_value": 1.0}
    judged = judged_row(SURE | figures, known | {"p_value": 0.01, "reality_check_p": 0.01})
    row = replace(report.configuration, gates=judged.gates, lifecycle_stage=judged.lifecycle_stage)
    said = [remark.sentence for remark in tiles(row, explain(row))[5].remarks]
    assert said[0].startswith(reason)
    assert not any("markets" in sentence for sentence in said)


def test_too_few_trades_leave_luck_unknown(report):
    tile, verdict = _alpha(report, 0.1, 0.01, 0.01, sample_size=12)
    assert (tile.value, tile.remarks[0].sentence) == ("not known yet", "12 trades, 30 are needed")
    assert "12 trades, 30 are needed" in verdict


def _alpha(report, beta, alpha_p, surrogate_p, **figures):
    """The tile of luck, and the verdict, of what passes every other test."""
    known = {"surrogate_p": surrogate_p, "beta": beta, "alpha_p": alpha_p}
    known |= {"p_value": 0.01, "reality_check_p": 0.01}
    row = replace(report.configuration, gates=(judged := judged_row(SURE | figures, known)).gates)
    row = replace(row, lifecycle_stage=judged.lifecycle_stage)
    return tiles(row, explain(row))[5], explain(row).verdict


@pytest.mark.parametrize("undefined", [None, math.nan])
@pytest.mark.parametrize("beta", [0.9, None])
def test_an_undefined_alpha_beats_no_luck(report, beta, undefined):
    tile, verdict = _alpha(report, beta, undefined, 0.01)
    assert tile.value == "not known yet"
    assert "may only have followed the market" in verdict
    assert _alpha(report, 0.1, undefined, 0.01)[0].value == "yes"  # it rides no market


def test_what_holding_explains_beats_no_luck(report):
    assert _alpha(report, 0.9, 0.5, 0.01)[0].value == "no"
    assert _alpha(report, 0.9, 0.01, 0.01)[0].value == "yes"


def test_an_untested_search_is_laid_to_the_gate_below_it(report):
    """A Sharpe ratio that is too low for MATURE keeps no search from its test."""
    for alpha_p, answer, why in (
        (0.3, "no", "holding the market explains"),
        (None, "not known yet", "may only have followed the market"),
    ):
        tile, _ = _alpha(report, 0.9, alpha_p, None, sharpe_ratio=1.0)
        assert tile.value == answer
        assert why in tile.remarks[0].sentence
    row = replace(report.configuration, gates=judged_row(SURE, {"p_value": 0.01}).gates)
    of_old_rules = [gate for gate in row.gates if gate["name"] not in ("alpha_p", "fill_rate")]
    row = replace(row, gates=of_old_rules, lifecycle_stage="DISCOVERY")
    assert [r.sentence for r in tiles(row, explain(row))[5].remarks] == [
        "nobody tested it",
        "not tried on candles without an edge",
    ]


def test_the_last_look_and_the_paper_account_are_in_figures():
    empty = {"net_profit": 0.0, "sharpe_ratio": None, "max_drawdown": 0.0, "sample_size": 0}
    kept = {"new": empty | {"n_days": 10}, "first_day": "2023-06-20", "last_day": "2023-06-29"}
    looks = [ConfigurationEvent("x", "monitor", "PAPER", "DECAY", "", k) for k in (kept, {})]
    began = datetime(2023, 7, 1, tzinfo=UTC)
    through = began + timedelta(days=2, hours=23)  # the open of the last hour of the third day
    account = PaperAccount("x", began, began, through, trades=2, equity=0.95)
    monitored, paper = newer_days(looks, account)
    assert monitored[1] == "net 0 %, Sharpe ratio undefined, drawdown 0 %, 0 trades in 10 days"
    assert paper[1] == "net -5.0 %, 2 trades in 3 days"


def test_a_shorter_look_hides_no_longer_one():
    new = {"net_profit": -0.1, "sharpe_ratio": -1.0, "max_drawdown": 0.1, "sample_size": 9}
    looks = [
        ConfigurationEvent("x", "monitor", "PAPER", "PAPER", "", figures)
        for figures in (
            {"new": new | {"n_days": 91}, "first_day": "2023-10-01", "last_day": "2023-12-30"},
            {"new": new | {"n_days": 31}, "first_day": "2023-10-01", "last_day": "2023-10-31"},
        )
    ]
    ((where, came),) = newer_days(looks, None)
    assert (where, "in 91 days" in came) == ("Newer candles, 2023-10-01 to 2023-12-30 UTC", True)


def _ends(points):
    return [tuple(float(part) for part in point.split(",")) for point in points.split()]


def test_the_curve_begins_at_zero_and_ends_where_the_series_ends():
    """+100 % and back to 0 beside a hold of -50 %: from top to bottom 150 points."""
    series = DailySeries(
        np.array([0, 1], np.int32), np.array([1.0, -0.5]), None, np.array([0.0, -0.5])
    )
    drawn = sparkline(series)
    strategy, holding = (_ends(line.points) for line in drawn.lines)
    third = HEIGHT / 3.0
    assert strategy == [(0.0, 2 * third), (WIDTH / 2, 0.0), (WIDTH, 2 * third)]
    assert holding == [(0.0, 2 * third), (WIDTH / 2, 2 * third), (WIDTH, HEIGHT)]
    assert (drawn.top, drawn.bottom) == ("+100.0 %", "-50.0 %")
    assert (drawn.first, drawn.last) == ("1970-01-01", "1970-01-02")
    assert drawn.zero == 2 * third
    assert not drawn.logarithmic


def test_the_small_curve_is_of_growth_where_holding_would_dwarf_it():
    """Half is lost while holding makes a hundredfold: two powers of ten above, 0.3 below."""
    series = DailySeries(np.array([0], np.int32), np.array([-0.5]), None, np.array([99.0]))
    drawn = sparkline(series)
    assert drawn.logarithmic
    zero = HEIGHT * 2.0 / (2.0 + np.log10(2.0))
    strategy, holding = (_ends(line.points) for line in drawn.lines)
    assert strategy == [(0.0, pytest.approx(zero, abs=0.06)), (WIDTH, HEIGHT)]
    assert holding == [(0.0, pytest.approx(zero, abs=0.06)), (WIDTH, 0.0)]
    assert (drawn.top, drawn.bottom) == ("+9,900.0 %", "-50.0 %")
    assert drawn.lines[1].name == "holding +9,900.0 %"


def test_a_long_series_keeps_its_last_day():
    days = np.arange(5_000, dtype=np.int32)
    drawn = sparkline(DailySeries(days, np.full(5_000, 0.001)))
    points = _ends(drawn.lines[0].points)
    assert len(points) <= 240
    assert points[-1] == (WIDTH, 0.0)


def test_no_day_has_no_curve():
    assert sparkline(DailySeries(np.zeros(0, np.int32), np.zeros(0))) is None
