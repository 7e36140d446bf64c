"""Every page can be read and used, in the light and in the dark, on a desk and on a phone."""

import pytest

from support.contrast import poor
from support.narrow import cut_off

pytestmark = pytest.mark.slow


def pages_of(reader, page):
    """The address of each page, and what is there once it is whole."""
    page.goto(f"{reader.address}/sweeps")
    sweep = page.locator("main tbody a").first.get_attribute("href")
    listed = page.request.get(f"{reader.address}/api/configurations?limit=2").json()
    one, two = (row["id"] for row in listed["configurations"])
    job = listed["configurations"][0]["job_id"]
    candles = page.request.get(f"{reader.address}/api/candles").json()["candles"][0]["id"]
    return {
        "/": "heading:Search",
        "/jobs": "heading:Jobs",
        f"/jobs/{job}": "link:Again with changes",
        "/configurations": "heading:Configurations",
        f"/configurations/{one}": "#equity svg",
        f"/configurations/{one}/search": "#best-lines svg",
        f"/compare?id={one}&id={two}": "#curves svg",
        "/candles": "table",
        f"/candles/{candles}": "#coverage svg",
        "/live": "heading:Switch another on",
        "/sweeps": "table",
        sweep: "table",
    }


def wait_for(page, mark):
    kind, _, name = mark.partition(":")
    if kind in ("heading", "link"):
        page.get_by_role(kind, name=name, exact=True).first.wait_for()
    else:
        page.locator(mark).first.wait_for()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read(watched, scheme, width, tmp_path):
    reader = watched(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = reader.page
    found = {}
    for number, (path, mark) in enumerate(pages_of(reader, page).items()):
        page.goto(f"{reader.address}{path}")
        wait_for(page, mark)
        if path == "/":  # a button that is off need not stand out: this one is on
            for name in ("binance", "BTC/USDT", "15m"):
                page.get_by_role("checkbox", name=name, exact=True).click()
            page.get_by_text("Its parameters").click()
            page.locator("button.primary:not(.disabled)").wait_for()
        for summary in page.locator("summary").all():
            summary.click()
        page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
        found[path] = poor(page) + cut_off(page)
    assert {path: faults for path, faults in found.items() if faults} == {}
    assert (reader.errors, reader.elsewhere) == ([], [])


def test_lists_fit_a_desk_and_pairs_need_no_labels_on_a_phone(watched):
    """Every column of a list is seen at 1440 px; a name and its value stand side by side."""
    reader = watched(viewport={"width": 1440, "height": 900})
    page, pages = reader.page, pages_of(reader, reader.page)
    for path in pages:
        if path == "/configurations" or path.endswith("/search") or path.startswith("/sweeps/"):
            page.goto(f"{reader.address}{path}")
            wait_for(page, pages[path])
            if path.endswith("/search"):  # the days that it did not see have columns, too
                page.locator("#best-equity svg, #best-equity canvas").first.wait_for()
            beyond = "[...document.querySelectorAll('.widest, .sortable')].map"
            beyond += "(one => one.scrollWidth - one.clientWidth)"
            assert page.evaluate(beyond) == [0], path
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(reader.address + next(path for path in pages if path.startswith("/candles/")))
    row = page.get_by_role("region", name="Quality").locator("tbody tr").first
    name, value = row.locator("th").bounding_box(), row.locator("td").bounding_box()
    assert name["y"] == value["y"]
    assert name["x"] + name["width"] <= value["x"]
    label = "one => getComputedStyle(one, '::before').content"
    assert row.locator("td").evaluate(label) == "none"
