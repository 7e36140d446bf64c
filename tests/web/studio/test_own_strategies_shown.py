"""The form with strategies of the server's own folder, in a browser."""

import pytest

from pipeline.strategies.registry import BUILT_IN, load_strategy
from support.narrow import cut_off, on_a_phone
from support.parameters import DEPTH

LONG = 180_000


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """Where pictures go, for whoever looks at them."""
    return tmp_path_factory.mktemp("strategies_seen")


def choose(page, label, option):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_every_strategy_is_a_choice_and_a_broken_one_says_why(watched, shots):
    form = watched(viewport={"width": 1280, "height": 900})
    page = form.open("/")
    page.get_by_text("Its parameters").click()
    page.get_by_label(DEPTH).wait_for()
    first = load_strategy("liquidity_sweep").parameters[0]
    assert page.get_by_text(first.meaning).is_visible()
    page.get_by_label("strategy", exact=True).click()
    page.get_by_role("option", name="mine", exact=True).wait_for()
    offered = page.get_by_role("option").all_text_contents()
    assert offered == [*BUILT_IN, "broken", "mine"]

    page.get_by_role("option", name="broken", exact=True).click()
    alert = page.get_by_role("alert").filter(has_text="broken.py, line 3")
    alert.wait_for(timeout=LONG)
    page.screenshot(path=shots / "broken.png", full_page=True)
    page.get_by_text("Its parameters").wait_for(state="hidden")
    assert page.get_by_role("button", name="Start training").is_disabled()

    choose(page, "strategy", "mine")
    mine = load_strategy("donchian_breakout").parameters
    for parameter in mine:
        page.get_by_label(f"{parameter.name} ({parameter.unit})").wait_for(timeout=LONG)
        assert page.get_by_text(parameter.meaning).first.is_visible()
    alert.wait_for(state="detached")
    page.get_by_label(DEPTH).wait_for(state="detached")
    page.screenshot(path=shots / "mine.png", full_page=True)
    assert form.errors == []


def test_an_own_strategy_is_trained_from_a_range(watched, shots):
    form = watched(viewport={"width": 1280, "height": 900})
    page = form.open("/")
    choose(page, "strategy", "mine")
    for name in ("binance", "BTC/USDT", "15m"):
        page.get_by_role("checkbox", name=name, exact=True).click()
    page.get_by_label("from (UTC)").fill("2023-01-01")
    page.get_by_label("up to, not included (UTC)").fill("2023-06-15")
    page.get_by_role("radio", name="random").click()
    page.get_by_label("combinations a search").fill("20")
    choose(page, "search space", "continuous")
    page.get_by_text("Its parameters").click()
    ranged = next(p for p in load_strategy("donchian_breakout").parameters if p.low is not None)
    line = page.get_by_label(f"{ranged.name} (")
    line.wait_for(timeout=LONG)
    page.wait_for_function("document.body.innerText.includes('Ranges, from and to')", timeout=LONG)
    assert line.input_value() == f"{ranged.low:g} to {ranged.high:g}"
    start = page.get_by_role("button", name="Start training")

    line.fill(f"{ranged.high:g} to {ranged.low:g}")
    page.get_by_text("two numbers, as in 0.5 to 2").wait_for(timeout=LONG)
    line.fill(f"{ranged.low:g} to {ranged.high - 1:g}")
    page.wait_for_function("document.querySelector('.start button').disabled === false")
    page.screenshot(path=shots / "range.png", full_page=True)
    start.click()
    page.wait_for_url("**/jobs")
    job = page.locator("tr.job", has_text="mine").first
    job.wait_for(timeout=LONG)
    job.get_by_text("completed").wait_for(timeout=LONG)
    page.screenshot(path=shots / "job.png", full_page=True)
    assert form.errors == []


def test_the_parameters_fit_a_phone(watched, shots):
    page = watched().open("/")
    on_a_phone(page)
    choose(page, "strategy", "mine")
    page.get_by_text("Its parameters").click()
    page.get_by_label("(bars)").first.wait_for(timeout=LONG)
    page.screenshot(path=shots / "phone.png", full_page=True)
    assert cut_off(page) == []
