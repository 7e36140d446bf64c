"""Figures of a record as tables, from figures made by hand."""

import pytest

from pipeline.validation.record_tables import evidence, record_tables, statistic_rows

OUT = {
    "net_profit": 0.41,
    "sharpe_ratio": 0.53,
    "sortino_ratio": None,
    "max_drawdown": 0.23,
    "calmar_ratio": 0.4,
    "sample_size": 278,
    "win_rate": 0.311,
    "profit_factor": 1.2,
    "n_days": 1470,
}
BASIC = {"net_profit": 0.41, "sharpe_ratio": 0.53, "max_drawdown": 0.23}
YEAR = {"year": 2022, "days": 300, "trades": 70, **BASIC, "hold_net_profit": -0.64}
STATISTICS = {
    "closed": BASIC | {"max_drawdown": 0.1},
    "hold": {"net_profit": 0.8, "sharpe_ratio": 0.9, "max_drawdown": 0.35},
    "sharpe_interval": {"low": -0.4, "high": 1.46},
    "years": [YEAR],
    "costs": {"gross_net_profit": 1.2, "fees": 0.3, "slippage": 0.15, "funding": 0.0},
    "sides": {
        "long": {"trades": 139, "net_profit": 0.14, "sharpe_ratio": 0.3},
        "short": {"trades": 139, "net_profit": 0.24, "sharpe_ratio": 0.5},
    },
    "parameter_choices": {"depth": {"chosen_in": 3, "windows": 8, "edge": "low"}},
}


def table(title, statistics=STATISTICS, parameters=None):
    made = record_tables(OUT, OUT, statistics, parameters)
    (found,) = [one for one in made if title in one.title]
    return found


def test_the_evidence_stands_beside_closed_trades_holding_and_the_promise():
    columns, rows = table("Evidence")[1:]
    assert columns == ("metric", "out of sample", "by closed trades", "buy and hold", "in sample")
    assert rows[:3] == [
        ("net profit", "+41.0 %", "+41.0 %", "+80.0 %", "+41.0 %"),
        ("Sharpe ratio", "0.53", "0.53", "0.90", "0.53"),
        ("its 95 % interval", "-0.40 to 1.46", "", "", ""),
    ]
    assert ("days", "1,470", "", "", "1,470") in rows
    assert rows[3] == ("Sortino ratio", "-", "", "", "-")
    assert ("largest drawdown", "23.0 %", "10.0 %", "35.0 %", "23.0 %") in rows


def test_of_no_trade_there_is_no_win_rate():
    traded, none = (evidence(None, OUT | {"sample_size": n}, {}).rows for n in (1, 0))
    assert ("win rate", "31.1 %") in traded
    assert ("win rate", "-") in none


def test_closed_trades_that_show_the_same_have_no_column():
    same = BASIC | {"max_drawdown": 0.230001}  # as it is written
    assert "by closed trades" not in evidence(None, OUT, {"closed": same}).columns


def test_the_record_of_an_earlier_build_has_its_metrics_alone():
    (only,) = record_tables(None, OUT, {}, None)
    assert only.columns == ("metric", "out of sample")
    assert len(only.rows) == 9


@pytest.mark.parametrize(
    ("title", "row"),
    [
        ("year by year", ("2022", "300", "70", "+41.0 %", "0.53", "23.0 %", "-64.0 %")),
        ("Costs", ("net profit had nothing been paid", "+120.0 %")),
        ("Costs", ("slippage paid", "15.0 %")),
        ("Longs and shorts", ("shorts", "139", "+24.0 %", "0.50")),
        ("Stored parameters", ("depth", "0.001", "3 of 8", "low")),
    ],
)
def test_a_row_of_each_table(title, row):
    assert row in table(title, parameters={"depth": 0.001}).rows


def test_the_long_side_alone_stands_beside_the_whole():
    alone = {"trades": 151, "net_profit": 0.12, "sharpe_ratio": 0.31, "max_drawdown": 0.2}
    columns, rows = table("Evidence", STATISTICS | {"long_alone": alone})[1:]
    column = columns.index("without shorts")
    cells = {row[0]: row[column] for row in rows}
    assert (cells["net profit"], cells["Sharpe ratio"], cells["trades"]) == (
        "+12.0 %",
        "0.31",
        "151",
    )
    assert (cells["largest drawdown"], cells["win rate"]) == ("20.0 %", "")


def test_a_side_that_was_never_traded_has_no_row():
    never = STATISTICS["sides"] | {"short": {"trades": 0, "net_profit": 0.0, "sharpe_ratio": 0.0}}
    assert [row[0] for row in table("Longs and shorts", {"sides": never}).rows] == ["longs"]


def test_off_the_grid_no_neighbours_are_scored():
    rows = statistic_rows({"stability_score": None, "p_value": None}, OUT)
    assert [name for name, *_ in rows] == ["p_value"]


def test_a_range_of_real_numbers_counts_no_window():
    choices = {"depth": {"chosen_in": None, "windows": 8, "edge": None}}
    made = table("Stored", {"parameter_choices": choices}, {"depth": 0.00123, "spread": None})
    assert made.rows == [("depth", "0.00123", "-", ""), ("spread", "off", "-", "")]


def test_funding_is_shown_where_it_was_paid_or_received():
    assert [name for name, _ in table("Costs").rows if "funding" in name] == []
    costs = {"costs": STATISTICS["costs"] | {"funding": -0.02}}
    assert ("funding paid", "-2.0 %") in table("Costs", costs).rows
    loan = {"costs": STATISTICS["costs"] | {"borrow": 0.01}}
    assert ("borrowing for shorts paid", "1.0 %") in table("Costs", loan).rows


def test_the_band_of_thirty_days_names_the_drawdown_that_happened():
    ((_, value, words),) = statistic_rows({"monte_carlo_drawdown": 0.077}, OUT)
    assert value == "7.7 %"
    assert words.endswith("; the whole record drew down 23.0 %")
    assert "over 30 days" in words


@pytest.mark.parametrize(
    ("earlier", "end"),
    [
        ({"count": 0, "p_after": 0.04}, "decide no stage"),
        ({"count": 3, "p_after": 0.1507}, "of the best of all, p is at most 0.151"),
        ({"count": 3, "p_after": None}, "decide no stage"),
        ({"count": 0, "p_after": 0.04, "uncounted": ["A"]}, "cannot be read: A"),
    ],
)
def test_earlier_searches_are_the_last_row(earlier, end):
    *_, (name, value, words) = statistic_rows({"p_value": 0.04, "earlier_searches": earlier}, OUT)
    assert (name, value) == ("earlier_searches", str(earlier["count"]))
    assert words.endswith(end)
