"""By keys alone a person starts a training, watches it, reads the verdict and switches it on."""

import pytest

pytestmark = pytest.mark.slow

#: Seconds that a small training may take on a machine that is busy.
LONG = 180_000


def tab_to(page, name, row="", presses=200):
    """Press Tab until the control of that name, in a table's row of that text, has the focus."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if row not in page.evaluate("document.activeElement.closest('tr')?.innerText ?? ''"):
            continue
        focus = page.evaluate(
            "(document.activeElement.ariaLabel || document.activeElement.innerText"
            " || document.activeElement.labels?.[0]?.innerText || '').trim()"
        )
        if focus.upper().startswith(name.upper()):
            return
    raise AssertionError(f"Tab never comes to {name}")


@pytest.mark.parametrize("width", [1440, 390])
def test_from_a_start_to_an_active_configuration(watched, width):
    person = watched(viewport={"width": width, "height": 900})
    page = person.open("/")
    page.get_by_role("heading", level=1).wait_for()
    for name in ("synthetic (SYNTHETIC)", "NOEDGE/USDT (SYNTHETIC)", "5m"):
        tab_to(page, name)
        page.keyboard.press("Space")
    page.get_by_text("1 market: synthetic:NOEDGE/USDT:5m").wait_for()
    page.locator("aside").get_by_text("combinations, ").first.wait_for(timeout=LONG)
    tab_to(page, "Start training")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs")
    job = page.locator("tr.job", has_text="NOEDGE").first
    job.get_by_role("link", name="Verdict").wait_for(timeout=3 * LONG)
    tab_to(page, "Verdict", row="NOEDGE")
    page.keyboard.press("Enter")
    page.wait_for_url("**/configurations/*")
    page.locator("#equity svg").first.wait_for(timeout=LONG)
    tab_to(page, "Switch it on all the same")
    page.keyboard.press("Enter")
    tab_to(page, "reason")
    page.keyboard.type("a test by keys alone")
    tab_to(page, "also with size 0")
    page.keyboard.press("Space")
    tab_to(page, "Activate")
    page.keyboard.press("Enter")
    page.locator(".badge", has_text="ACTIVE").wait_for()
    tab_to(page, "reason")
    page.keyboard.type("the end of it")
    tab_to(page, "Deactivate")
    page.keyboard.press("Enter")
    page.locator(".badge", has_text="ACTIVE").wait_for(state="detached")
    assert "a test by keys alone" in page.locator("#section-history").text_content()
    assert (person.errors, person.elsewhere) == ([], [])
