"""The Studio draws the numbers of a figure, and no others."""

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.report import figures
from pipeline.report.candles import by_day, panels
from pipeline.report.echart import is_known, option
from pipeline.report.heatmap import heatmap
from pipeline.report.page import fixed_figures
from pipeline.report.performance import Excursions, excursion_figure
from pipeline.report.spread import colour
from pipeline.results.artifacts.artifact_set import DailySeries, NullDistribution, ScoreSurface
from pipeline.validation.sequential import live_band
from support.backtest import make_candles


def milliseconds(date):
    return int(np.datetime64(date, "ms").astype(np.int64))


def of(drawn):
    made = option(drawn)
    return made.get("baseOption", made)


def drawn_numbers(trace, series):
    """Rows of a series beside the values of its trace, where those are points."""
    x = trace["x"]
    if isinstance(x[0], str) and x[0][4:5] == "-":
        x = [None if moment is None else milliseconds(moment) for moment in x]
    return [list(row[:2]) for row in series["data"]], [
        list(pair) for pair in zip(x, trace["y"], strict=True)
    ]


def test_every_number_of_the_report_is_drawn(report):
    made = fixed_figures(report, report.artifacts)
    assert set(made) >= {"equity", "drawdown", "windows", "promises", "spread", "holding"}
    compared = 0
    for drawn in made.values():
        assert is_known(drawn)
        for trace, series in zip(drawn["data"], of(drawn)["series"], strict=True):
            assert series["name"] == trace.get("name", "")
            if trace["type"] != "heatmap":
                ours, theirs = drawn_numbers(trace, series)
                assert ours == theirs
                compared += len(ours)
    assert compared > 500


def test_a_cell_has_its_value_and_the_colour_of_its_place(report):
    drawn = fixed_figures(report, report.artifacts)["spread"]
    names, written = set(), 0
    for trace, series in zip(drawn["data"][:2], of(drawn)["series"][:2], strict=True):
        for x, y, text, fill, shown in series["data"]:
            i, j = trace["y"].index(y), trace["x"].index(x)
            assert text == shown == trace["customdata"][i][j]
            assert fill == f"rgb{colour(trace['z'][i][j])}"
            names.add(y)
            written += 1
        cells = [cell for row in trace["z"] for cell in row if cell is not None]
        assert len(series["data"]) == len(cells)
    assert written > 0
    assert names <= set(report.configuration.parameters)


def test_an_edge_of_a_band_is_stacked_to_its_own_height():
    equity = np.array([1.01, 0.99, 1.02])
    promised = np.random.default_rng(1).normal(0.001, 0.01, 400)
    band = live_band(promised, promised[:3], seed=1, n_paths=50).band
    drawn = figures.paper_equity(np.arange(3, dtype=np.int32), equity, band)
    low, high, *_ = of(drawn)["series"]
    assert low["stack"] == high["stack"]
    assert high["encode"]["y"] == 2
    stacked = [under[1] + row[2] for under, row in zip(low["data"], high["data"], strict=True)]
    assert stacked == pytest.approx(drawn["data"][1]["y"])


def test_a_bar_with_a_width_lies_where_the_axis_says():
    null = NullDistribution(1.5, np.array([0.0, 1.0, 2.0, 4.0]), None, {})
    drawn = figures.null_distribution(null)
    bars = drawn["data"][0]
    for row, x, y in zip(of(drawn)["series"][0]["data"], bars["x"], bars["y"], strict=True):
        assert row == pytest.approx([x, y, x - bars["width"] / 2, x + bars["width"] / 2, 0.0, y])


def test_panels_share_their_time_and_each_has_its_axis():
    candles = make_candles([(100.0, 102.0, 99.0, 101.0)] * 100)
    gap = (int(candles.timestamp[10]), int(candles.timestamp[20]))
    made = of(panels(by_day(candles), [gap], "Gaps"))
    assert len(made["grid"]) == len(made["xAxis"]) == len(made["yAxis"]) == 4
    assert len({(axis["min"], axis["max"]) for axis in made["xAxis"]}) == 1
    assert [series["yAxisIndex"] for series in made["series"]] == [0, 0, 1, 2, 3]
    assert made["series"][-1]["data"] == ((gap[0], 0, *gap, 0, 1),)


def test_a_trade_lies_at_its_excursions():
    trades = np.array([(0.1,), (-0.1,), (0.2,)], [("ret", "f8")])
    ran = Excursions(np.array([0.01, 0.02, 0.03]), np.array([0.04, 0.05, 0.06]))
    gained, lost = of(excursion_figure(trades, ran))["series"]
    assert gained["data"] == ((1.0, 4.0, "trade 1"), (3.0, 6.0, "trade 3"))
    assert lost["data"] == ((2.0, 5.0, "trade 2"),)
    assert gained["symbol"] != lost["symbol"]


def test_what_plotly_alone_draws_is_told():
    assert not is_known({"data": [{"type": "surface"}], "layout": {}})


def test_a_heatmap_has_the_colours_of_its_values_and_a_bar_that_tells_them():
    table = np.array([[1.0, 3.0], [np.nan, np.inf]])
    scores = ScoreSurface({"a": [1.0, 2.0], "b": [0.1, 0.2]}, {"score": table.T})
    made = of(heatmap(scores, "a", "b", stored={"a": 2.0, "b": 0.1}))
    cells, stored = made["series"]
    assert [(*row[:2], row[3], row[4]) for row in cells["data"]] == [
        ("1", "0.1", "rgb(68, 1, 84)", ""),
        ("2", "0.1", "rgb(253, 231, 37)", ""),
        ("2", "0.2", "rgb(253, 231, 37)", "∞"),  # nothing was lost: as bright as the best
    ]
    assert stored["data"] == (("2", "0.1"),)
    assert (made["visualMap"]["min"], made["visualMap"]["max"]) == (1.0, 3.0)
    assert made["visualMap"]["text"] == ["3", "1"]


def test_a_trace_without_a_point_is_drawn_empty(report):
    made = [
        *fixed_figures(report, report.artifacts).values(),
        figures.null_distribution(NullDistribution(1.5, np.array([0.0, 4.0]), 1.0, {})),
        panels(by_day(make_candles([(100.0, 102.0, 99.0, 101.0)] * 100)), [], "Gaps"),
        figures.sharpe_ratios([]),
        figures.discoveries([]),
    ]
    for drawn in made:
        data = [
            t | {k: [] for k in ("x", "y", "text", "base", "customdata") if k in t}
            for t in drawn["data"]
        ]
        assert [series["data"] for series in of(drawn | {"data": data})["series"]] == [()] * len(
            data
        )


@pytest.mark.parametrize(
    ("first", "last", "form", "ticks"),
    [
        ("2024-01-01", "2024-01-04", "{d} {MMM}", ["2024-01-0" + d for d in "1234"]),
        (
            "2023-04-08",
            "2023-12-03",
            "{yyyy}-{MM}",
            [f"2023-{m}-01" for m in ("05", "07", "09", "11")],
        ),
        ("2017-11-23", "2024-04-19", "{yyyy}", [f"{year}-01-01" for year in range(2018, 2025)]),
        ("2024-01-01", "2024-01-01", "{d} {MMM}", ["2024-01-01"]),
    ],
)
def test_times_stand_at_whole_days_months_or_years(first, last, form, ticks):
    line = {"type": "scatter", "mode": "lines", "x": [first, last], "y": [0.0, 1.0]}
    data = [{**line, "line": {"color": "red"}}]
    axis = option({"data": data, "layout": {"xaxis": {"type": "date"}}})["xAxis"][0]
    assert axis["axisLabel"]["customValues"] == [milliseconds(day) for day in ticks]
    assert axis["axisTick"]["customValues"] == axis["axisLabel"]["customValues"]
    assert axis["axisLabel"]["formatter"] == form


def test_a_name_of_a_legend_is_not_broken_over_rows():
    """Three names of 206 pixels: one a row where there are 330, which two rows would hold."""
    names = [f"{letter}: binance:BTC/USDT:1h" for letter in "ABC"]
    line = {"type": "scatter", "mode": "lines", "x": ["2024-01-01"], "y": [0.0], "line": {}}
    data = [{**line, "name": name, "line": {"color": "red"}} for name in names]
    made = option({"data": data, "layout": {"xaxis": {"type": "date"}, "showlegend": True}})
    tops = {m["query"]["maxWidth"]: m["option"]["grid"][0]["top"] for m in made["media"][:-1]}
    assert tops == {1100: 12 + 22, 700: 12 + 2 * 22, 550: 12 + 3 * 22}


def test_a_day_alone_has_its_width():
    made = of(panels(by_day(make_candles([(100.0, 102.0, 99.0, 101.0)] * 24)), [], "Gaps"))
    (axis, *_) = made["xAxis"]
    assert axis["max"] - axis["min"] == DAY_MS
    (bar,), (before, middle, after) = (made["series"][place]["data"] for place in (0, 2))
    assert bar[-4:] == (axis["min"], axis["max"], 99.0, 102.0)
    assert (before[0], middle[0], after[0]) == (axis["min"], bar[0], axis["max"] - 1)
    assert made["series"][0]["encode"]["x"][0] == 0  # what is pointed at is the middle of a day


def test_an_account_may_be_older_than_its_band():
    promised = np.random.default_rng(1).normal(0.001, 0.01, 400)
    found = live_band(promised, promised, seed=1, n_paths=50)
    day = np.arange(400, dtype=np.int32)
    *band, paper = of(figures.paper_equity(day, found.equity, found.band))["series"]
    assert len(paper["data"]) == 401
    assert {len(series["data"]) for series in band} == {len(found.band.median) + 1}


def test_prices_of_one_decade_have_a_plain_axis():
    near, far = (
        of(
            panels(
                by_day(make_candles([(1.0, top, 1.0, top)] * 24 + [(1.0, 1.0, 1.0, 1.0)] * 24)),
                [],
                "Gaps",
            )
        )
        for top in (2.0, 1000.0)
    )
    assert near["yAxis"][0]["type"] == "value"
    assert far["yAxis"][0]["type"] == "log"


def test_a_logarithmic_axis_has_its_labels_in_percent():
    day = np.arange(2, dtype=np.int32)
    series = DailySeries(day, np.array([-0.5, 0.0]), None, np.array([9.0, 9.0]))
    (axis,) = of(figures.equity(series, series))["yAxis"]
    assert axis["axisLabel"]["customValues"] == axis["axisTick"]["customValues"]
    assert axis["axisLabel"][":formatter"].startswith("studioFigures.named(...[[-0.3")
    assert "+9,900 %" in axis["axisLabel"][":formatter"]
    assert axis["min"] < np.log10(0.5)
    assert axis["max"] > 2.0
