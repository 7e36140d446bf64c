"""DECAY and PAPER by newer days, on series known by hand (validation rules §6.3)."""

import numpy as np
import pytest

from pipeline.validation.decay import Period, profit_per_day, reassess
from pipeline.validation.sequential import LEVEL, SequentialTest

ROOT_YEAR = np.sqrt(365.0)


def alternating(days, mean, spread):
    """A series of an even number of ``days``, half of them ``spread`` above the mean."""
    return mean + spread * np.tile([1.0, -1.0], days // 2)


def period(daily, trades):
    """A period whose trades together earn what its days do, each as much."""
    total = np.prod(1.0 + daily)
    each = total ** (1.0 / trades) - 1.0 if trades else 0.0
    return Period(np.asarray(daily, float), np.full(trades, each))


GOOD = period(alternating(240, 0.002, 0.01), 100)


def outcomes(found):
    return {gate.name: gate.passed for gate in found.gates if gate.stage == "DECAY"}


def test_days_like_the_discovery_change_nothing():
    found = reassess("MATURE", GOOD, period(alternating(60, 0.002, 0.01), 30))
    assert (found.stage, found.reason) == ("MATURE", "No sign of decay in 30 new trades.")
    assert outcomes(found) == {"rolling_30d_sharpe": True, "net_profit_per_day": True}
    assert found.degradation == pytest.approx(0.0, abs=1e-12)
    assert found.death_signals == {"rolling_30d_sharpe": False, "net_profit_per_day": False}


def test_a_recent_sharpe_below_half_the_lifetime_is_decay():
    # More spread lowers the Sharpe ratio and leaves the profit where it was.
    found = reassess("MATURE", GOOD, period(alternating(30, 0.0022, 0.03), 30))
    assert found.stage == "DECAY"
    assert outcomes(found) == {"rolling_30d_sharpe": False, "net_profit_per_day": True}
    recent, limit = next(
        (g.value, g.threshold) for g in found.gates if g.name == "rolling_30d_sharpe"
    )
    expected = 0.0022 / (0.03 * np.sqrt(30 / 29)) * ROOT_YEAR
    assert recent == pytest.approx(expected, rel=1e-9)
    assert limit == pytest.approx(0.5 * found.lifetime["sharpe_ratio"], rel=1e-12)


@pytest.mark.parametrize(("share", "decays"), [(0.81, False), (0.79, True)])
def test_a_fifth_of_the_profit_per_day_may_be_lost(share, decays):
    daily = alternating(240, 0.002, 0.01)
    wanted = share * profit_per_day(daily)
    new = period(np.full(60, wanted) + 1e-5 * np.tile([1, -1], 30), 30)
    found = reassess("VALIDATION", period(daily, 100), new)
    assert (found.stage == "DECAY") is decays
    assert found.degradation == pytest.approx(1 - share, abs=1e-5)


@pytest.mark.parametrize(("trades", "stage"), [(29, "MATURE"), (30, "DECAY")])
def test_fewer_than_30_new_trades_decide_nothing(trades, stage):
    found = reassess("MATURE", GOOD, period(alternating(30, -0.001, 0.01), trades))
    assert found.stage == stage
    if trades == 29:
        assert found.reason == "29 new trades; 30 are needed to call it decay."
        assert set(outcomes(found).values()) == {None}


def test_compounding_is_not_taken_for_decay():
    """Ten good months quote more profit a day than one good month, at the same pace."""
    daily = alternating(300, 0.004, 0.01)
    plain = (np.prod(1 + daily) - 1) / 300
    month = daily[:30]
    assert (np.prod(1 + month) - 1) / 30 < 0.8 * plain
    assert profit_per_day(month) == pytest.approx(profit_per_day(daily), rel=1e-9)
    assert reassess("MATURE", period(daily, 200), period(month, 30)).stage == "MATURE"


def test_a_lifetime_loss_is_paper_and_not_decay():
    found = reassess("VALIDATION", GOOD, period(alternating(240, -0.004, 0.01), 100))
    assert found.stage == "PAPER"
    assert set(outcomes(found).values()) == {None}  # no positive lifetime Sharpe ratio
    assert found.reason.startswith("lifetime net profit -")


def test_a_low_lifetime_sharpe_is_paper_while_trades_are_few():
    found = reassess("DISCOVERY", GOOD, period(alternating(100, -0.0035, 0.01), 10))
    assert 0 < found.lifetime["sharpe_ratio"] < 1.5
    found = reassess("DISCOVERY", GOOD, period(alternating(120, -0.0038, 0.01), 10))
    assert found.lifetime["sharpe_ratio"] < 0.5
    assert found.stage == "PAPER"


def test_decay_lies_below_paper():
    """Both rows apply: a positive lifetime Sharpe ratio below 0.5, and a month that lost."""
    found = reassess("VALIDATION", GOOD, period(alternating(120, -0.0038, 0.01), 40))
    assert 0 < found.lifetime["sharpe_ratio"] < 0.5
    assert {g.stage for g in found.gates if g.passed is False} == {"DECAY", "PAPER"}
    assert found.stage == "DECAY"


@pytest.mark.parametrize("stage", ["DECAY", "PAPER"])
def test_monitoring_never_lifts(stage):
    found = reassess(stage, GOOD, period(alternating(60, 0.003, 0.01), 50))
    assert found.stage == stage
    assert found.reason == "No sign of decay in 50 new trades. Monitoring never lifts a stage."


def test_a_discovery_that_lost_cannot_decline():
    lost = period(alternating(100, -0.0001, 0.01), 50)
    found = reassess("PAPER", lost, period(alternating(100, 0.001, 0.01), 40))
    assert outcomes(found)["net_profit_per_day"] is None
    assert found.degradation is None


def test_lifetime_metrics_are_of_both_series():
    new = period(alternating(60, -0.001, 0.02), 12)
    found = reassess("MATURE", GOOD, new)
    whole = np.concatenate((GOOD.daily, new.daily))
    assert found.lifetime["n_days"] == 300
    assert found.lifetime["sample_size"] == 112
    assert found.lifetime["net_profit"] == pytest.approx(np.prod(1 + whole) - 1, rel=1e-9)
    sharpe = whole.mean() / whole.std(ddof=1) * ROOT_YEAR
    assert found.lifetime["sharpe_ratio"] == pytest.approx(sharpe, rel=1e-12)


def test_the_last_30_days_reach_back_into_the_discovery():
    new = period(alternating(10, 0.002, 0.01), 30)
    found = reassess("MATURE", GOOD, new)
    days = np.concatenate((GOOD.daily[-20:], new.daily))
    expected = days.mean() / days.std(ddof=1) * ROOT_YEAR
    value = next(g.value for g in found.gates if g.name == "rolling_30d_sharpe")
    assert value == pytest.approx(expected, rel=1e-12)


def test_profit_per_day_compounds_and_survives_ruin():
    assert profit_per_day(np.array([0.1, 0.0, 0.21])) == pytest.approx(1.331 ** (1 / 3) - 1)
    assert profit_per_day(np.array([0.1, -1.0])) == -1.0
    assert profit_per_day(np.zeros(5)) == 0.0


def sequential_gate(found):
    return next(gate for gate in found.gates if gate.name == "sequential_p")


@pytest.mark.parametrize("trades", [3, 40])
def test_an_alarm_is_decay_however_few_trades_there_are(trades):
    test = SequentialTest(statistic=2.5, limit=2.0, p=0.003, alarm_day=12)
    found = reassess("MATURE", GOOD, period(alternating(60, 0.002, 0.01), trades), test)
    assert (found.stage, found.death_signals["sequential_p"]) == ("DECAY", True)
    gate = sequential_gate(found)
    assert (gate.value, gate.threshold, gate.passed) == (0.003, LEVEL, False)
    assert found.reason.startswith("the sequential test raised its alarm: ")


def test_no_alarm_changes_nothing():
    test = SequentialTest(statistic=0.5, limit=2.0, p=0.4)
    found = reassess("MATURE", GOOD, period(alternating(60, 0.002, 0.01), 40), test)
    assert (found.stage, found.death_signals["sequential_p"]) == ("MATURE", False)
    assert sequential_gate(found).passed is True


def test_a_test_that_cannot_say_is_skipped():
    found = reassess(
        "MATURE", GOOD, period(alternating(60, 0.002, 0.01), 40), SequentialTest("too few days")
    )
    assert (found.stage, found.death_signals["sequential_p"]) == ("MATURE", False)
    assert (sequential_gate(found).value, sequential_gate(found).passed) == (None, None)


def test_a_daily_look_shows_both_signs_and_decides_by_neither():
    bad = period(alternating(60, -0.002, 0.03), 60)
    assert reassess("MATURE", GOOD, bad).stage == "DECAY"
    found = reassess("MATURE", GOOD, bad, daily=True)
    assert found.stage == "MATURE"
    assert outcomes(found) == {"rolling_30d_sharpe": None, "net_profit_per_day": None}
    values = [gate for gate in found.gates if gate.stage == "DECAY"]
    assert all(gate.value < gate.threshold for gate in values)
