"""Every page can be read, in the light and in the dark."""

import pytest

from support.contrast import poor

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(watched, scheme):
    reader = watched(color_scheme=scheme)
    page = reader.open("/sweeps")
    sweep = page.locator("main li a").first.get_attribute("href")
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
        assert poor(page) == [], path
