"""Figures in, stage and gates out: every row of validation rules §6."""

import math

import pytest

from pipeline.validation.stages import (
    REQUIREMENTS,
    Gate,
    awaits_reality_check,
    awaits_surrogates,
    judge,
    position_size,
)
from pipeline.validation.wording import beats_luck

#: Passes every gate that there is; live and sweep figures unknown.
MATURE = {
    "net_profit": 0.4,
    "sharpe_ratio": 2.0,
    "sample_size": 150,
    "p_value": 0.001,
    "reality_check_p": 0.01,
    "surrogate_p": 0.01,
    "beta": 0.1,
    "alpha_p": 0.5,
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
        # DISCOVERY: fewer than 30 trades, search no better than luck, rides the market without
        # alpha, in a sweep not q < 0.1
        ({"sample_size": 29}, "DISCOVERY"),
        ({"sample_size": 30}, "VALIDATION"),
        ({"surrogate_p": 0.05}, "DISCOVERY"),
        ({"surrogate_p": 0.0499}, "MATURE"),
        ({"surrogate_p": None}, "DISCOVERY"),
        ({"surrogate_p": math.nan}, "DISCOVERY"),
        ({"surrogate_p": -math.inf}, "DISCOVERY"),
        ({"sharpe_ratio": math.inf}, "PAPER"),
        ({"net_profit": math.inf}, "PAPER"),
        ({"beta": 0.2}, "MATURE"),
        ({"beta": 0.201}, "DISCOVERY"),
        ({"beta": -0.201}, "DISCOVERY"),
        ({"beta": 0.9, "alpha_p": 0.049}, "MATURE"),
        ({"beta": 0.9, "alpha_p": None}, "DISCOVERY"),
        ({"beta": None, "alpha_p": None}, "DISCOVERY"),
        ({"beta": None, "alpha_p": 0.01}, "MATURE"),
        ({"fdr_q_value": 0.1}, "DISCOVERY"),
        ({"fdr_q_value": 0.0999}, "MATURE"),
        # MATURE: 101 trades or what the record needs, Sharpe > 1.5, p-values < 0.05, adverse
        # selection < 0.3
        ({"sample_size": 100}, "VALIDATION"),
        ({"sample_size": 101}, "MATURE"),
        ({"sample_size": 60, "trades_needed": 60}, "MATURE"),
        ({"sample_size": 59, "trades_needed": 60}, "VALIDATION"),
        ({"p_value": 0.05}, "VALIDATION"),
        ({"p_value": None}, "VALIDATION"),
        ({"sharpe_ratio": 1.5}, "VALIDATION"),
        ({"sharpe_ratio": 1.501}, "MATURE"),
        ({"reality_check_p": 0.05}, "VALIDATION"),
        ({"reality_check_p": None}, "VALIDATION"),
        ({"reality_check_p": math.nan}, "VALIDATION"),
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
    assert skipped == {"fill_rate", "fdr_q_value", "adverse_selection_score"}
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
    assert by_name["MATURE", "p_value"].value is None  # undefined, and fails
    assert by_name["MATURE", "p_value"].passed is False
    assert by_name["MATURE", "sample_size"].threshold == 101


def test_every_gate_is_judged_in_the_order_of_the_spec():
    _, gates = judge(MATURE)
    assert [(g.stage, g.name) for g in gates] == [
        (r.stage, r.name) for r in REQUIREMENTS if r.listed
    ]


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 1.0),
        ({"p_value": 0.2}, 0.5),
        ({"sample_size": 29}, 0.25),  # the search beats luck: too few trades is all
        ({"sample_size": 29, "surrogate_p": 0.2}, 0.0),
        ({"surrogate_p": 0.2}, 0.0),
        ({"fdr_q_value": 0.2, "sample_size": 29}, 0.0),
        ({"sharpe_ratio": 0.1}, 0.0),
    ],
)
def test_sizes(changes, size):
    stage, gates = judge({**MATURE, **changes})
    assert position_size(stage, gates, synthetic=False) == size
    assert position_size(stage, gates, synthetic=True) == 0.0
    assert position_size("DECAY", gates, synthetic=False) == 0.0


@pytest.mark.parametrize("stage", ["DISCOVERY", "VALIDATION", "MATURE"])
@pytest.mark.parametrize("passed", [None, False])
def test_a_record_of_earlier_rules_has_no_size_without_surrogates(stage, passed):
    _, gates = judge(MATURE)
    rest = [gate for gate in gates if gate.name != "surrogate_p"]
    unasked = Gate("MATURE", "surrogate_p", "<", 0.05, None, passed)
    assert position_size(stage, rest, synthetic=False) == 0.0
    assert position_size(stage, [*rest, unasked], synthetic=False) == 0.0
    beaten = Gate("MATURE", "surrogate_p", "<", 0.05, 0.01, True)
    assert position_size(stage, [*rest, beaten], synthetic=False) > 0.0


def test_surrogates_are_awaited_where_the_other_gates_hold():
    unknown = {**MATURE, "surrogate_p": None}
    assert awaits_surrogates(unknown)
    assert awaits_surrogates({**unknown, "sample_size": 3})
    assert not awaits_surrogates({**unknown, "sharpe_ratio": 0.4})
    assert not awaits_surrogates({**unknown, "beta": 0.9})
    assert not awaits_surrogates({**unknown, "fdr_q_value": 0.5})


def test_the_reality_check_is_awaited_where_it_may_make_mature():
    unknown = {**MATURE, "surrogate_p": None, "reality_check_p": None}
    assert awaits_reality_check(unknown)
    assert not awaits_reality_check({**unknown, "sample_size": 3})
    assert not awaits_reality_check({**unknown, "p_value": 0.06})


@pytest.mark.parametrize(
    ("surrogate_p", "watched_p", "answer"),
    [
        (0.01, None, ("not known yet", "newer candles say less")),
        (0.121, None, ("no", "the search does as well on candles without an edge in 121 of 1,000")),
        (0.121, 0.01, ("not known yet", "newer candles say less")),
    ],
)
def test_newer_candles_make_no_no_softer(surrogate_p, watched_p, answer):
    """Monitoring lowered it to PAPER: what was shown before is doubted, a failure stays one."""
    figures = {
        "net_profit": 0.1,
        "sharpe_ratio": 1.2,
        "sample_size": 200,
        "beta": 0.0,
        "p_value": 0.2,
        "reality_check_p": 0.3,
        "surrogate_p": surrogate_p,
        "watched_p": watched_p,
    }
    luck = beats_luck("PAPER", judge(figures)[1])
    assert (luck.answer, luck.reason.removesuffix(" cases")) == answer
