"""Figures in, stage and gates out: every row of validation rules §6."""

import math

import pytest

from pipeline.validation.stages import REQUIREMENTS, STAGE_SIZE, judge

#: Passes every gate that there is; live and sweep figures unknown.
MATURE = {
    "net_profit": 0.4,
    "sharpe_ratio": 2.0,
    "sample_size": 150,
    "p_value": 0.001,
    "reality_check_p": 0.01,
}


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "MATURE"),
        # PAPER: net profit < 0, or Sharpe < 0.5, or fill rate < 0.7
        ({"net_profit": -1e-9}, "PAPER"),
        ({"net_profit": 0.0}, "MATURE"),
        ({"sharpe_ratio": 0.499}, "PAPER"),
        ({"sharpe_ratio": 0.5}, "VALIDATION"),
        ({"fill_rate": 0.69}, "PAPER"),
        ({"fill_rate": 0.7}, "MATURE"),
        # DISCOVERY: fewer than 30 trades, not p < 0.05, in a sweep not q < 0.1
        ({"sample_size": 29}, "DISCOVERY"),
        ({"sample_size": 30}, "VALIDATION"),
        ({"p_value": 0.05}, "DISCOVERY"),
        ({"p_value": 0.0499}, "MATURE"),
        ({"p_value": None}, "DISCOVERY"),
        ({"p_value": math.nan}, "DISCOVERY"),
        ({"fdr_q_value": 0.1}, "DISCOVERY"),
        ({"fdr_q_value": 0.0999}, "MATURE"),
        # MATURE: more than 100 trades, Sharpe > 1.5, p-values < 0.05, adverse selection < 0.3
        ({"sample_size": 100}, "VALIDATION"),
        ({"sample_size": 101}, "MATURE"),
        ({"sharpe_ratio": 1.5}, "VALIDATION"),
        ({"sharpe_ratio": 1.501}, "MATURE"),
        ({"reality_check_p": 0.05}, "VALIDATION"),
        ({"reality_check_p": None}, "VALIDATION"),
        ({"reality_check_p": math.nan}, "VALIDATION"),
        ({"surrogate_p": 0.05}, "VALIDATION"),
        ({"surrogate_p": 0.049}, "MATURE"),
        ({"adverse_selection_score": 0.3}, "VALIDATION"),
        ({"adverse_selection_score": 0.29}, "MATURE"),
        # The first row that applies decides.
        ({"net_profit": -0.1, "sample_size": 5, "p_value": None}, "PAPER"),
        ({"sample_size": 5, "reality_check_p": 0.9}, "DISCOVERY"),
    ],
)
def test_stage(changes, stage):
    assert judge({**MATURE, **changes})[0] == stage


def test_without_a_reality_check_nothing_is_mature():
    known = {name: value for name, value in MATURE.items() if name != "reality_check_p"}
    assert judge(known)[0] == "VALIDATION"


def test_nothing_known_is_paper():
    stage, gates = judge({})
    assert stage == "PAPER"
    skipped = {g.name for g in gates if g.passed is None}
    assert skipped == {"fill_rate", "fdr_q_value", "surrogate_p", "adverse_selection_score"}
    assert all(g.passed is False for g in gates if g.name not in skipped)


def test_gates_carry_value_threshold_and_outcome():
    _, gates = judge({**MATURE, "sharpe_ratio": 1.2, "p_value": math.nan})
    written = [g.to_dict() for g in gates]
    assert written[1] == {
        "stage": "PAPER",
        "name": "sharpe_ratio",
        "comparison": ">=",
        "threshold": 0.5,
        "value": 1.2,
        "passed": True,
    }
    assert written[2]["passed"] is None  # fill_rate
    assert written[2]["value"] is None
    by_name = {(g.stage, g.name): g for g in gates}
    assert by_name["MATURE", "sharpe_ratio"].passed is False
    assert by_name["DISCOVERY", "p_value"].value is None  # undefined, and fails
    assert by_name["DISCOVERY", "p_value"].passed is False


def test_every_gate_is_judged_in_the_order_of_the_spec():
    _, gates = judge(MATURE)
    assert [(g.stage, g.name) for g in gates] == [(r.stage, r.name) for r in REQUIREMENTS]


def test_sizes_of_the_stages():
    assert STAGE_SIZE == {
        "DECAY": 0.0,
        "PAPER": 0.0,
        "DISCOVERY": 0.25,
        "VALIDATION": 0.5,
        "MATURE": 1.0,
    }
