"""Figures as a run prints them at its end."""

import math

import numpy as np
import pytest

from pipeline.cli.console import Console
from pipeline.training.summary import _show_gates
from pipeline.validation.record_tables import statistic_rows
from pipeline.validation.stages import judge
from pipeline.validation.wording import defined, price


class Tables(Console):
    """Keeps the rows of what would be printed."""

    def table(self, title, columns, rows):
        self.rows = {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("net_profit_target_first", 0.0678, "+6.8 %"),
        ("monte_carlo_var", 0.1164, "11.6 %"),
        ("monte_carlo_drawdown", 0.2, "20.0 %"),
        ("ambiguous_exit_share", 0.0, "0 %"),
        ("stability_score", 0.948, "94.8 %"),
        ("reality_check_p", 0.000999, "0.000999"),
        ("walk_forward_efficiency", 0.4, "0.4"),
        ("alpha", 0.0321, "+3.2 %"),
        ("excess_net_profit", -0.39, "-39.0 points"),
        ("time_in_market", 0.055, "5.5 %"),
        ("beta", 0.45, "0.45"),
        ("pbo", None, "undefined"),
    ],
)
def test_fractions_are_percentages(name, value, written):
    ((row_name, shown, _),) = statistic_rows({name: value}, {})
    assert (row_name, shown) == (name, written)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (12_345_678.9, "12,345,679"),
        (1e16, "10,000,000,000,000,000"),
        (67_012.5, "67,012.5"),
        (1_234.5678, "1,234.568"),
        (0.00001234, "0.00001234"),
        (100.0, "100"),
        (0.0, "0"),
    ],
)
def test_a_price_has_no_exponent(value, written):
    assert price(np.float64(value)) == price(value) == written


def test_gates_of_fractions_are_percentages():
    console = Tables()
    _, gates = judge({"net_profit": -0.047, "sharpe_ratio": -0.77})
    _show_gates(console, [gate for gate in gates if gate.stage == "PAPER"])
    assert console.rows["net_profit"][:2] == ("-4.7 %", ">= 0 %")
    assert console.rows["sharpe_ratio"][:2] == ("-0.77", ">= 0.5")
    assert console.rows["fill_rate"][:2] == ("-", ">= 70.0 %")


def test_a_profit_factor_without_a_loss_is_undefined():
    assert defined(math.nan, ".2f") == "-"
    assert defined(1.5, ".2f") == "1.50"


@pytest.mark.parametrize(
    ("figures", "name", "outcome"),
    [
        ({}, "surrogate_p", "FAILED (not computed)"),
        ({"surrogate_p": 0.2}, "surrogate_p", "FAILED"),
        ({"alpha_p": 0.4, "beta": 0.1}, "alpha_p", "skipped (not asked)"),
        ({}, "fdr_q_value", "skipped (unknown)"),
    ],
)
def test_a_gate_says_why_it_is_open_or_failed(figures, name, outcome):
    console = Tables()
    _show_gates(console, judge(figures)[1])
    assert console.rows[name][-1] == outcome


def test_a_run_in_which_nothing_trades_ends_in_a_sentence(here):
    words = ("market=demo_null", "market.timeframe=1d", "validation.train=200", "optimizer=random")
    run = here(*words, "strategy=capitulation_reversal")
    assert run.status == 0
    assert "In none of 5 windows" in run.out
    assert "nothing stored" in run.out
    assert "Sharpe" not in run.out
