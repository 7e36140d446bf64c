"""Every number in a figure is a stored one."""

import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline.report import figures
from pipeline.report.candle_chart import Units
from pipeline.report.performance import Excursions, excursion_figure, holding_figure
from pipeline.report.spread import parameter_spread
from pipeline.report.theme import dressed, template
from pipeline.report.trades import trades_on_candles
from pipeline.results.artifacts.artifact_set import DailySeries, NullDistribution
from pipeline.validation.sequential import live_band

WINDOW = {
    "train": ["2023-01-01", "2023-01-31"],
    "test": ["2023-02-01", "2023-02-10"],
    "parameters": {"a": 2.0, "b": None},
    "in_sample": {"sharpe_ratio": 3.0},
    "out_of_sample": {"sharpe_ratio": 1.0},
}
BARREN = WINDOW | {"parameters": None, "in_sample": None, "out_of_sample": {"sharpe_ratio": 0.0}}


def trace(figure, name):
    (found,) = [t for t in figure["data"] if t.get("name", "").startswith(name)]
    return found


def test_equity_ends_at_the_stored_net_profits(report):
    drawn = figures.equity(report.artifacts.in_sample, report.artifacts.out_of_sample)
    row = report.configuration
    assert trace(drawn, "out of sample")["y"][-1] == pytest.approx(row.out_of_sample["net_profit"])
    assert trace(drawn, "in sample")["y"][-1] == pytest.approx(row.in_sample["net_profit"])


def test_the_deepest_drawdown_is_the_stored_one(report):
    drawn = figures.drawdown(report.artifacts.in_sample, report.artifacts.out_of_sample)
    row = report.configuration
    lowest = {name: -min(trace(drawn, name)["y"]) for name in ("out of sample", "in sample")}
    assert lowest["out of sample"] == pytest.approx(row.out_of_sample["max_drawdown"])
    assert lowest["in sample"] == pytest.approx(row.in_sample["max_drawdown"])


def test_equity_has_a_point_for_every_day():
    series = DailySeries(np.array([0, 1], np.int32), np.array([0.1, -0.5]))
    drawn = figures.equity(series, series)
    assert drawn["data"][0]["x"] == ["1970-01-01", "1970-01-02"]
    assert drawn["data"][0]["y"] == pytest.approx([0.1, -0.45])


def held(profits, hold):
    """Equity beside holding, each by its net profit at the end of each day."""
    equities = [np.array([0.0, *each]) + 1.0 for each in (profits, hold)]
    own, market = (each[1:] / np.where(each[:-1], each[:-1], 1.0) - 1.0 for each in equities)
    series = DailySeries(np.arange(len(own), dtype=np.int32), own, None, market)
    return figures.equity(series, series)


def test_what_holding_would_dwarf_is_drawn_by_growth():
    """The strategy lost half and earned it again while the market rose to 160 times its price."""
    drawn = held([-0.5, 0.0, -0.49], [9.0, 159.0, 99.0])
    own, market = drawn["data"][0], drawn["data"][2]
    assert own["y"] == pytest.approx(np.log10([0.5, 1.0, 0.51]).tolist(), abs=1e-5)
    assert market["y"] == pytest.approx(np.log10([10.0, 160.0, 100.0]).tolist(), abs=1e-5)
    assert own["customdata"] == pytest.approx([-0.5, 0.0, -0.49])
    assert own["hovertemplate"] == "%{x}: %{customdata:,.1%}"
    axis = drawn["layout"]["yaxis"]
    assert axis["title"]["text"].endswith("logarithmic")
    places = {text: 10.0**at for text, at in zip(axis["ticktext"], axis["tickvals"], strict=True)}
    assert places["-50 %"] == pytest.approx(0.5)
    assert places["0 %"] == 1.0
    assert places["+9,900 %"] == pytest.approx(100.0)
    assert 10.0 ** axis["range"][0] < 0.5
    assert 10.0 ** axis["range"][1] > 160.0


def test_an_account_that_lost_all_is_cut_at_the_bottom():
    drawn = held([-0.5, -1.0, -1.0], [9.0, 159.0, 99.0])
    assert drawn["data"][0]["y"] == pytest.approx([np.log10(0.5), -3.0, -3.0], abs=1e-5)
    assert drawn["data"][0]["customdata"] == [-0.5, -1.0, -1.0]
    assert drawn["layout"]["yaxis"]["ticktext"][0] == "-99.9 %"


def test_no_axis_of_profit_goes_below_a_total_loss():
    deep, shallow = held([-0.8, -0.7], [0.5, 0.2]), held([-0.1, 0.2], [0.5, 0.2])
    assert deep["layout"]["yaxis"]["range"] == [-1.0, None]
    assert "range" not in shallow["layout"]["yaxis"]
    assert deep["data"][0]["y"] == pytest.approx([-0.8, -0.7])


def test_what_is_no_number_is_a_gap():
    day, daily = np.arange(3, dtype=np.int32), np.array([0.1, np.nan, 0.1])
    series = DailySeries(day, daily, None, np.array([0.0, 9.0, np.inf]))
    drawn = figures.equity(series, series)["data"]
    assert drawn[0]["y"] == [pytest.approx(np.log10(1.1), abs=1e-5), None, None]
    assert drawn[2]["customdata"] == [0.0, 9.0, None]


def test_the_two_series_differ_in_more_than_colour():
    series = DailySeries(np.array([0], np.int32), np.array([0.1]))
    dashes = [t["line"]["dash"] for t in figures.equity(series, series)["data"]]
    assert dashes == ["solid", "dash"]


def test_holding_and_closed_trades_stand_beside_the_series():
    day, marked = np.array([0, 1], np.int32), np.array([-0.1, 0.3])
    hold, closed = np.array([0.05, -0.05]), np.array([0.0, 0.17])
    series = DailySeries(day, marked, closed, hold)
    drawn = figures.equity(DailySeries(day, marked), series)
    assert trace(drawn, "buy and hold")["y"] == pytest.approx([0.05, -0.0025])
    assert trace(drawn, "by closed trades")["y"] == pytest.approx([0.0, 0.17])
    assert len({t["line"]["dash"] for t in drawn["data"]}) == 4
    deepest = figures.drawdown(DailySeries(day, marked), series)
    assert trace(deepest, "buy and hold")["y"] == pytest.approx([0.0, -0.05])
    same = DailySeries(day, marked, marked.copy(), hold)
    assert len(figures.equity(series, same)["data"]) == 3


def test_a_loss_on_the_first_day_is_a_drawdown():
    assert figures.drawdown_curve(np.array([-0.1, 0.05])) == pytest.approx([-0.1, -0.055])


def test_a_window_is_drawn_to_the_end_of_its_last_day():
    drawn = figures.window_spans([WINDOW])
    assert trace(drawn, "train")["x"] == ["2023-01-01", "2023-02-01", None]
    assert trace(drawn, "test")["x"] == ["2023-02-01", "2023-02-11", None]


def test_windows_show_promise_and_outcome():
    drawn = figures.window_metric([WINDOW, BARREN])
    assert trace(drawn, "promised")["y"] == [3.0, None]
    assert trace(drawn, "out of sample")["y"] == [1.0, 0.0]


NULL = NullDistribution(
    observed=3.0,
    maxima=np.array([1.0, 1.0, 2.0, 2.0]),
    best=2.5,
    surrogates={"permuted": np.array([0.5, -np.inf])},
)


def test_luck_is_drawn_in_shares_with_the_found_value_in_it():
    drawn = figures.null_distribution(NULL)
    assert sum(trace(drawn, "bootstrap")["y"]) == pytest.approx(1.0)
    assert sum(trace(drawn, "permuted")["y"]) == pytest.approx(0.5)
    assert trace(drawn, "found")["x"] == [3.0, 3.0]
    assert trace(drawn, "best 1 % of the search")["x"] == [2.5, 2.5]


def test_paper_equity_lies_in_its_band_and_the_band_goes_on():
    promised = np.random.default_rng(1).normal(0.001, 0.01, 100)
    found = live_band(promised, promised[:20], seed=1, n_paths=200)
    day = np.arange(19_358, 19_378, dtype=np.int32)
    drawn = figures.paper_equity(day, found.equity, found.band)
    assert trace(drawn, "paper")["x"][0] == "2023-01-01"
    assert trace(drawn, "paper")["x"][1] == "2023-01-02"  # at the end of the first day
    assert trace(drawn, "paper")["y"] == [0.0, *(pytest.approx(v - 1.0) for v in found.equity)]
    high = trace(drawn, "nine in ten")
    assert (high["x"][0], len(high["x"])) == ("2023-01-01", 21 + figures.AHEAD)
    assert high["y"] == [0.0, *(pytest.approx(v - 1.0) for v in found.band.path_high[:50])]
    assert len(figures.paper_equity(day[:1], found.equity[:1], None)["data"]) == 1
    go.Figure(drawn)


def test_themes_change_the_layout_alone(report):
    drawn = figures.equity(report.artifacts.in_sample, report.artifacts.out_of_sample)
    light, dark = (dressed(drawn, theme) for theme in ("light", "dark"))
    assert light["data"] == dark["data"]
    assert light["layout"]["template"] == template("light") != dark["layout"]["template"]


def test_plotly_knows_every_attribute(report):
    record, row = report.artifacts, report.configuration
    for figure in (
        figures.equity(record.in_sample, record.out_of_sample),
        figures.drawdown(record.in_sample, record.out_of_sample),
        figures.window_spans(record.windows),
        figures.window_metric(record.windows),
        parameter_spread(record.windows, row.parameters, report.searched),
        figures.null_distribution(NULL),
        trades_on_candles(report.candles, record.trades, Units("BTC", "USDT")),
        holding_figure(record.trades),
        excursion_figure(record.trades, Excursions(*np.ones((2, len(record.trades))))),
    ):
        go.Figure(figure)
