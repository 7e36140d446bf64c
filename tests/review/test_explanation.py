"""Sentences about a configuration, from a row written by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.results.jsonable import dumps
from pipeline.results.records import ConfigurationEvent
from pipeline.review.explanation import explain
from pipeline.review.next_step import track_record_needed
from pipeline.training.rules import VERSION, changes_since
from pipeline.validation.statistics import minimum_track_record_length, moments, sharpe_test
from support.judged import judged_row
from support.parameters import DEPTH, SPREAD, STOP


def configuration(stage=None, synthetic=False, statistics=None, **figures):
    """A row whose gates and stage follow from its figures."""
    oos = {"net_profit": 0.123, "sharpe_ratio": 2.0, "sample_size": 120, "n_days": 240}
    known = {
        "p_value": 0.01,
        "z_score": 2.326,
        "reality_check_p": 0.02,
        "surrogate_p": 0.01,
        "beta": 0.0,
    }
    known |= {"parameter_spread": {}} | (statistics or {})
    oos |= {name: value for name, value in figures.items() if name in oos}
    known |= {name: value for name, value in figures.items() if name not in oos}
    return judged_row(oos, known, stage, synthetic=synthetic)


def gate(explanation, stage, name):
    (found,) = [g for g in explanation.gates if (g.stage, g.name) == (stage, name)]
    return found


def moves(**figures):
    return explain(configuration(**figures)).moves


def caveat(words, **statistics):
    (found,) = [c for c in explain(configuration(statistics=statistics)).caveats if words in c]
    return found


LIVE = "not asked: other markets, fill rate, adverse selection"
SURE = (
    "it earned out of sample and beats luck: luck finds a combination as good in only 20 of 1,000"
    " cases."
)
UNSURE = "it earned out of sample, and whether it beats luck is not known yet"
NOTHING = "it earned out of sample and was not shown to beat luck, so trade nothing"
LOST = "it lost on days that no search had seen: trade nothing."


@pytest.mark.parametrize(
    ("figures", "badge", "said"),
    [
        ({}, f"MATURE (beats luck: yes; {LIVE}), size 1", SURE),
        (
            {"reality_check_p": 0.2, "fill_rate": 0.9},
            "VALIDATION (beats luck: not known yet, a stricter test is not passed; not asked:"
            " other markets, adverse selection), size 0.5",
            f"{UNSURE}: luck finds a combination as good in 200 of 1,000 cases, under 50 are"
            " needed.",
        ),
        (
            {"p_value": 0.06, "fill_rate": 0.9, "adverse_selection_score": 0, "fdr_q_value": 0.01},
            "VALIDATION (beats luck: not known yet, a stricter test is not passed), size 0.5",
            f"{UNSURE}: luck alone earns as much in 60 of 1,000 cases, under 50 are needed.",
        ),
        (
            {"sharpe_ratio": 1.0},
            f"VALIDATION (beats luck: yes; {LIVE}), size 0.5",
            f"{SURE} It is not enough for the full size yet.",
        ),
        (
            {"surrogate_p": 0.2},
            "DISCOVERY (beats luck: no, luck alone does as well too often), size 0",
            f"{NOTHING}: the search does as well on candles without an edge in 200 of 1,000 cases.",
        ),
        (
            {"sample_size": 12},
            "DISCOVERY (beats luck: not known yet, too few trades), size 0.25",
            f"{UNSURE}: 12 trades, 30 are needed.",
        ),
        (
            {"sample_size": 1, "synthetic": True},
            "SYNTHETIC DISCOVERY (beats luck: not known yet, too few trades), size 0",
            f"{UNSURE}: 1 trade, 30 are needed.",
        ),
        (
            {"sample_size": 20, "surrogate_p": None},
            "DISCOVERY (beats luck: not known yet, too few trades), size 0",
            f"{UNSURE}, so trade nothing: 20 trades, 30 are needed.",
        ),
        (
            {"surrogate_p": None},
            "DISCOVERY (beats luck: not known yet, nobody tested it), size 0",
            f"{UNSURE}, so trade nothing: nobody tested it.",
        ),
        (
            {"statistics": {"excess_net_profit": -0.1}},
            f"MATURE (beats luck: yes; {LIVE}), size 1",
            f"{SURE} It earned less than holding the market.",
        ),
        (
            {"statistics": {"excess_net_profit": 0.1}},
            f"MATURE (beats luck: yes; {LIVE}), size 1",
            f"{SURE} It earned more than holding the market.",
        ),
        (
            {"net_profit": -0.01, "p_value": 0.6, "surrogate_p": None, "excess_net_profit": -0.1},
            "PAPER (beats luck: no, it lost), size 0",
            f"{LOST} Holding the market did better.",
        ),
        (
            {"net_profit": -0.01, "excess_net_profit": 0.1},
            "PAPER (beats luck: no, it lost), size 0",
            f"{LOST} Holding the market did worse.",
        ),
        (
            {"beta": 0.9, "alpha_p": 0.3, "surrogate_p": None},
            "DISCOVERY (beats luck: no, holding the market explains what it earned), size 0",
            f"{NOTHING}: holding the market explains what it earned.",
        ),
        (
            {"fdr_q_value": 0.3},
            "DISCOVERY (beats luck: no, too many markets were tried), size 0",
            f"{NOTHING}: so many markets were tried that luck finds one like it.",
        ),
        ({"net_profit": -0.01}, "PAPER (beats luck: no, it lost), size 0", LOST),
        ({"synthetic": True}, f"SYNTHETIC MATURE (beats luck: yes; {LIVE}), size 0", SURE),
    ],
)
def test_the_verdict(figures, badge, said):
    assert explain(configuration(**figures)).verdict == f"{badge}: {said}"


@pytest.mark.parametrize(
    ("stage", "name", "sentence"),
    [
        (
            "PAPER",
            "net_profit",
            "net profit out of sample is +12.3 %, at least 0 % is needed: passed",
        ),
        (
            "MATURE",
            "sharpe_ratio",
            "annualised Sharpe ratio out of sample is 1.2, more than 1.5 is needed: failed",
        ),
        (
            "DISCOVERY",
            "sample_size",
            "number of trades out of sample is 120, at least 30 is needed: passed",
        ),
        ("PAPER", "fill_rate", "share of orders filled is known only from live orders: skipped"),
        (
            "MATURE",
            "reality_check_p",
            "p-value of the whole search (reality check) was not tested, or is undefined. What"
            " is not tested does not pass: failed",
        ),
        (
            "DISCOVERY",
            "surrogate_p",
            "p-value of the search against candles without an edge was not tested. It is"
            " tested only if every other gate of VALIDATION passes, apart from the number of"
            " trades. What is not tested does not pass: failed",
        ),
        (
            "DISCOVERY",
            "alpha_p",
            "p-value of alpha (what holding the market does not explain) is 0.3, less than 0.05 is"
            " needed only if the strategy follows the market; this one does not: skipped",
        ),
    ],
)
def test_gates_in_words(stage, name, sentence):
    figures = {"reality_check_p": None, "surrogate_p": None, "beta": 0.1, "alpha_p": 0.3}
    found = explain(configuration(sharpe_ratio=1.2, **figures))
    assert gate(found, stage, name).sentence == sentence


def test_a_failed_gate_knows_how_far_it_is():
    found = explain(configuration(net_profit=-0.047, sharpe_ratio=0.2))
    assert gate(found, "PAPER", "net_profit").shortfall == pytest.approx(0.047)
    assert gate(found, "MATURE", "sharpe_ratio").shortfall == pytest.approx(1.3)
    assert gate(found, "MATURE", "p_value").shortfall is None


def test_the_next_stage_comes_first():
    paper, discovery, mature, *_ = moves(net_profit=-0.047, sample_size=10, reality_check_p=0.5)
    assert paper == "To leave PAPER: net profit out of sample must rise from -4.7 % to 0 %."
    assert discovery.startswith("To leave DISCOVERY: 20 more trades out of sample: ")
    assert mature.startswith("To become MATURE: 91 more trades out of sample: ")
    assert mature.endswith("(reality check) must fall from 0.5 below 0.05.")


def test_missing_trades_in_days_at_the_rate_so_far():
    (sentence, *_) = moves(sample_size=21, n_days=150)
    assert sentence == (
        "To leave DISCOVERY: 9 more trades out of sample: at the rate so far (21 in 150 days) that"
        " takes 65 more days of history."  # 9 * 150 / 21 = 64.3
    )
    (sentence, *_) = moves(sample_size=0, n_days=1)
    assert "30 more trades out of sample; there was none in 1 day, so no rate" in sentence


def test_the_minimum_track_record_length_in_days():
    (sentence, *_) = moves(p_value=0.2, z_score=0.8416, n_days=101)
    # 1 + 100 * (1.6449 / 0.8416)^2 = 382.99
    assert "that takes 383 days out of sample" in sentence
    assert "282 more than there are" in sentence


def test_no_record_helps_a_loss():
    (sentence, *_) = moves(p_value=0.7, z_score=-0.5)
    assert "the average day out of sample earned nothing or lost" in sentence


@pytest.mark.parametrize("seed", range(3))
def test_the_track_record_is_the_one_of_the_moments(seed):
    daily = np.random.default_rng(seed).standard_t(4, 200) * 0.01 + 0.003
    sharpe, skew, kurtosis = moments(daily)
    expected = minimum_track_record_length(sharpe, skew, kurtosis, 0.0, 0.05)
    z = sharpe_test(daily).z_score
    assert track_record_needed(z, 200, 0.05) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("whole_history", "grid_size", "hint"),
    [
        ({}, 201_600, "must be known: train with validation.evidence=full."),
        ({}, None, "must be known: train with validation.evidence=full."),
        ({}, 10_000_001, "more than 10,000,000 combinations, and this one has 10,000,001; train"),
        ({"days": 90, "admissible": 3}, 201_600, "on enough different days; that takes more"),
        # Searched for the surrogates alone.
        ({"days": 90, "surrogates": {"permuted": 99}}, 201_600, "with validation.evidence=full."),
    ],
)
def test_an_unknown_reality_check_says_how_to_know_it(whole_history, grid_size, hint):
    known = {"whole_history": whole_history}
    row = configuration(reality_check_p=None, statistics=known)
    assert hint in explain(row, grid_size=grid_size).moves[0]


def test_at_the_top_there_is_only_down():
    first, last = moves()
    assert first == "There is no higher stage."
    assert last.endswith("(scripts/monitor) can only lower the stage.")


def event(from_stage, to_stage):
    at = datetime(2023, 5, 6, tzinfo=UTC)
    return ConfigurationEvent("c", "monitor", from_stage, to_stage, "It lost.", {}, at=at)


def test_what_monitoring_moved_is_told_with_its_reason():
    found = explain(
        configuration(stage="DECAY"), [event("MATURE", "DECAY"), event("DECAY", "DECAY")]
    )
    assert found.verdict == (
        "DECAY, size 0: it earned once, and stopped on newer candles: trade nothing. Monitoring"
        " lowered it from MATURE to DECAY on 2023-05-06: It lost."
    )
    assert found.moves[0].startswith("The gates above are those of its discovery: ")


def look(days, last_day, from_stage="DISCOVERY", net_profit=-0.1, at=6, failed="net_profit"):
    """A look at newer days from 2023-05-01 on, which saw a gate of PAPER fail."""
    new = {"net_profit": net_profit, "n_days": days, "sample_size": 7}
    gates = [{"stage": "PAPER", "name": failed, "passed": False}] if failed else []
    figures = {"new": new, "gates": gates, "first_day": "2023-05-01", "last_day": last_day}
    moment, to_stage = datetime(2023, 9, at, tzinfo=UTC), "PAPER" if failed else from_stage
    return ConfigurationEvent("c", "monitor", from_stage, to_stage, "L.", figures, at=moment)


ON_NEWER = "on the newer candles since (91 days, 2023-05-01 to 2023-07-30): trade nothing."


@pytest.mark.parametrize(
    ("net_profit", "failed", "said"),
    [(-0.1, "net_profit", f"and lost {ON_NEWER}"), (0.0, "sharpe_ratio", "earned too little on")],
)
def test_what_lost_on_newer_days_alone_is_not_laid_to_the_days_before(net_profit, failed, said):
    """A later look at fewer days changes no reason."""
    lowered = look(91, "2023-07-30", net_profit=net_profit, failed=failed)
    again = look(31, "2023-05-31", "PAPER", at=7)
    row = configuration(stage="PAPER", statistics={"excess_net_profit": 0.1})
    verdicts = [explain(row, events).verdict for events in ([lowered], [lowered, again])]
    for verdict in verdicts:
        assert "it earned out of sample and " in verdict
        assert said in verdict
        assert "no search had seen" not in verdict
        assert "than holding" not in verdict  # which is of the days out of sample
    first = [verdict.partition("Monitoring lowered it")[0] for verdict in verdicts]
    assert first[0] == first[1]


def test_what_lost_before_as_well_is_laid_to_the_days_before():
    row = configuration(net_profit=-0.01, p_value=0.6, surrogate_p=None)
    assert LOST in explain(row, [look(91, "2023-07-30", "PAPER")]).verdict
    low = configuration(sharpe_ratio=0.3, p_value=0.4, surrogate_p=None)
    assert "does not earn enough on days that no search" in explain(low).verdict


def test_days_that_came_since_stand_beside_those_that_it_takes():
    seen = [look(91, "2023-07-30", failed=""), look(31, "2023-05-31", failed="", at=7)]
    row = configuration(surrogate_p=0.2, p_value=0.2, z_score=0.8416, n_days=101, sample_size=21)
    moves = explain(row, seen).moves
    assert "282 more than there are" in moves[1]
    assert "a new training, which has the 91 days with 7 trades since: " in " ".join(moves)
    assert "Monitored on 2023-09-06: L." in moves  # the one that reaches furthest


def test_a_look_that_moved_nothing_is_told_too():
    found = explain(configuration(), [event("MATURE", "MATURE")])
    assert "Monitored on 2023-05-06: It lost." in found.moves


def reported(day=7, **figures):
    at = datetime(2023, 5, day, tzinfo=UTC)
    return ConfigurationEvent("c", "execution", "MATURE", "PAPER", "Live.", figures, at=at)


def test_too_few_fills_are_told_as_what_they_are():
    found = explain(configuration(fill_rate=0.2), [reported(fill_rate=0.2)])
    assert found.verdict == (
        "PAPER (beats luck: yes), size 0: too few of its live orders were filled: trade nothing."
        " Live"
        " orders keep it there: share of orders filled (live orders, reported on 2023-05-07) is"
        " 20.0 %, at least 70.0 % is needed."
    )
    assert (
        found.moves[0] == "To leave PAPER: share of orders filled must rise from 20.0 % to 70.0 %."
    )
    assert "A later report of better live orders lifts it again" in " ".join(found.moves)
    assert "onitored" not in " ".join(found.moves)


def test_adverse_selection_is_told_as_what_it_is():
    found = explain(
        configuration(adverse_selection_score=0.45),
        [reported(6, adverse_selection_score=0.45), reported(7, fill_rate=0.9)],
    )
    assert found.verdict == (
        "VALIDATION (beats luck: yes; not asked: other markets, fill rate), size 0.5: it earned"
        " out"
        " of sample and beats luck, but prices went against its live orders. Live orders keep it"
        " there: adverse selection score (live orders, reported on"
        " 2023-05-06) is 0.45, less than 0.3 is needed."
    )


def test_live_orders_are_not_blamed_for_what_the_candles_said():
    found = explain(configuration(net_profit=-0.1, fill_rate=0.2), [reported(fill_rate=0.2)])
    assert "it lost on days that no search had seen" in found.verdict
    assert "Live orders keep it there: share of orders filled" in found.verdict


def test_slippage_moves_nothing():
    found = explain(configuration(), [reported(slippage=0.01)])
    assert found.verdict.endswith(SURE)
    assert "Slippage is kept with the configuration; no gate asks for it." in found.moves


def test_a_switch_is_no_look_at_newer_candles():
    at = datetime(2023, 5, 8, tzinfo=UTC)
    switch = ConfigurationEvent("c", "activated", "MATURE", "MATURE", "A dry run.", {}, at=at)
    assert explain(configuration(), [switch]) == explain(configuration())


def test_what_monitoring_found_is_not_laid_to_live_orders():
    events = [event("MATURE", "PAPER"), reported(fill_rate=0.9)]
    found = explain(configuration(stage="PAPER", fill_rate=0.9), events)
    assert "Monitoring lowered it from MATURE to PAPER on 2023-05-06: It lost." in found.verdict
    assert "Live orders keep" not in found.verdict
    first, training, paper = found.moves
    assert first.startswith("The gates above are those of its discovery and of live orders: ")
    assert "A new training lifts it again" in training
    assert "scripts/paper" in paper


def test_p_alone_does_not_count_the_markets():
    assert "it does not know how many markets" in caveat("p = 0.01 is of one")
    assert caveat("false-discovery rate", fdr_q_value=0.08).endswith("rate is 0.08.")


def test_pbo_never_stands_alone():
    found = caveat("backtest overfitting", pbo=0.2, p_oos_loss=0.72)
    assert "overfitting 0.2; the chosen combination loses out of sample in 72.0 % of" in found
    never = caveat("backtest overfitting", pbo=0.0, p_oos_loss=0.0)
    assert "loses out of sample in none of the splits" in never  # which is no certainty
    told = explain(configuration(statistics={"pbo": 0.2, "p_oos_loss": None})).caveats
    assert not any("overfitting" in sentence for sentence in told)


def test_the_deflated_sharpe_ratio_is_a_band():
    found = caveat("Deflated", deflated_sharpe_ratio={"low": 0.1, "high": 0.93})
    assert "winner: 0.1 to 0.93, by whether" in found


def test_parameters_that_moved_over_the_windows():
    spread = {
        DEPTH: {"min": 0.0005, "median": 0.001, "max": 0.002},
        STOP: {"min": 2.0, "median": 2.0, "max": 2.0},
        SPREAD: {"min": 5.0, "median": None, "max": None},
    }
    found = caveat("did not agree", parameter_spread=spread)
    assert "pierce_depth 0.0005 to 0.002 (median 0.001)" in found
    assert "max_spread_tolerance 5 to off (median off)" in found
    assert STOP not in found


def test_ambiguous_exits_and_bands():
    ambiguous = caveat("both stop", ambiguous_exit_share=0.04, net_profit_target_first=0.2)
    assert ambiguous.startswith("4.0 % of the trades out of sample ended in a candle")
    assert ambiguous.endswith("the net profit would be +20.0 %.")
    none = caveat("both stop", ambiguous_exit_share=0.0, net_profit_target_first=0.1)
    assert none.startswith("No trade out of sample")
    band = caveat("Without any edge", monte_carlo_var=0.05, monte_carlo_drawdown=0.08)
    assert "lose 5.0 % or more" in band


def test_whatever_is_missing_is_said_to_be_missing():
    told = explain(configuration(reality_check_p=None, surrogate_p=None)).caveats
    assert any("The reality check over the whole search is missing" in one for one in told)
    assert any(
        "holds, the trades aside: nothing here speaks against luck in it." in one for one in told
    )


@pytest.mark.parametrize(
    ("p", "meaning", "against"),
    [
        (0.02, "a share so small says that something", "only the reality check speaks against"),
        (0.05, "with a share so large luck is enough", "nothing here speaks against"),
    ],
)
def test_the_reality_check_speaks_only_when_it_is_small(p, meaning, against):
    told = " ".join(explain(configuration(reality_check_p=p, surrogate_p=None)).caveats)
    assert meaning in told
    assert against in told


@pytest.mark.parametrize(
    ("p", "drawn", "words"),
    [
        (1 / 41, {"permuted": 40, "bar_flipped": 40}, "never found a best 1 % as good (40 perm"),
        (3 / 41, {"permuted": 40, "bar_flipped": 40}, "in at most 7.3 % of all cases (40 perm"),
        (
            4 / 33,
            {"permuted": 99, "bar_flipped": 33},
            "as good in 4 of 33, where the drawing stops",
        ),
        (20 / 25, {"permuted": 25, "bar_flipped": 40}, "in at most 80.0 % of all cases (25 perm"),
    ],
)
def test_surrogates_are_counted(p, drawn, words):
    """With what they keep of the candles."""
    found = caveat("search repeated", surrogate_p=p, whole_history={"surrogates": drawn})
    assert words in found
    assert "Permuted candles are the same bars in random order: they keep the drift." in found
    assert "and lose the drift." in found
    assert "left out" not in found


def test_surrogates_of_what_rides_the_market_keep_the_drift():
    drawn = {"surrogates": {"permuted": 99}}
    found = caveat("search repeated", surrogate_p=0.02, whole_history=drawn)
    assert "Candles without the drift were left out" in found
    assert "Flipped" not in found
    decided = {"surrogates": {"permuted": 33}}  # by the first kind, whatever the second would say
    found = caveat("search repeated", surrogate_p=4 / 33, whole_history=decided)
    assert "left out" not in found
    rides = caveat("search repeated", surrogate_p=4 / 33, whole_history=decided, beta=0.9)
    assert "left out" in rides


def test_surrogates_come_when_every_other_gate_holds():
    figures = {"surrogate_p": None, "beta": 0.9, "alpha_p": 0.3}
    (sentence, *_) = moves(**figures)
    assert sentence == (
        "To leave DISCOVERY: p-value of alpha (what holding the market does not explain) must fall"
        " from 0.3 below 0.05; p-value of the search against candles without an edge must be"
        " known: it is computed once every other gate of VALIDATION holds, the trades aside."
    )


def test_the_drawdown_that_happened_stands_beside_the_band():
    row = configuration(statistics={"monte_carlo_var": 0.05, "monte_carlo_drawdown": 0.077})
    oos = row.out_of_sample | {"max_drawdown": 0.23, "n_days": 1470}
    told = explain(replace(row, out_of_sample=oos)).caveats
    assert (
        "That band is of 30 days. Over its whole record of 1,470 days the strategy drew down"
        " 23.0 %." in told
    )


def test_without_a_promise_there_is_no_efficiency():
    told = {"walk_forward_efficiency": None}
    assert "Walk-forward" not in " ".join(explain(configuration(statistics=told)).caveats)
    found = caveat("Walk-forward", walk_forward_efficiency=0.4)
    assert found == "Walk-forward efficiency: 40.0 % of the promised net profit a year came."
    lost = caveat("Walk-forward", walk_forward_efficiency=-0.4)
    assert "a loss came in place of the promised profit, -40.0 % of the" in lost


def test_one_window_says_nothing_of_agreement():
    """A train-test split has one search to agree with itself."""
    figures = {"parameter_spread": {STOP: {"min": 2.0, "median": 2.0, "max": 2.0}}}
    for windows, words in ((1, "There was one window"), (8, "Every window's search chose")):
        choices = {STOP: {"chosen_in": windows, "windows": windows, "edge": None}}
        assert caveat(words, **figures, parameter_choices=choices)


def test_invented_candles_come_first():
    assert (
        explain(configuration(synthetic=True)).caveats[0].startswith("The candles were generated")
    )


def test_rules_that_changed_since_are_a_caveat():
    """A training of an earlier build names no version of the rules."""
    earlier = configuration()
    today = replace(earlier, provenance={"rules_version": VERSION})
    (words,) = set(explain(earlier).caveats) - set(explain(today).caveats)
    assert words.startswith(f"{len(changes_since({}))} rules changed since this training")


def test_json_holds_every_sentence():
    found = explain(configuration())
    assert dumps(found.to_dict()).count('"sentence"') == len(found.gates) + 1 == 13


@pytest.mark.parametrize("stage", ["DISCOVERY", "VALIDATION"])
def test_a_record_of_earlier_rules_is_not_said_to_beat_luck(stage):
    today = configuration()
    gates = [gate for gate in today.gates if gate["name"] != "surrogate_p"]
    found = explain(replace(today, lifecycle_stage=stage, gates=gates))
    assert found.size == 0.0
    assert "Its search was never held against candles without an edge" in found.verdict


@pytest.mark.parametrize("stood_in", [0, 7])
def test_payments_that_stood_in_are_told_where_there_were_any(stood_in):
    funding = {"source": "x", "known": 93, "stood_in": stood_in, "stand_in_rate": 2e-4, "gaps": []}
    told = explain(replace(configuration(), provenance={"funding": funding})).caveats
    sentences = [c for c in told if "7 payments" in c and "0.0002" in c]
    assert len(sentences) == (stood_in > 0)
