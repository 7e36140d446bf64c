"""What a person is told of a record, from figures made by hand."""

import pytest

from pipeline.validation.remarks import Record, facts, warnings

SIDES = {
    "long": {"trades": 139, "net_profit": 0.14, "sharpe_ratio": 0.3},
    "short": {"trades": 139, "net_profit": 0.24, "sharpe_ratio": 0.5},
}
METRICS = {"net_profit": 0.41, "sharpe_ratio": 0.53, "max_drawdown": 0.23, "n_days": 1470}


def record(statistics=None, *, in_sample=None, pair="BTC/USDT", synthetic=False, **parameters):
    return Record(parameters, in_sample or {}, METRICS, statistics or {}, pair, synthetic)


def only(sentences):
    (sentence,) = sentences
    return sentence


def test_a_record_without_figures_says_nothing():
    assert list(facts(record())) == []


def test_the_days_of_the_windows():
    days = [
        {"train": ["2023-01-01", "2023-03-31"], "test": ["2023-04-08", "2023-05-07"]},
        {"train": ["2023-01-01", "2023-04-30"], "test": ["2023-05-08", "2023-06-06"]},
        {"train": ["2023-01-01", "2023-05-30"], "test": ["2023-06-07", "2023-07-06"]},
    ]
    assert only(facts(record({"window_days": days}))) == (
        "3 windows: the first trained on 2023-01-01 to 2023-03-31, tested on 2023-04-08 to"
        " 2023-05-07; the last on 2023-01-01 to 2023-05-30, tested on 2023-06-07 to 2023-07-06."
    )
    assert only(facts(record({"window_days": days[:1]}))) == (
        "One window: trained on 2023-01-01 to 2023-03-31, tested on 2023-04-08 to 2023-05-07."
    )


def test_a_configuration_that_lost_where_it_was_chosen():
    lost = record(in_sample={"net_profit": -0.031})
    assert only(warnings(lost)) == (
        "The stored configuration lost 3.1 % on the very days that it was chosen on: the search"
        " found nothing better there."
    )
    assert list(warnings(record(in_sample={"net_profit": 0.0}))) == []


def test_shorts_of_a_spot_market():
    before, after = only(warnings(record({"sides": SIDES}))).split(" The longs alone")
    assert before == (
        "139 of the 278 trades out of sample (50.0 %) were shorts, which need a margin loan on a"
        " spot market: nothing was charged for it, and costs.borrow_rate charges a fraction a"
        " day."
    )
    assert after == (
        " made +14.0 %, the shorts alone +24.0 %. To search for longs alone, train with"
        " risk.direction=long: it is one more search."
    )


def test_liquidations_are_told_where_there_were_any():
    assert only(warnings(record({"liquidations": 3}))) == (
        "3 positions out of sample lost the whole margin: the leverage closed them, not the"
        " strategy."
    )
    assert list(warnings(record({"liquidations": 0}))) == []


def test_what_the_loan_cost_and_what_was_left_without_shorts():
    paid = {"gross_net_profit": 1.2, "fees": 0.3, "slippage": 0.15, "funding": 0.0, "borrow": 0.02}
    alone = {"trades": 151, "net_profit": 0.12, "sharpe_ratio": 0.31, "max_drawdown": 0.2}
    told = only(warnings(record({"sides": SIDES, "costs": paid, "long_alone": alone})))
    assert ": it cost 2.0 % of the equity (costs.borrow_rate). The longs alone" in told
    assert " The same choices without any short, on the same days, made +12.0 % in 151" in told


@pytest.mark.parametrize("market", [{"pair": "BTC/USDT:USDT"}, {"synthetic": True}])
def test_shorts_elsewhere(market):
    assert list(warnings(record({"sides": SIDES}, **market))) == []


def test_longs_alone_need_no_warning():
    sides = SIDES | {"short": {"trades": 0, "net_profit": 0.0, "sharpe_ratio": 0.0}}
    assert list(warnings(record({"sides": sides}))) == []


CHOICES = {
    "depth": {"chosen_in": 0, "windows": 8, "edge": "low"},
    "stop": {"chosen_in": 5, "windows": 8, "edge": None},
    "spread": {"chosen_in": 0, "windows": 8, "edge": None},
    "width": {"chosen_in": None, "windows": 8, "edge": "high"},  # of real numbers
}


def test_what_no_window_chose_and_what_lies_on_an_edge():
    told = record({"parameter_choices": CHOICES}, depth=0.001, stop=2.0, spread=None, width=1.5)
    assert only(warnings(told)) == (
        "Not one of the 8 windows chose what is stored as depth=0.001, spread=off: its evidence is"
        " of other values."
    )
    assert next(facts(told)).startswith(
        "Stored at an end of its range: depth=0.001 (low), width=1.5 (high). "
    )


def test_of_what_lost_no_wider_range_is_proposed():
    told = record({"parameter_choices": {"width": CHOICES["width"]}}, width=1.5)
    lost = told._replace(out_of_sample=METRICS | {"net_profit": -0.1})
    ((more,), (less,)) = facts(told), facts(lost)
    assert "one more search" in more
    assert less == "Stored at an end of its range: width=1.5 (high)."


@pytest.mark.parametrize(("trades", "warned"), [(29, 1), (30, 0)])
def test_a_choice_on_few_trades(trades, warned):
    assert len(list(warnings(record(in_sample={"sample_size": trades})))) == warned


@pytest.mark.parametrize(("p", "warned"), [(0.049, 1), (0.05, 0), (None, 0)])
def test_earlier_searches_warn_where_p_would_convince(p, warned):
    earlier = record({"p_value": p, "earlier_searches": {"count": 3, "p_after": p and 0.2}})
    assert len(list(warnings(earlier))) == warned
    assert len(list(facts(earlier))) == 1


def test_without_a_winning_window_no_value_was_refused():
    choices = {"depth": {"chosen_in": 0, "windows": 0, "edge": None}}
    assert list(facts(record({"parameter_choices": choices}, depth=0.001))) == []


def test_earlier_searches_and_what_they_do_to_p():
    earlier = {"p_value": 0.04, "earlier_searches": {"count": 3, "p_after": 0.1507}}
    assert only(warnings(record(earlier))).startswith(
        "3 other searches of this market and these days were stored in the database before. If this"
        " one was picked as the best of all, its p is not 0.04 but up to 0.151. "
    )
    one = {"p_value": None, "earlier_searches": {"count": 1, "p_after": None}}
    assert only(facts(record(one))) == (
        "1 other search of this market and these days was stored in the database before."
    )
    damaged = {"p_value": 0.04, "earlier_searches": {"count": 0, "p_after": 0.04}}
    damaged["earlier_searches"] |= {"uncounted": ["A", "B"]}
    assert only(warnings(record(damaged))).startswith("2 stored configurations of this market")
    none = {"p_value": 0.04, "earlier_searches": {"count": 0, "p_after": 0.04}}
    assert list(warnings(record(none))) == []


@pytest.mark.parametrize(
    ("low", "high", "end"),
    [
        (-0.4, 1.46, "from -0.4 to 1.46: no edge at all is well within it."),
        (0.1, 0.96, "from 0.1 to 0.96."),
        (-2.0, -0.1, "from -2 to -0.1: it lost more than luck explains."),
    ],
)
def test_the_interval_of_the_sharpe_ratio(low, high, end):
    told = only(facts(record({"sharpe_interval": {"low": low, "high": high}})))
    assert told == f"The Sharpe ratio out of sample is 0.53, and its 95 % interval goes {end}"


def held(**figures):
    hold = {"net_profit": 0.8, "sharpe_ratio": 0.9, "max_drawdown": 0.35}
    known = {"hold": hold, "excess_net_profit": -0.39, "time_in_market": 0.31}
    return list(facts(record(known | figures)))


def test_holding_the_same_days():
    beside, explained = held(beta=0.45, alpha=0.032, alpha_p=0.3)
    assert beside == (
        "Buying and holding made +80.0 % on the same days, with a drawdown of 35.0 %. The strategy"
        " made +41.0 %, 39.0 percentage points less, with a drawdown of 23.0 %, and had a position"
        " 31.0 % of the time."
    )
    assert explained == (
        "Beta is 0.45: it rides the market. What holding does not explain, alpha, is +3.2 % a"
        " year, not compounded (p = 0.3)."
    )


@pytest.mark.parametrize(
    ("beta", "words"),
    [(0.2, "it goes its own way"), (0.21, "it rides"), (-0.21, "it rides"), (-0.2, "its own way")],
)
def test_what_rides_the_market(beta, words):
    _, explained = held(beta=beta, alpha=0.01, alpha_p=None)
    assert words in explained
    assert "p =" not in explained


def test_an_undefined_beta_is_not_told():
    assert len(held(beta=None, alpha=None, alpha_p=None)) == 1


def test_closed_trades_beside_the_equity_as_it_was():
    closed = {"net_profit": 0.41, "sharpe_ratio": 0.61, "max_drawdown": 0.1}
    told = only(facts(record({"closed": closed})))
    assert "the drawdown would be 10.0 % in place of 23.0 %, the Sharpe ratio 0.61" in told
    same = closed | {"max_drawdown": 0.21}  # hardly less
    assert list(facts(record({"closed": same}))) == []


def test_costs_in_shares_of_equity():
    costs = {"gross_net_profit": 1.2, "fees": 0.3, "slippage": 0.15, "funding": 0.0}
    told = only(facts(record({"costs": costs})))
    assert told == (
        "Without costs the same trades would have made +120.0 % in place of +41.0 %: fees took"
        " 30.0 % and slippage 15.0 % of the equity, summed over the trades."
    )
    perpetual = only(facts(record({"costs": costs | {"funding": -0.02}})))
    assert "slippage 15.0 %, funding -2.0 % of the equity" in perpetual
    spot = only(facts(record({"costs": costs | {"borrow": 0.01}})))
    assert "slippage 15.0 %, borrowing for shorts 1.0 % of the equity" in spot
    none = record({"costs": costs})._replace(out_of_sample={"sample_size": 0, "net_profit": 0.0})
    assert list(facts(none)) == []  # without a trade nothing was paid


def test_results_by_year_where_there_are_several():
    years = [
        {"year": 2022, "net_profit": -0.12, "hold_net_profit": -0.64},
        {"year": 2023, "net_profit": 0.05, "hold_net_profit": 1.55},
    ]
    assert only(facts(record({"years": years}))) == (
        "By year, holding in brackets: 2022 -12.0 % (-64.0 %), 2023 +5.0 % (+155.0 %)."
    )
    assert list(facts(record({"years": years[:1]}))) == []
