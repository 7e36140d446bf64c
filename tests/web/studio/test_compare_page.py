"""Configurations are ticked in their list and set side by side."""

import pytest

from support.contrast import poor
from support.narrow import cut_off
from support.waiting import until


def _ticked(page):
    """Tick the first two of the list; return their ids."""
    boxes = page.locator("tbody").get_by_role("checkbox")
    ids = [box.get_attribute("aria-label").rpartition(" ")[2] for box in boxes.all()[:2]]
    for box in boxes.all()[:2]:
        box.focus()
        page.keyboard.press("Space")
    page.get_by_text("2 of at most 6 ticked").wait_for()
    return ids


def test_two_are_ticked_sorted_and_compared(watched):
    person = watched()
    page = person.open("/configurations")
    ids = _ticked(page)
    page.wait_for_url(f"**?ticked={','.join(ids)}")
    visits = page.evaluate("history.length")
    page.get_by_role("button", name="Sharpe ratio").focus()
    page.keyboard.press("Enter")
    page.locator("th[aria-sort=descending]", has_text="Sharpe ratio").wait_for()
    page.get_by_role("button", name="Sharpe ratio").click()
    page.locator("th[aria-sort=ascending]", has_text="Sharpe ratio").wait_for()
    assert page.evaluate("history.length") == visits + 2  # a sort reads the page once
    page.wait_for_url(lambda url: "sort=oos_sharpe_ratio&descending=false" in url)
    link = page.get_by_role("link", name="CSV")
    until(lambda: "sort=oos_sharpe_ratio" in (link.get_attribute("href") or ""))
    saved = link.get_attribute("href")
    named = page.get_by_role("link", name="JSON").get_attribute("download")
    assert named == "stored-configurations.json"
    assert page.request.get(f"{person.address}{saved}").text().startswith("id,strategy,")
    assert f"ticked={','.join(ids)}" in page.url  # their rows may be on another page now
    page.get_by_text("2 of at most 6 ticked").wait_for()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(f"**/compare?id={ids[0]}&id={ids[1]}")
    page.locator("#curves svg").first.wait_for()
    page.get_by_role("heading", name="Correlation").wait_for()
    page.get_by_role("link", name="Choose others").click()
    page.get_by_text("2 of at most 6 ticked").wait_for()
    answer = page.goto(f"{person.address}/compare?id={ids[0]}")
    assert answer.status == 422
    page.get_by_text("name 2 to 6 configurations; 1 were named").wait_for()
    assert (person.errors[:-1], person.elsewhere) == ([], [])  # the last is the 422 itself


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_and_fits_a_phone(watched, scheme):
    reader = watched(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page = reader.open("/configurations")
    ids = _ticked(page)
    page.goto(f"{reader.address}/compare?id={ids[0]}&id={ids[1]}")
    page.locator("#curves svg").first.wait_for()
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert poor(page) == []
        assert cut_off(page) == []
    assert (reader.errors, reader.elsewhere) == ([], [])
