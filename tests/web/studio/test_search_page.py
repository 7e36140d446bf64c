"""The page that lays a search open, in a real browser."""


def test_a_search_that_kept_no_trials_says_why(watched):
    reader = watched(viewport={"width": 390, "height": 900})
    page = reader.open("/configurations")
    stored = page.locator("tbody a").first.get_attribute("href")
    page.goto(f"{reader.address}{stored}")
    page.get_by_role("link", name="The search laid open").click()
    page.get_by_text("keeps no trials").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not reader.errors
    assert not reader.elsewhere
