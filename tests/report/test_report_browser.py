"""The file in a real browser: it draws, answers to its controls, and asks nobody for anything."""

import dataclasses
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pytest

from pipeline.report.heatmap import best
from pipeline.report.loading import SweptMarket
from pipeline.report.page import page, sweep_page
from pipeline.results.artifacts.artifact_set import ScoreSummary
from pipeline.results.records import Sweep
from support.contrast import poor
from support.narrow import cut_off
from support.parameters import STOP, TARGET
from support.waiting import until

DRAWN = "document.querySelectorAll('.figure .main-svg').length >= 8"
HEAT = "document.getElementById('heatmap').data[0]"


@pytest.fixture(scope="module")
def file(report, tmp_path_factory):
    """The page on a disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(report), "utf-8")
    return path


@contextmanager
def opened(browser, file, drawn=DRAWN, **options):
    """Open the page, and see to it that nothing went wrong and nothing was asked for."""
    context = browser.new_context(offline=True, accept_downloads=True, **options)
    tab = context.new_page()
    errors, requests = [], []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(file.as_uri())
    until(lambda: tab.evaluate(drawn))
    yield tab
    assert errors == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_draws_in_every_theme_and_width(browser, file, scheme, width):
    with opened(
        browser, file, color_scheme=scheme, viewport={"width": width, "height": 800}
    ) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        paper = tab.evaluate("document.getElementById('equity')._fullLayout.paper_bgcolor")
        assert paper == {"light": "#ffffff", "dark": "#171a1f"}[scheme]
        assert (poor(tab), cut_off(tab)) == ([], [])


def test_long_names_of_markets_leave_a_phone_room_for_the_bars(browser, report, tmp_path):
    row = dict.fromkeys(("p_value", "surrogate_p", "fdr_q_value", "seconds", "error"))
    row |= {"exchange": "binanceusdm", "pair": "BTC/USDT:USDT", "timeframe": "15m"}
    markets = [
        SweptMarket(f"x {own}", "done", report.configuration, **row)
        for own in ("liquidity_sweep", "donchian_breakout")
    ]
    fields = dict.fromkeys(field.name for field in dataclasses.fields(Sweep))
    day = datetime(2024, 1, 2, tzinfo=UTC)
    sweep = Sweep(**fields | {"until": day, "created_at": day, "status": "completed"})
    file = tmp_path / "sweep.html"
    file.write_text(sweep_page(sweep, markets), "utf-8")
    plot = "document.querySelector('#sharpe .nsewdrag')"
    with opened(browser, file, plot, viewport={"width": 390, "height": 800}) as tab:
        width = tab.evaluate(f"{plot}.getBoundingClientRect().width")
        names = tab.locator("#sharpe .ytick text").all()
        left = tab.locator("#sharpe").bounding_box()["x"]
        assert width >= 140
        assert len(names) == 2
        assert all(name.bounding_box()["x"] >= left for name in names)


def test_the_axes_of_the_heatmap_can_be_changed(browser, file, report):
    scores = report.artifacts.scores
    with opened(browser, file) as tab:
        tab.select_option("#heatmap-x", TARGET)
        tab.select_option("#heatmap-y", STOP)
        shown = tab.evaluate(HEAT)
        assert shown["x"] == [f"{value:g}" for value in scores.axes[TARGET]]
        assert shown["y"] == [f"{value:g}" for value in scores.axes[STOP]]
        tab.select_option("#heatmap-y", TARGET)  # the axes change places
        assert tab.evaluate(HEAT)["y"] == shown["x"]
        flipped = tab.evaluate(f"{HEAT}.z")
        assert flipped == [list(column) for column in zip(*shown["z"], strict=True)]


def test_a_slice_is_never_above_the_best(browser, file):
    with opened(browser, file) as tab:
        best = tab.evaluate(f"{HEAT}.z")
        tab.select_option("#heatmap-mode", "slice")
        for row, row_of_best in zip(tab.evaluate(f"{HEAT}.z"), best, strict=True):
            pairs = [pair for pair in zip(row, row_of_best, strict=True) if pair[0] is not None]
            assert all(value <= largest for value, largest in pairs)


def test_one_trade_can_be_looked_at(browser, file):
    with opened(browser, file) as tab:
        everything = tab.evaluate("document.getElementById('trades').data[0].x.length")
        tab.select_option("#trades-choice", "1")
        assert 0 < tab.evaluate("document.getElementById('trades').data[0].x.length") < everything


def test_the_configuration_can_be_saved(browser, file, report):
    with opened(browser, file) as tab:
        with tab.expect_download() as download:
            tab.click("text=Save the JSON")
        assert download.value.suggested_filename == f"{report.configuration.id}.json"


def test_it_prints_light(browser, file):
    with opened(browser, file, color_scheme="dark") as tab:
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        paper = "document.getElementById('equity')._fullLayout.paper_bgcolor"
        until(lambda: tab.evaluate(f"{paper} === '#ffffff'"))
        tab.emulate_media(media="print")
        tab.set_viewport_size({"width": 703, "height": 1000})  # A4 between its margins
        until(lambda: tab.evaluate("innerWidth === 703 && matchMedia('print').matches"))
        assert tab.evaluate("document.getElementById('equity')._fullLayout.width") <= 703
        assert (poor(tab), cut_off(tab)) == ([], [])
        for control in ("select", "nav", "summary", "text=Save the JSON"):
            assert not any(found.is_visible() for found in tab.locator(control).all())


def test_after_printing_figures_are_as_wide_as_before(browser, file):
    with opened(browser, file) as tab:
        width = "document.getElementById('equity')._fullLayout.width"
        before = tab.evaluate(width)
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        tab.wait_for_timeout(500)
        assert tab.evaluate(width) == 700
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        until(lambda: tab.evaluate(width) == before)
        assert before > 900


def test_a_large_grid_shows_the_best_of_every_pair_and_no_slice(browser, report, tmp_path):
    scores = report.artifacts.scores
    pairs = {(a, b): best(scores, b, a) for a, b in combinations(scores.axes, 2)}
    summary = ScoreSummary(scores.axes, np.array([0]), np.array([1.0]), pairs)
    large = replace(report, artifacts=replace(report.artifacts, scores=None, summary=summary))
    path = tmp_path / "large.html"
    path.write_text(page(large), "utf-8")
    with opened(browser, path) as tab:
        assert tab.locator("#heatmap-mode").count() == 0
        tab.get_by_text("no other can be held at a value").wait_for()
        tab.select_option("#heatmap-x", TARGET)
        tab.select_option("#heatmap-y", STOP)
        shown = np.array(tab.evaluate(f"{HEAT}.z"), dtype=float)
        assert shown == pytest.approx(best(scores, TARGET, STOP), rel=1e-4)


def test_what_lost_nothing_has_the_best_colour_and_a_mark(browser, report, tmp_path):
    """An infinite score is drawn, on the axes that the page begins with and on others."""
    scores = report.artifacts.scores
    score = scores.metrics["score"].copy()
    score[(0,) * score.ndim] = np.inf
    record = replace(report.artifacts, scores=replace(scores, metrics={"score": score}))
    path = tmp_path / "lossless.html"
    path.write_text(page(replace(report, artifacts=record)), "utf-8")
    with opened(browser, path) as tab:
        for x, y in ((None, None), (TARGET, STOP)):
            if x and y:
                tab.select_option("#heatmap-x", x)
                tab.select_option("#heatmap-y", y)
            shown = tab.evaluate(HEAT)
            assert shown["text"][0][0] == "∞"
            assert shown["customdata"][0][0] == "∞ (nothing was lost)"
            drawn = [value for row in shown["z"] for value in row if value is not None]
            assert shown["z"][0][0] == max(drawn)
            assert sum(text == "∞" for row in shown["text"] for text in row) == 1
