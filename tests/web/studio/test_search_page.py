"""The page that lays a search open, in a real browser."""

import re

import pytest

from support.contrast import poor
from support.waiting import until


def test_the_best_combinations_are_sorted_by_keys(watched):
    reader = watched(viewport={"width": 390, "height": 900})
    page = reader.open("/configurations")
    stored = page.locator("tbody a").first.get_attribute("href")
    page.goto(f"{reader.address}{stored}")
    page.get_by_role("link", name="The search laid open").click()
    table = page.get_by_role("region", name="The best combinations")
    page.get_by_text("This search saw").wait_for()

    def column(place):
        cells = table.locator(f"tbody tr > :nth-child({place})").all_text_contents()
        return [float(re.sub(r"[^\d.-]", "", cell)) for cell in cells]

    ranks = column(1)
    assert ranks == sorted(ranks)
    assert ranks[:3] == [1, 2, 3]
    assert table.get_by_text("(stored)").count() == 1
    heads = table.locator("thead th").all_text_contents()
    place = 1 + next(k for k, head in enumerate(heads) if "trades in sample" in head)
    table.get_by_role("button", name="trades in sample").focus()
    for reverse in (True, False):
        page.keyboard.press("Enter")
        until(lambda r=reverse: (now := column(place)) == sorted(now, reverse=r))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not reader.errors
    assert not reader.elsewhere


def prints_light(page):
    """A figure of plotly's is printed light and as wide as paper, and is then what it was."""
    plot = "document.querySelector('.js-plotly-plot')._fullLayout"
    paper = page.evaluate(f"{plot}.paper_bgcolor")
    page.wait_for_function(f"dispatchEvent(new Event('beforeprint')) && {plot}.width === 700")
    assert page.evaluate(f"{plot}.paper_bgcolor") == "#ffffff"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(f"{plot}.paper_bgcolor === {paper!r}")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_there_and_can_be_read(watched, scheme, width):
    reader = watched(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = reader.open("/configurations")
    stored = page.locator("tbody a").first.get_attribute("href")
    page.goto(f"{reader.address}{stored}/search")
    page.get_by_role("heading", name="What the best have in common").wait_for()
    page.locator("#best-lines svg").wait_for()
    assert poor(page) == []
    assert page.locator(".js-plotly-plot").count() == 0  # it takes a browser most of a second
    for label, option in (
        ("metric", "Sharpe ratio (annualised)"),
        ("as", "surface (3-D)"),
        ("as", "heatmap"),
    ):
        page.get_by_role("combobox", name=label, exact=True).focus()
        page.keyboard.press("Enter")
        choice = page.get_by_role("option", name=option, exact=True)
        choice.wait_for()
        choice.click()
        choice.wait_for(state="hidden")
        if option == "surface (3-D)":
            page.locator(".js-plotly-plot .gl-container").wait_for(state="attached")
            prints_light(page)
    page.get_by_text("Sharpe ratio (annualised)").last.wait_for()
    assert poor(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert not reader.errors
    assert not reader.elsewhere
