"""Days watched on paper: a look's p, and what it does to gates (validation rules §6.13)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from pipeline.validation.holding import regression
from pipeline.validation.stages import REQUIREMENTS, STAGES, judge, position_size
from pipeline.validation.statistics import sharpe_test
from pipeline.validation.watching import (
    FEWEST_TRADES,
    LOOKS,
    Look,
    alpha_of_weeks,
    days_of_look,
    look_at,
)

LOOK = {
    "days": 90,
    "trades": FEWEST_TRADES,
    "accounts": 1,
    "p_value": 0.01,
    "beta": 0.0,
    "alpha_p": 0.001,
    "weeks_p": 0.002,
    "net_profit": 0.2,
    "sharpe_ratio": 1.0,
}
#: Held in DISCOVERY by every gate that it has.
DISCOVERY = {
    "net_profit": 0.4,
    "sharpe_ratio": 2.0,
    "sample_size": 20,
    "p_value": 0.2,
    "reality_check_p": 0.2,
    "surrogate_p": 0.2,
    "fdr_q_value": 0.5,
    "beta": 0.5,
    "alpha_p": 0.5,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.04),
        ({"alpha_p": 0.012}, 0.048),
        ({"weeks_p": 0.015}, 0.06),
        ({"accounts": 3}, 0.12),
        ({"accounts": 100}, 1.0),
        ({"trades": FEWEST_TRADES - 1}, None),
        ({"p_value": None}, None),
        ({"alpha_p": None}, None),
        ({"weeks_p": None}, None),
    ],
)
def test_p_of_a_look(changes, expected):
    assert Look(**(LOOK | changes)).watched_p == (
        None if expected is None else pytest.approx(expected)
    )


@pytest.mark.parametrize(
    ("watched", "days"), [(0, None), (89, None), (90, 90), (179, 90), (180, 180), (5000, 360)]
)
def test_a_look_has_exactly_its_days(watched, days):
    assert days_of_look(watched) == days


def test_a_look_is_of_the_watched_days_alone_and_its_profit_of_all_of_them():
    rng = np.random.default_rng(0)
    earlier, hold = rng.normal(-0.001, 0.01, 200), rng.normal(0.0, 0.02, 90)
    watched = rng.normal(0.003, 0.01, 90)
    look = look_at(earlier, watched, hold, 40, 2)
    assert look.net_profit == pytest.approx(np.prod(1 + np.concatenate((earlier, watched))) - 1)
    other = look_at(rng.normal(0.1, 0.01, 7), watched, hold, 40, 2)
    assert (other.p_value, other.alpha_p, other.watched_p) == (
        look.p_value,
        look.alpha_p,
        look.watched_p,
    )
    assert look.p_value == sharpe_test(watched).p_value
    assert look.alpha_p == regression(watched, hold).alpha_p
    assert look.watched_p == pytest.approx(8 * max(look.p_value, look.alpha_p, look.weeks_p))


@pytest.mark.parametrize("days", [21, 90, 360])
def test_weeks_are_regressed_by_least_squares(days):
    rng = np.random.default_rng(days)
    hold = rng.normal(0.001, 0.03, days)
    daily = 0.3 * hold + rng.normal(0.001, 0.01, days)
    y, x = (a[days % 7 :].reshape(-1, 7).sum(1) for a in (daily, hold))
    line = linregress(x, y)
    expected = t.sf(line.intercept / line.intercept_stderr, len(x) - 2)
    assert alpha_of_weeks(daily, hold) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("days", [0, 20])
def test_fewer_than_three_weeks_have_no_p(days):
    rng = np.random.default_rng(days)
    assert alpha_of_weeks(rng.normal(0, 1, days), rng.normal(0, 1, days)) is None
    assert alpha_of_weeks(np.zeros(70), rng.normal(0, 1, 70)) is None


def test_holding_the_market_is_no_edge():
    """What follows the market in a rising year has a small p-value, and no alpha."""
    rng = np.random.default_rng(1)
    hold = rng.normal(0.004, 0.015, 360)
    look = look_at(np.zeros(60), hold + rng.normal(0.0, 0.001, 360), hold, 100, 1)
    assert look.p_value < 0.001
    assert look.watched_p > 0.04


def test_watched_days_answer_the_row_of_discovery():
    assert judge(DISCOVERY)[0] == "DISCOVERY"
    stage, gates = judge(DISCOVERY | {"watched_p": 0.039})
    assert stage == "VALIDATION"
    outcomes = {gate.name: gate.passed for gate in gates if gate.stage == "DISCOVERY"}
    assert outcomes.pop("watched_p") is True
    assert set(outcomes.values()) == {None}
    assert position_size(stage, gates, synthetic=False) == 0.5
    assert position_size(stage, gates, synthetic=True) == 0.0


@pytest.mark.parametrize("p", [0.04, 1.0])
def test_a_look_that_is_not_good_enough_changes_nothing(p):
    stage, gates = judge(DISCOVERY | {"watched_p": p})
    assert stage == "DISCOVERY"
    assert position_size(stage, gates, synthetic=False) == 0.0
    failed = {gate.name for gate in gates if gate.passed is False and gate.stage == stage}
    assert failed == {"sample_size", "alpha_p", "surrogate_p", "fdr_q_value", "watched_p"}


@pytest.mark.parametrize(
    "changes", [{"net_profit": -0.01}, {"sharpe_ratio": 0.4}, {"fill_rate": 0.5}]
)
def test_what_all_days_lost_stays_on_paper(changes):
    stage, gates = judge(DISCOVERY | changes | {"watched_p": 0.001})
    assert (stage, position_size(stage, gates, synthetic=False)) == ("PAPER", 0.0)


def test_nothing_is_listed_where_nobody_watched():
    assert "watched_p" not in {gate.name for gate in judge(DISCOVERY)[1]}


NAMES = sorted({r.name for r in REQUIREMENTS} | {"beta"})


@given(
    st.fixed_dictionaries({name: st.none() | st.floats(-1.0, 200.0) for name in NAMES}),
    st.floats(0.0, 1.0),
)
def test_watching_lifts_to_validation_at_most(figures, p):
    """A good look never lowers what gates of the days give below VALIDATION; a bad one lifts none.

    Judging the figures of its gates again gives the same stage.
    """
    alone = judge(figures | {"watched_p": None})[0]
    stage, gates = judge(figures | {"watched_p": p})
    rank = STAGES.index
    assert rank(stage) <= max(rank("VALIDATION"), rank(alone))
    if p < 0.04:
        assert rank(stage) >= min(rank(alone), rank("VALIDATION"))
    else:
        assert rank(stage) <= rank(alone)
    again = figures | {gate.name: gate.value for gate in gates}
    assert judge(again)[0] == stage


def test_looks_are_those_of_the_rules():
    assert LOOKS == (90, 180, 270, 360)
