"""What to do now follows from the row, its events and the day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.results.records import FOLLOWED, MONITOR, WATCH, ConfigurationEvent
from pipeline.review.next_step import next_step
from pipeline.validation.stages import gates_from
from support.judged import judged_row

#: Figures of a MATURE configuration; a z-score of 2.33 after 240 days.
SURE = {
    "net_profit": 0.2,
    "sharpe_ratio": 2.0,
    "sample_size": 120,
    "n_days": 240,
    "p_value": 0.01,
    "z_score": 2.326,
    "reality_check_p": 0.02,
    "surrogate_p": 0.01,
    "beta": 0.0,
}
#: Kept with the daily figures out of sample; all others are statistics.
_DAILY = ("net_profit", "sharpe_ratio", "sample_size", "n_days")


def row(stage=None, synthetic=False, is_active=False, **figures):
    """A row whose gates and stage follow from its figures."""
    known = SURE | figures
    daily = {name: known[name] for name in _DAILY}
    statistics = {name: value for name, value in known.items() if name not in _DAILY}
    return judged_row(daily, statistics, stage, synthetic=synthetic, is_active=is_active)


def opened(at):
    return ConfigurationEvent(
        configuration_id="x",
        kind=FOLLOWED,
        at=at,
        from_stage="DISCOVERY",
        to_stage="DISCOVERY",
        reason="opened",
        figures={},
    )


@pytest.mark.parametrize(
    ("action", "figures"),
    [
        ("watch", {}),
        ("watch", {"is_active": True}),  # nobody has watched it: a switch shows nothing
        ("drop", {"synthetic": True}),
        ("drop", {"stage": "DECAY"}),
        ("drop", {"net_profit": -0.1, "z_score": -1.0}),
        ("drop", {"sample_size": 0, "net_profit": 0.0, "z_score": None}),
        ("drop", {"beta": 0.9, "alpha_p": 0.3, "surrogate_p": None}),
        ("wait", {"sample_size": 20}),
        ("wait", {"fill_rate": 0.2}),
        ("watch", {"surrogate_p": 0.2}),
        # 240 days at z = 1: (1.645 / 1)² times as many, 647; that is 407 more.
        ("wait", {"surrogate_p": 0.2, "z_score": 1.0, "p_value": 0.159}),
        # At z = 0.5 ten times as many: 2,347 more, which is more than five years.
        ("drop", {"surrogate_p": 0.2, "z_score": 0.5, "p_value": 0.309}),
        # Every other search on candles without an edge comes out as well: no days mend that.
        ("wait", {"surrogate_p": 0.49, "z_score": 1.0, "p_value": 0.159}),
        ("drop", {"surrogate_p": 0.5, "z_score": 1.0, "p_value": 0.159}),
    ],
)
def test_the_action(action, figures):
    assert next_step(row(**figures)).action == action


def test_what_was_watched_for_a_month_is_traded():
    now = datetime.now(UTC)
    late, early = (opened(now - timedelta(days=days)) for days in (30, 29))
    assert next_step(row(), [late]).action == "trade"
    step = next_step(row(is_active=True), [early])
    assert (step.action, f"{now + timedelta(days=1):%Y-%m-%d}" in step.sentence) == ("watch", True)


def test_what_was_edited_is_mended_first():
    assert next_step(row(is_active=True), (), ("stage is not what was stored",)).action == "mend"


def test_what_may_not_be_traded_is_switched_off():
    step = next_step(row(is_active=True, net_profit=-0.1, z_score=-1.0))
    assert (step.action, step.sentence.partition(":")[0]) == ("drop", "Switch it off")


def test_days_and_dates():
    """Trades are missing at the rate so far; an account is looked at last after 360 full days."""
    few = next_step(row(sample_size=20)).sentence  # 10 more at 20 in 240 days
    assert "120 more days" in few
    assert "10 more trades" in few
    waits = next_step(row(surrogate_p=0.2, z_score=1.0, p_value=0.159)).sentence
    assert "1.1 more years" in waits  # 407 days
    watched = next_step(row(surrogate_p=0.2), [opened(datetime(2026, 1, 10, 8, tzinfo=UTC))])
    assert "2027-01-06" in watched.sentence  # from 2026-01-11 on 360 days


def test_the_first_look_that_is_long_enough():
    """A look judges its days alone, at a level of 0.01: all four together have 0.04."""
    # z = 2.326 after 240 days is p = 0.01: 240 days alone show as much, so the look of 270.
    step = next_step(row(surrogate_p=0.2))
    assert (step.action, "270 days" in step.sentence) == ("watch", True)
    # 1 + 239 (2.326 / 2.2)² = 268.2 days, the same look; at 1.9 it is that of 360, and at 1.8 none.
    assert "270 days" in next_step(row(surrogate_p=0.2, z_score=2.2)).sentence
    assert "360 days" in next_step(row(surrogate_p=0.2, z_score=1.9)).sentence
    assert next_step(row(surrogate_p=0.2, z_score=1.8)).action == "train"


def test_a_look_with_too_few_trades_says_nothing():
    """A look asks for 30 trades: 25 in 240 days are 30 in 288, so that of 360; 19 in 240 none."""
    few = {"surrogate_p": 0.2, "z_score": 2.326}
    assert "360 days" in next_step(row(sample_size=25, **few)).sentence
    step = next_step(row(sample_size=19, **few))  # 11 more trades take 139 days
    assert (step.action, "139 more days" in step.sentence) == ("wait", True)


def test_what_misses_the_sharpe_ratio_gets_it_from_no_day_like_these():
    """0.49 a year over 8 years: z = 1.4, and 3.0 years more would make it 1.645."""
    slow = {"sharpe_ratio": 0.49, "z_score": 1.4, "p_value": 0.081, "n_days": 2922}
    assert next_step(row(surrogate_p=None, **slow)).action == "drop"
    assert next_step(row(surrogate_p=0.2, **slow | {"sharpe_ratio": 0.6})).action == "wait"


def test_rules_of_before_version_3_have_no_size():
    """Without its gate against luck a row is trained anew."""
    sure = row(reality_check_p=0.2)
    gates = [gate for gate in gates_from(sure.gates) if gate.name != "surrogate_p"]
    old = replace(sure, gates=[gate.to_dict() for gate in gates])
    assert old.lifecycle_stage == "VALIDATION"
    assert next_step(old).action == "train"


def looked(days, trades, last="2026-03-01", to_stage="DISCOVERY", **figures):
    """A look of monitoring at some newer days."""
    new = {"n_days": days, "sample_size": trades, "net_profit": -0.1}
    event = replace(opened(datetime(2026, 3, 2, tzinfo=UTC)), kind=MONITOR, to_stage=to_stage)
    return replace(event, figures={"new": new, "first_day": "x", "last_day": last} | figures)


def test_days_that_newer_looks_have_seen_are_not_waited_for():
    """408 more days: 100 of them were seen, then all; a shorter look after them takes none back."""
    slow = row(surrogate_p=0.2, z_score=1.0, p_value=0.159)
    long, short = looked(100, 40), looked(30, 12, "2025-12-21")
    for events in ([long], [long, short]):
        step = next_step(slow, events)
        assert (step.action, "308 more days" in step.sentence) == ("wait", True)
    assert [next_step(slow, [looked(days, 40)]).action for days in (407, 408)] == ["wait", "train"]
    assert "1 more day:" in next_step(slow, [looked(407, 40)]).sentence
    # 2,347 more days are more than five years, and 1,500 of them came.
    late = row(surrogate_p=0.2, z_score=0.5, p_value=0.309)
    assert next_step(late, [looked(1_500, 40)]).action == "wait"


def test_trades_that_newer_looks_have_seen_are_not_waited_for():
    """20 in 240 days and 5 in 60: 5 more take 60 days. With 10 in the newer days none lacks."""
    few = row(sample_size=20)
    assert "60 more days of history, for 5 more trades" in next_step(few, [looked(60, 5)]).sentence
    assert next_step(few, [looked(60, 10)]).action == "train"


@pytest.mark.parametrize(
    ("trades", "action", "more"),
    [
        (0, "wait", "250 more days"),  # 5 lack, at 25 in 1,250 days
        (4, "wait", "44 more days"),  # 1 lacks, at 29 in 1,250 days
        (5, "train", "with the 1010 days"),
    ],
)
def test_newer_days_without_trades_do_not_bring_those_that_lack(trades, action, more):
    """408 more days beat luck and came, but of 30 trades 25 are there."""
    slow = row(surrogate_p=0.2, z_score=1.0, p_value=0.159, sample_size=25)
    step = next_step(slow, [looked(1_010, trades)])
    assert (step.action, more in step.sentence.replace(",", "")) == (action, True), step.sentence


def test_what_newer_days_lowered_waits_for_no_more_days_like_the_old_ones():
    slow = row(surrogate_p=0.2, z_score=1.0, p_value=0.159, stage="PAPER")
    assert next_step(slow, [looked(100, 40, to_stage="PAPER")]).action == "train"


def test_what_has_no_size_is_nowhere_told_to_be_traded():
    """Monitoring lowers a stage and leaves the gates: a quarter was allowed until then."""
    assert "at most a quarter" in next_step(row(sample_size=20)).sentence
    lowered = next_step(row(sample_size=20, stage="PAPER"))
    assert (lowered.action, "Trade nothing" in lowered.sentence) == ("watch", True)


def test_what_no_further_day_answers_is_trained_anew():
    """Its days beat luck long since, and it rose and fell: the days that lifted it do so once."""
    rise = replace(opened(datetime(2026, 1, 10, 8, tzinfo=UTC)), kind=WATCH)
    assert next_step(row(stage="PAPER"), [rise]).action == "train"
