"""Months, holding times and excursions of a record, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import END, REASONS, TRADE
from pipeline.market_data.raw import RawCandles
from pipeline.report.performance import (
    compounded,
    excursion_table,
    excursions,
    holding_bars,
    holding_figure,
    holding_table,
    month_table,
    monthly_returns,
)
from pipeline.results.artifacts.artifact_set import DailySeries

HOUR, OPENS = 3_600_000, 1_672_531_200_000
#: Low and high of six bars.
LOW, HIGH = [98.0, 95.0, 97.0, 90.0, 96.0, 85.0], [104.0, 103.0, 112.0, 108.0, 120.0, 130.0]


def candles(low, high, missing=()):
    bar = np.arange(len(low))
    kept = ~np.isin(bar, missing)
    low, high = np.array(low), np.array(high)
    middle = (low + high) / 2.0
    columns = (OPENS + bar * HOUR, middle, high, low, middle, np.ones(len(low)))
    return RawCandles(*(column[kept] for column in columns))


def trade(side, entry_bar, exit_bar, exit_, reason, entry=100.0):
    code, ret = REASONS.index(reason), side * (exit_ - entry) / entry
    row = (side, entry_bar, entry_bar, entry_bar, exit_bar, entry, exit_, code, ret, np.nan, np.nan)
    return np.array([row], TRADE)


@pytest.mark.parametrize(
    ("reason", "exit_", "long", "short"),
    [
        # Bars 1 and 2 were met whole: 95 to 112. Bar 3 goes from 90 to 108.
        ("stop", 93.0, (0.07, 0.12), (0.12, 0.07)),
        ("stop_gap", 99.0, (0.05, 0.12), (0.12, 0.05)),
        ("signal", 99.0, (0.05, 0.12), (0.12, 0.05)),
        ("target_gap", 108.0, (0.05, 0.12), (0.12, 0.05)),
        ("target", 107.0, (0.10, 0.12), (0.12, 0.05)),
        ("target", 92.0, (0.10, 0.12), (0.12, 0.08)),
        ("liquidation", 80.0, (0.20, 0.12), (0.12, 0.20)),
        ("time", 101.0, (0.10, 0.12), (0.12, 0.10)),
        ("end", 101.0, (0.10, 0.12), (0.12, 0.10)),
    ],
)
def test_what_a_trade_met_depends_on_how_it_left(reason, exit_, long, short):
    for side, expected in ((1, long), (-1, short)):
        ran = excursions(candles(LOW, HIGH), trade(side, 1, 3, exit_, reason), OPENS, HOUR)
        assert (*ran.adverse, *ran.favourable) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reason", "exit_", "expected"),
    [("stop", 94.0, (0.06, 0.0)), ("target", 102.0, (0.05, 0.02)), ("end", 99.0, (0.05, 0.03))],
)
def test_a_trade_of_one_bar_met_no_bar_before(reason, exit_, expected):
    ran = excursions(candles(LOW, HIGH), trade(1, 1, 1, exit_, reason), OPENS, HOUR)
    assert (*ran.adverse, *ran.favourable) == pytest.approx(expected)


def test_a_missing_candle_had_no_price():
    rows = candles(LOW, HIGH, missing=(1, 3))
    ran = excursions(rows, trade(1, 1, 3, 101.0, "end"), OPENS, HOUR)
    assert (*ran.adverse, *ran.favourable) == pytest.approx((0.03, 0.12))
    ran = excursions(rows, trade(1, 5, 5, 101.0, "end"), OPENS, HOUR)  # the last row of all
    assert (*ran.adverse, *ran.favourable) == pytest.approx((0.15, 0.30))
    assert len(excursions(rows, np.empty(0, TRADE), OPENS, HOUR).adverse) == 0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_excursions_are_those_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(80, 100, 40), rng.uniform(100, 120, 40)
    missing = rng.choice(40, 6, replace=False)
    edges = np.sort(rng.choice(40, 12, replace=False)).reshape(-1, 2)
    reasons = rng.integers(0, len(REASONS), len(edges))
    made = [
        trade(int(rng.choice([-1, 1])), a, b, float(rng.uniform(85, 115)), REASONS[r])
        for (a, b), r in zip(edges, reasons, strict=True)
    ]
    trades = np.concatenate(made)
    ran = excursions(candles(low, high, missing), trades, OPENS, HOUR)
    for i, one in enumerate(trades):
        bars = [b for b in range(one["entry_bar"], one["exit_bar"]) if b not in missing]
        adverse = [low[b] if one["side"] > 0 else high[b] for b in bars] + [one["exit"]]
        favourable = [high[b] if one["side"] > 0 else low[b] for b in bars] + [one["exit"]]
        last, reason = one["exit_bar"], REASONS[one["reason"]]
        if last not in missing and reason in ("target", "time", "end"):
            adverse.append(low[last] if one["side"] > 0 else high[last])
        if last not in missing and reason in ("time", "end"):
            favourable.append(high[last] if one["side"] > 0 else low[last])
        worst = max([0.0] + [one["side"] * (100.0 - price) / 100.0 for price in adverse])
        best = max([0.0] + [one["side"] * (price - 100.0) / 100.0 for price in favourable])
        assert (ran.adverse[i], ran.favourable[i]) == pytest.approx((worst, best))


def test_days_compound_to_months_and_months_to_years():
    day = np.arange(np.datetime64("2023-12-30"), np.datetime64("2024-03-01")).astype(np.int32)
    returns = np.zeros(len(day))
    returns[:4] = 0.1, -0.5, 0.2, 0.1  # 30 and 31 December, 1 and 2 January
    years = monthly_returns(day, returns)
    assert list(years) == [2023, 2024]
    assert np.flatnonzero(~np.isnan(years[2023])).tolist() == [11]
    assert years[2023][11] == pytest.approx(1.1 * 0.5 - 1.0)
    assert years[2024][:3] == pytest.approx([1.2 * 1.1 - 1.0, 0.0, np.nan], nan_ok=True)
    assert compounded(years[2024]) == pytest.approx(0.32)


def test_the_market_stands_below_each_year():
    day = np.arange(19_358, 19_360, dtype=np.int32)  # the first two days of 2023
    series = DailySeries(day, np.array([0.01, 0.02]), None, np.array([-0.5, 0.0]))
    made = month_table(series)
    assert [row[0] for row in made.rows] == ["2023", "2023 holding"]
    assert [(row[1], row[2], row[13]) for row in made.rows] == [
        ("+3.0 %", "", "+3.0 %"),
        ("-50.0 %", "", "-50.0 %"),
    ]
    assert len(made.columns) == len(made.rows[0]) == 14


def test_a_holding_time_counts_both_bars():
    trades = np.concatenate(
        [trade(1, 1, 3, 101.0, "end"), trade(1, 4, 4, 99.0, "end"), trade(1, 5, 154, 99.0, "end")]
    )
    assert holding_bars(trades).tolist() == [3, 1, 150]
    rows = holding_table(trades, HOUR).rows
    assert rows[0] == ("all", "3", "1 (60 min)", "3 (3.0 h)", "51.33 (2.1 days)", "150 (6.2 days)")
    assert [row[:2] for row in rows] == [("all", "3"), ("gained", "1"), ("lost", "2")]
    (bars,) = holding_figure(trades)["data"]
    assert sum(bars["y"]) == 3
    assert (bars["y"][0], bars["text"][0]) == (2, "1 to 4")
    assert REASONS[END] == "end"


def test_the_table_of_excursions_has_median_and_largest():
    trades = np.concatenate([trade(1, 1, 3, 93.0, "stop"), trade(1, 4, 5, 130.0, "time")])
    table = excursion_table(trades, excursions(candles(LOW, HIGH), trades, OPENS, HOUR))
    assert table.rows[0] == ("all", "2", "11.0 %", "15.0 %", "21.0 %", "30.0 %")
    assert table.rows[1][:3] == ("gained", "1", "15.0 %")
