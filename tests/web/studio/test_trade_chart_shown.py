"""Trades on their candles, as a trader walks through them in the browser."""

import pytest

from support.contrast import poor
from support.runs import QUICK, run_here

MARKS = "#trades .candles svg"
STATES = "#trades [role=status]"


@pytest.fixture(scope="module")
def identity(folder):
    """The id of a configuration that traded out of sample."""
    words = (*QUICK, "optimizer=random", "optimizer.samples=10", "validation.evidence=deciding")
    finished = run_here(folder, *words, "backend=numpy")
    assert finished.status == 0, finished.err
    return finished.configurations[0].id


def trades_of(person, identity):
    answer = person.page.request.get(f"{person.address}/api/configurations/{identity}/trades")
    return answer.json()["trades"]


def test_trades_are_walked_through_by_mouse_and_by_keys(watched, identity):
    person = watched()
    trades = trades_of(person, identity)
    last = len(trades)
    page = person.open(f"/configurations/{identity}?trade={last}")
    page.locator(MARKS).first.wait_for()
    said, candles = page.locator(STATES).all()
    stop = f"stop {trades[-1]['stop']:,.7g}"
    page.wait_for_function(f"document.querySelector('{MARKS}').textContent.includes('{stop}')")
    assert f"Trade {last} of {last}: {trades[-1]['side']}" in said.text_content()
    assert "1h candles" in candles.text_content()
    top = "document.getElementById('section-trade-list').getBoundingClientRect().top"
    page.wait_for_function(f"0 < {top} && {top} < 300")
    page.get_by_role("button", name="Previous trade").click()
    page.wait_for_url(f"**?trade={last - 1}")
    page.locator(STATES, has_text=f"Trade {last - 1} of {last}").wait_for()
    page.get_by_role("link", name=f"Show trade {last} on the chart").click()
    page.wait_for_url(f"**?trade={last}")
    page.locator(".candles").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**?trade={last - 1}")
    before = candles.text_content()
    page.keyboard.press("-")
    page.wait_for_function(f"document.querySelectorAll('{STATES}')[1].textContent !== {before!r}")
    width = f"document.querySelector('{MARKS}').getAttribute('width')"
    wide = page.evaluate(width)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(f"{width} === '700'")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(f"{width} === '{wide}'")
    page.get_by_role("button", name="All trades").click()
    page.wait_for_url(f"**/{identity}")
    page.locator("#excursions svg").first.wait_for()
    assert (person.errors, person.elsewhere) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_words_in_the_chart_can_be_read(watched, identity, scheme, width):
    person = watched(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = person.open(f"/configurations/{identity}?trade=1")
    page.locator(MARKS).first.wait_for()
    page.locator("#excursions svg").first.wait_for()
    page.wait_for_function(f"document.querySelector('{MARKS}').textContent.includes('stop')")
    assert poor(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert person.errors == []
