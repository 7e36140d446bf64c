"""Every page can be read, in the light and in the dark."""

import pytest

from support.contrast import poor

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(watched, scheme):
    reader = watched(color_scheme=scheme)
    page = reader.open("/sweeps")
    sweep = page.locator("main tbody a").first.get_attribute("href")
    page.goto(f"{reader.address}{sweep}")
    stored = page.locator("tbody a").first.get_attribute("href")
    assert poor(page) == []
    for path, last in (
        ("/", "Search"),
        ("/jobs", "Jobs"),
        ("/configurations", "Configurations"),
        (stored, "Configuration V3"),
    ):
        page.goto(f"{reader.address}{path}")
        page.get_by_role("heading", name=last, exact=True).wait_for()
        if path == "/":  # a button that is off need not stand out: this one is on
            for name in ("binance", "BTC/USDT", "15m"):
                page.get_by_role("checkbox", name=name, exact=True).click()
            page.get_by_text("Its parameters").click()
            page.locator("button.primary:not(.disabled)").wait_for()
        for summary in page.locator("summary").all():
            summary.click()
        assert poor(page) == [], path
