"""Counts, intervals and false discoveries of invented outcomes, and the page that shows them."""

import json

import pytest

from pipeline.studies.calibrate import page
from pipeline.studies.calibrate.markets import Cell, Edge
from pipeline.studies.calibrate.rates import Rate
from pipeline.studies.calibrate.summary import summarise
from pipeline.studies.calibrate.tables import tables

STAGES = ["PAPER"] * 380 + ["DISCOVERY"] * 8 + ["VALIDATION"] * 8 + ["MATURE"] * 4
FREE = Cell("5m", "none")
WEAK, STRONG = Edge(2.0, 1.0), Edge(3.0, 4.0)
DAYS = {"5m": {"files": 3, "coins": 2, "coin_days": 900, "calendar_days": 600}}


@pytest.fixture
def calibration(outcome, known):
    nulls = [outcome("synthetic", seed, stage=stage) for seed, stage in enumerate(STAGES)]
    nulls += [outcome("permuted", seed) for seed in range(100)]
    nulls += [outcome("sign_flipped", seed, stage="MATURE") for seed in range(10)]
    nulls += [outcome("synthetic", seed, stage="PAPER", cell=FREE) for seed in range(5)]
    controls = [outcome("real", 0), outcome("reversed", 0, stage="MATURE")]
    rule = {"sharpe_ratio": 3.1, "net_profit": 1.0, "p_value": 0.01}
    planted = [
        outcome(
            "planted", seed, STRONG, "MATURE" if seed < 20 else "DISCOVERY",
            sharpe_ratio=1.6 + seed / 10, planted=rule if seed else rule | {"p_value": 0.2},
        )
        for seed in range(25)
    ]  # fmt: skip
    planted += [outcome("planted", 25, STRONG, stage=None), outcome("planted", 0, WEAK)]
    return summarise(known(*nulls, *controls, *planted))


def test_sizes_are_counted_over_all_strict_kinds_of_a_cell(calibration):
    dear, free = calibration.strict
    assert dear.stages() == {"PAPER": 480, "DISCOVERY": 8, "VALIDATION": 8, "MATURE": 4}
    assert [dear.reached(x).count for x in ("DISCOVERY", "VALIDATION", "MATURE")] == [20, 12, 4]
    assert dear.traded() == Rate(12, 500)
    assert (free.cell, free.reached("VALIDATION")) == (FREE, Rate(0, 5))
    assert calibration.worst("VALIDATION", "liquidity_sweep") == dear.reached("VALIDATION")


def test_every_kind_of_a_cell_is_counted_on_its_own(calibration):
    counts = [(g.kind, g.cell.costs, g.reached("VALIDATION")) for g in calibration.nulls]
    assert counts == [
        ("synthetic", "exchange", Rate(12, 400)),
        ("permuted", "exchange", Rate(0, 100)),
        ("sign_flipped", "exchange", Rate(10, 10)),
        ("synthetic", "none", Rate(0, 5)),
    ]
    assert [group.kind for group in calibration.controls] == ["real", "reversed"]


def test_power(calibration):
    strong, weak = calibration.planted
    assert (weak.edge, strong.edge) == (WEAK, STRONG)
    assert strong.reached("MATURE") == Rate(20, 25)
    assert (len(strong.outcomes), strong.out_of_reach) == (25, 1)
    assert strong.oos_sharpe() == pytest.approx((2.2, 2.8, 3.4))
    assert strong.known_rule() == Rate(24, 25)
    assert strong.planted_sharpe() == 3.1


def test_candidates_differ_in_their_test_alone(outcome, known):
    """Both p small, one of them, the other, neither; and too few trades."""
    cases = [(0.01, 0.01), (0.01, 0.2), (0.2, 0.01), (0.2, 0.2)]
    markets = [
        outcome(seed=seed, stage="VALIDATION", p_value=p, surrogate_p=surrogate)
        for seed, (p, surrogate) in enumerate(cases)
    ]
    markets.append(outcome(seed=9, stage="VALIDATION", p_value=0.01, sample_size=20.0))
    (group,) = summarise(known(*markets)).strict
    assert list(group.candidates().values()) == [Rate(2, 5), Rate(1, 5), Rate(2, 5)]


def test_few_trades_that_beat_luck_have_a_size(outcome, known):
    few = outcome(seed=0, stage="VALIDATION", sample_size=20.0)
    (group,) = summarise(known(few, outcome(seed=1, stage="DISCOVERY"))).strict
    assert (group.reached("VALIDATION"), group.traded()) == (Rate(0, 2), Rate(1, 2))


def test_false_discoveries_take_the_worst_cell(calibration):
    cases = calibration.false_discoveries("MATURE", calibration.planted[0])
    assert [case["true_share"] for case in cases] == [0.01, 0.05, 0.10]
    assert cases[1]["rate"] == pytest.approx(0.95 * 0.008 / (0.95 * 0.008 + 0.05 * 0.8))
    upper = calibration.worst("MATURE", "liquidity_sweep").interval[1]
    assert cases[1]["rate_upper"] == pytest.approx(0.95 * upper / (0.95 * upper + 0.05 * 0.8))


def test_tables(calibration):
    verdict, by_kind, power, *_ = tables(calibration)
    assert verdict.rows[0] == (
        "no edge: 5m, with costs", "500", "480", "8", "8", "4",
        "2.4 [1.2, 4.2]", "0.8 [0.2, 2.0]", "2.4 [1.2, 4.2]",
    )  # fmt: skip
    assert [row[0] for row in verdict.rows[1:]] == [
        "no edge: 5m, no costs",
        "edge of net Sharpe 3, 4 years (5m)",
        "edge of net Sharpe 2, 1 year (5m)",
        "real candles as they are: 5m, with costs",
        "real candles read backwards: 5m, with costs",
    ]
    assert by_kind.columns == ("candles", "synthetic", "permuted", "sign_flipped")
    assert by_kind.rows == [
        ("5m, with costs", "12 of 400", "0 of 100", "10 of 10"),
        ("5m, no costs", "0 of 5", "-", "-"),
    ]
    assert power.rows[0][:6] == ("3", "4", "25", "3.10", "96.0 [79.6, 99.9]", "100.0 [86.3, 100.0]")
    assert all(len(row) == len(t.columns) for t in tables(calibration) for row in t.rows)


def test_strategies_stand_side_by_side(outcome, known):
    """Each with its own false positives, its own power and its own verdict on a real file."""
    mine, other = (Cell("5m", "exchange", name) for name in ("mine", "other"))
    free = Cell("5m", "none", "mine")
    outcomes = [outcome(seed=seed, cell=mine) for seed in range(38)]
    outcomes += [outcome(seed=0, cell=free, stage="MATURE"), outcome("garch_t", cell=free)]
    outcomes += [outcome(seed=seed, cell=other) for seed in range(20)]
    outcomes += [outcome("planted", 0, STRONG, "VALIDATION", mine)]
    outcomes += [outcome("planted", 0, STRONG, "PAPER", other)]
    for cell, stage in ((mine, "DISCOVERY"), (free, "MATURE"), (other, "PAPER")):
        outcomes.append(outcome("real", 0, None, stage, cell, source="btc.parquet"))
    calibration = summarise(known(*outcomes))
    beside, real, verdict, by_kind, *rest = tables(calibration)
    assert beside.rows == [
        ("mine", "40", "2.5 [0.1, 13.2]", "2.5 [0.1, 13.2]", "100.0 [2.5, 100.0]"),
        ("other", "20", "0.0 [0.0, 16.8]", "0.0 [0.0, 16.8]", "0.0 [0.0, 97.5]"),
    ]
    assert real.columns == ("candles", "mine", "other")
    assert real.rows == [("btc.parquet", "DISCOVERY, 0.80, 40", "PAPER, 0.00, 50")]
    assert verdict.rows[0][0] == "mine, no edge: 5m, with costs"
    assert by_kind.rows == [
        ("mine", "all together", "1 of 39", "0 of 1"),
        ("mine", "5m, with costs", "0 of 38", "-"),
        ("mine", "5m, no costs", "1 of 1", "0 of 1"),
        ("other", "5m, with costs", "0 of 20", "-"),
    ]
    assert all(len(row) == len(t.columns) for t in tables(calibration) for row in t.rows)
    assert len(rest) == 4
    worst = [calibration.worst("MATURE", name) for name in ("mine", "other")]
    assert worst == [Rate(1, 2), Rate(0, 20)]


def test_half_a_calibration_has_half_the_tables(outcome, known):
    titles = [table.title for table in tables(summarise(known(outcome())))]
    assert titles == [
        "What the verdict says",
        "False positives by kind of candles",
        "What else could decide VALIDATION",
    ]


def test_the_page_holds_the_command_and_every_table(calibration, tmp_path):
    page.write(calibration, DAYS, "scripts/calibrate --nulls 400", 2, tmp_path / "docs")
    text = (tmp_path / "docs/calibration.md").read_text("utf-8")
    assert "```\n$ scripts/calibrate --nulls 400\n```" in text
    assert "| no edge: 5m, with costs | 500 | 480 | 8 | 8 | 4 | 2.4 [1.2, 4.2] |" in text
    assert "at 5m 3 files of 2 coins, 900 days of a coin on 600 calendar days" in text
    assert all(f"\n## {table.title}\n" in text for table in tables(calibration))
    assert "Seeds skipped: edge of net Sharpe 3, 4 years (5m): 1." in text
    assert (tmp_path / "docs/calibration.png").read_bytes().startswith(b"\x89PNG")


def test_the_json_holds_every_figure(calibration, tmp_path):
    page.write(calibration, DAYS, "command", 2, tmp_path)
    values = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert values["null"][0]["at_least"]["VALIDATION"]["interval"] == pytest.approx(
        [0.0156, 0.0518], abs=1e-4
    )
    assert values["strict"][0]["candidates"].keys() == values["null"][0]["candidates"].keys()
    assert values["planted"][0]["false_discoveries"]["MATURE"][0]["true_share"] == 0.01
    assert (values["command"], values["real_days"]) == ("command", DAYS)
    assert values.keys() >= {"date", "machine", "versions", "engine_hash", "processor_seconds"}
