"""What the picture of candles gathers and draws."""

import json
import math
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline import fetch
from pipeline.cli.console import Console
from pipeline.errors import how_to_install
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.store.levels import StoredSeries
from pipeline.market_data.store.store import EMPTY, save
from pipeline.report import shell
from pipeline.report.candles import by_day, figure, panels, stored_days, write_picture
from support.reports import texts

START, DAY, HOUR = 1_672_531_200_000, 86_400_000, 3_600_000


def regular(bars, source="x", **columns):
    """Hours on their grid: price 100 + bar, volume 1, columns replaced at will."""
    bar = np.array(bars)
    price = 100.0 + bar
    raw = RawCandles(
        START + HOUR * bar, price, price + 1, price - 1, price + 0.5, np.ones(len(bar))
    )
    raw = replace(raw, **{name: np.array(values) for name, values in columns.items()})
    return make_regular(raw, "1h", source)


@pytest.fixture
def hours():
    """Three days of hours; 6 are missing on the first and all on the second."""
    return regular([*range(18), *range(48, 72)], "<x> & y")


def test_days_have_coverage_volume_and_prices(hours):
    days = by_day(hours[0])
    np.testing.assert_array_equal(days.start, START + DAY * np.arange(3))
    np.testing.assert_array_equal(days.coverage, [0.75, 0.0, 1.0])
    np.testing.assert_array_equal(days.volume, [18.0, 0.0, 24.0])
    np.testing.assert_array_equal(days.low, [99.0, np.nan, 147.0])
    np.testing.assert_array_equal(days.high, [118.0, np.nan, 172.0])
    np.testing.assert_array_equal(days.close, [117.5, np.nan, 171.5])


@pytest.mark.parametrize("bars", [range(5, 50), [*range(18), *range(48, 72)], range(3)])
def test_stored_candles_have_the_days_of_those_on_their_grid(tmp_path, bars):
    candles, _ = regular([*bars])
    came = ~candles.filled
    columns = (getattr(candles, name)[came] for name in RawCandles.COLUMNS)
    save(tmp_path / "1h", EMPTY.overlay(RawCandles(*columns), [(START, START + 3 * DAY)]), "x")
    days = stored_days(StoredSeries(tmp_path / "1h", HOUR, (0, 2**62)), HOUR)
    for name, values in vars(by_day(candles)).items():
        np.testing.assert_array_equal(getattr(days, name), values, name)


def test_a_long_history_is_gathered_by_week(tmp_path):
    candles, _ = regular([*range(300), *range(400, 700)])
    came = ~candles.filled
    columns = (getattr(candles, name)[came] for name in RawCandles.COLUMNS)
    save(tmp_path / "1h", EMPTY.overlay(RawCandles(*columns), [(START, START + 700 * HOUR)]), "x")
    days = stored_days(StoredSeries(tmp_path / "1h", HOUR, (0, 2**62)), HOUR, most=20)
    time, week = candles.timestamp[came], 7 * DAY
    first, last = START // week, (START + 699 * HOUR) // week
    assert days.start.tolist() == [week * n for n in range(first, last + 1)]
    inside = [time[time // week == n] for n in range(first, last + 1)]
    bars = [
        len(range(max(START, week * n), min(START + 700 * HOUR, week * (n + 1)), HOUR))
        for n in range(first, last + 1)
    ]
    share = [len(part) / count for part, count in zip(inside, bars, strict=True)]
    np.testing.assert_allclose(days.coverage, share)
    assert days.volume.tolist() == [len(part) for part in inside]
    titles = [one["text"] for one in panels(days, [], "x")["layout"]["annotations"]]
    assert titles[1] == "<b>Volume by week, base currency</b>"


def test_candles_of_a_week_are_a_day_each_in_the_picture(tmp_path):
    week = 7 * DAY
    opens = np.array([345_600_000 + week * n for n in (2700, 2701, 2703)])
    ones = np.ones(3)
    rows = RawCandles(opens, ones, ones, ones, ones, ones)
    save(tmp_path / "1w", EMPTY.overlay(rows, [(int(opens[0]), int(opens[-1]) + week)]), "x")
    days = stored_days(StoredSeries(tmp_path / "1w", week, (0, 2**62)), week)
    np.testing.assert_array_equal(days.coverage, [1.0, 1.0, 0.0, 1.0])
    assert panels(days, [(0, DAY)], "x")["data"][-1]["x"][:2] == ["1970-01-01T00:00"] * 2


def finite(value):
    """Check that a browser can read the whole of a figure."""
    json.dumps(value, allow_nan=False)
    go.Figure(value)
    return value


def test_the_panels_show_what_the_days_have(hours):
    low_high, close, volume, coverage, _ = finite(figure(hours[0]))["data"]
    assert low_high["base"] == [99.0, None, 147.0]
    assert low_high["customdata"] == [118.0, None, 172.0]
    assert low_high["y"] == [19.0, None, 25.0]
    assert close["y"] == [117.5, None, 171.5]
    assert volume["y"] == [18.0, 0.0, 24.0]
    assert coverage["y"] == [0.75, 0.0, 1.0]
    assert close["x"] == [f"2023-01-0{day}T12:00" for day in (1, 2, 3)]


def test_a_gap_is_drawn_where_it_is(hours):
    gaps = figure(hours[0])["data"][-1]
    start, end = "2023-01-01T18:00", "2023-01-03T00:00"
    assert gaps["x"] == [start, start, end, end, start, None]
    assert gaps["y"] == [0, 1, 1, 0, 0, None]


def test_a_gap_of_one_bar_in_years_has_an_outline():
    candles, _ = regular([*range(500), *range(501, 20_000)])
    gaps = figure(candles)["data"][-1]
    assert (len(gaps["x"]), gaps["line"]["width"]) == (6, 1)


def test_the_page_is_whole_and_names_the_source(hours, tmp_path):
    path = tmp_path / "picture.html"
    write_picture(*hours, path)
    page = path.read_text(encoding="utf-8")
    assert texts(page, "h1") == ["<x> & y"]
    assert "1 gaps, the longest of 30 bars; 30 bars filled (41.7 %)." in page
    assert "default-src &#39;none&#39;" in page  # nothing is loaded
    assert [file.name for file in tmp_path.iterdir()] == ["picture.html"]


def test_candles_are_fetched_without_plotly_too(hours, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shell, "find_spec", lambda name: None)
    monkeypatch.setattr(fetch.command, "run_directory", lambda: tmp_path)
    fetch._draw(Console(), *hours)
    assert how_to_install("report") in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "bars",
    [range(2), range(24), [*range(240), *range(16_560, 16_800)]],
    ids=["two hours", "a day", "two years with a hole"],
)
def test_any_length_can_be_drawn(bars):
    candles, _ = regular(bars)
    assert finite(figure(candles))["data"][3]["y"]


def test_an_absurd_price_is_drawn():
    candles, _ = regular(range(3), high=[101.0, 1e30, 103.0], low=[1e-300, 99, 99])
    (height,) = finite(figure(candles))["data"][0]["y"]
    assert math.isclose(height, 1e30)


def test_prices_that_never_move_and_no_volume():
    flat = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 5)
    candles, _ = regular(range(5), volume=[0.0] * 5, **flat)
    assert finite(figure(candles))["data"][0]["y"] == [0.0]
