"""Counts, intervals and false discoveries of invented outcomes, and the page that shows them."""

import json

import pytest

from pipeline.studies.calibrate import page
from pipeline.studies.calibrate.summary import summarise, tables

STAGES = ["PAPER"] * 380 + ["DISCOVERY"] * 8 + ["VALIDATION"] * 8 + ["MATURE"] * 4


@pytest.fixture
def calibration(outcome, known):
    nulls = [outcome("synthetic", seed, stage=stage) for seed, stage in enumerate(STAGES)]
    nulls += [outcome("permuted", seed) for seed in range(400)]
    planted = [
        outcome("planted", seed, 8.0, "MATURE" if seed < 20 else "DISCOVERY", sharpe=seed / 10)
        for seed in range(25)
    ]
    planted += [outcome("planted", 25, 8.0, stage=None), outcome("planted", 0, 4.0)]
    return summarise(known(*nulls, *planted))


def test_false_positives(calibration):
    synthetic, permuted = calibration.nulls
    assert synthetic.stages() == {"PAPER": 380, "DISCOVERY": 8, "VALIDATION": 8, "MATURE": 4}
    assert [synthetic.reached(x).count for x in ("DISCOVERY", "VALIDATION", "MATURE")] == [
        20,
        12,
        4,
    ]
    assert calibration.worst_null("VALIDATION") == synthetic.reached("VALIDATION")
    assert permuted.reached("DISCOVERY").count == 0


def test_power(calibration):
    weak, strong = calibration.planted
    assert (weak.strength, strong.strength) == (4.0, 8.0)
    assert strong.reached("MATURE").share == 0.8
    assert (len(strong.outcomes), strong.out_of_reach) == (25, 1)
    assert strong.oos_sharpe() == pytest.approx((0.6, 1.2, 1.8))


def test_false_discoveries_take_the_worst_kind(calibration):
    cases = calibration.false_discoveries("MATURE", calibration.planted[1])
    assert [case["true_share"] for case in cases] == [0.01, 0.05, 0.10]
    assert cases[1]["rate"] == pytest.approx(0.95 * 0.01 / (0.95 * 0.01 + 0.05 * 0.8))
    upper = calibration.worst_null("MATURE").interval[1]
    assert cases[1]["rate_upper"] == pytest.approx(0.95 * upper / (0.95 * upper + 0.05 * 0.8))


def test_tables(calibration):
    null, power, *_ = tables(calibration)
    assert null.rows[0] == (
        "synthetic", "400", "380", "8", "8", "4", "3.0 [1.6, 5.2]", "1.0 [0.3, 2.5]",
    )  # fmt: skip
    assert power.rows[1][:5] == (
        "8", "25", "100.0 [86.3, 100.0]", "80.0 [59.3, 93.2]", "80.0 [59.3, 93.2]",
    )  # fmt: skip
    assert all(len(row) == len(t.columns) for t in tables(calibration) for row in t.rows)


def test_half_a_calibration_has_half_the_tables(outcome, known):
    titles = [table.title for table in tables(summarise(known(outcome())))]
    assert titles == ["Markets without an edge: false positives"]


def test_the_page_holds_the_command_and_every_table(calibration, tmp_path):
    page.write(calibration, "scripts/calibrate --nulls 400", 2, tmp_path / "docs")
    text = (tmp_path / "docs/calibration.md").read_text("utf-8")
    assert "```\n$ scripts/calibrate --nulls 400\n```" in text
    assert "| synthetic | 400 | 380 | 8 | 8 | 4 | 3.0 [1.6, 5.2] | 1.0 [0.3, 2.5] |" in text
    assert all(f"\n## {table.title}\n" in text for table in tables(calibration))
    assert "Seeds skipped: planted 8: 1." in text
    assert (tmp_path / "docs/calibration.png").read_bytes().startswith(b"\x89PNG")


def test_the_json_holds_every_figure(calibration, tmp_path):
    page.write(calibration, "command", 2, tmp_path)
    values = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert values["null"][0]["at_least"]["VALIDATION"]["interval"] == pytest.approx(
        [0.0156, 0.0518], abs=1e-4
    )
    assert values["planted"][1]["false_discoveries"]["MATURE"][0]["true_share"] == 0.01
    assert values["command"] == "command"
    assert values.keys() >= {"date", "machine", "versions", "engine_hash", "worker_seconds"}
