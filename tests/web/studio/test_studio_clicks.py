"""What a person does to jobs, configurations and sweeps, by mouse and by keyboard alone."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from pipeline.results.database import open_database

#: Rows that fill two pages of 25 with those that the sweep stored.
COPIES = 30
NAME = "LIQUIDITY_SWEEP_V3_20230101_000000_{:06x}"


@pytest.fixture(scope="module")
def many(server, folder):
    """Copies of what the sweep stored, as of a pair that nothing else has."""
    with open_database(f"sqlite:///{folder}/var/trainings.db") as repository:
        one = repository.configurations.find(limit=1)[0]
        for place in range(COPIES):
            job_id = repository.jobs.create(
                exchange="kraken",
                pair="ETH/USDT",
                timeframe="4h",
                strategy=one.strategy,
                optimizer="grid",
                config=repository.jobs.read(one.job_id).config,
                config_hash="c0ffee",
                seed=place,
            )
            repository.jobs.start(job_id)
            copy = {"id": NAME.format(place), "job_id": job_id, "exchange": "kraken"}
            copy |= {"artifacts": None, "artifact_digests": {}}  # whose figures are others
            repository.configurations.save(replace(one, **copy, pair="ETH/USDT", timeframe="4h"))
        yield


def _choose(page, label, option):
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_job_is_cancelled_and_started_again(watched):
    person = watched()
    page = person.open("/jobs")
    asked = {"markets": ["demo"], "history": {"days": 365}}
    answer = page.request.post(f"{person.address}/api/training/start", data=asked)
    assert answer.ok, answer.text()
    (job_id,) = answer.json()["job_ids"]
    job = page.locator("tr.job", has_text=job_id)
    job.get_by_text("running", exact=True).wait_for()
    job.get_by_text("365 days").wait_for()
    job.get_by_role("button", name="Cancel").click()
    job.get_by_text("cancelled", exact=True).wait_for()
    job.get_by_role("button", name="Restart").click()
    job.get_by_text("running", exact=True).wait_for()
    job.get_by_role("link", name="DEMO").click()
    page.wait_for_url(f"**/jobs/{job_id}")
    job = page.locator("li.job")
    job.get_by_text("Notes").click()
    job.get_by_text("backend: numba").wait_for()
    job.get_by_role("button", name="Cancel").click()
    job.get_by_text("cancelled", exact=True).wait_for()
    page.get_by_role("link", name="Again with changes").click()
    page.get_by_text("1 market: synthetic:DEMO/USDT:5m").wait_for()
    assert page.get_by_label("newest days").input_value() == "365"
    page.get_by_label("train, days").first.fill("0")
    page.get_by_label("least trades in a window").fill("-1")
    aside = page.locator("aside")  # it names all that is wrong
    aside.get_by_text("Least trades in a window: at least 0.").wait_for()
    aside.get_by_text("Train, days: at least 1.").wait_for()
    page.locator(".q-field__messages", has_text="at least 1").first.wait_for()
    assert (person.errors, person.elsewhere) == ([], [])


def test_activation_is_refused_by_a_gate_forced_and_undone(watched, many):
    person = watched()
    page = person.open(f"/configurations/{NAME.format(1)}")
    page.get_by_text("Switch it on all the same").click()
    page.get_by_label("reason").fill("a test of it")
    page.get_by_text("tick the box to force it").wait_for()
    assert page.get_by_role("button", name="Activate", exact=True).is_disabled()
    page.get_by_role("checkbox", name="also with size 0 or below VALIDATION").click()
    page.get_by_role("button", name="Activate", exact=True).click()
    page.get_by_text("Active, on paper alone (size 0).").wait_for()
    page.get_by_text(f"{NAME.format(1)} is switched on.").wait_for()
    active = page.request.get(f"{person.address}/api/configurations/active").json()
    assert NAME.format(1) in str(active)
    others = [page.context.new_page() for _ in range(2)]
    for other in others:
        other.goto(page.url)
        other.get_by_label("reason").fill("too late")
    page.get_by_label("reason").fill("enough of it")
    page.get_by_role("button", name="Deactivate").click()
    page.get_by_text("Not active:").wait_for()
    page.get_by_text(f"{NAME.format(1)} is switched off.").wait_for()
    others[0].get_by_role("button", name="Deactivate").click()
    others[0].get_by_text(f"{NAME.format(1)} was switched off already, at ").wait_for()
    others[1].evaluate("dispatchEvent(new Event('focus'))")  # it is looked at again
    for one in (page, *others):
        one.get_by_text("Not active:").wait_for()
        history = one.locator("#section-history")
        history.get_by_text("enough of it").first.wait_for()
        assert "a test of it" in history.text_content()
        assert "too late" not in history.text_content()
    assert (person.errors, person.elsewhere) == ([], [])


def test_one_that_cannot_be_read_is_switched_off(watched, many, folder):
    identity = NAME.format(COPIES - 2)  # on the first page
    person = watched()
    raw = "SELECT document FROM trained_configurations WHERE id = :id"
    write = "UPDATE trained_configurations SET document = :document WHERE id = :id"
    with open_database(f"sqlite:///{folder}/var/trainings.db") as repository:
        repository.configurations.set_active(identity, True, "a test of it", forced=True)
        with repository.engine.begin() as connection:
            document = connection.execute(text(raw), {"id": identity}).scalar_one()
            connection.execute(text(write), {"id": identity, "document": "{"})
        page = person.open("/configurations?exchange=kraken&sort=created_at")
        page.get_by_role("link", name=f"Look at {identity}").click()
        page.get_by_role("heading", name="cannot be read").wait_for()
        page.get_by_label("reason").fill("it is damaged")
        page.get_by_role("button", name="Deactivate").click()
        page.get_by_text(f"{identity} is switched off.").wait_for()
        with repository.engine.begin() as connection:
            connection.execute(text(write), {"id": identity, "document": document})
        assert not repository.checks.agreeing(identity).is_active
        assert repository.configurations.events(identity)[-1].reason == "it is damaged"
    assert (person.errors, person.elsewhere) == ([], [])


def test_configurations_are_filtered_and_paged(watched, many):
    person = watched()
    page = person.open("/configurations")
    _choose(page, "exchange", "kraken")
    _choose(page, "pair", "ETH/USDT")
    page.wait_for_url("**?exchange=kraken&pair=ETH%2FUSDT")  # there are as many without the pair
    page.get_by_text("1 to 25 of 30").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("26 to 30 of 30").wait_for()
    assert page.locator("tbody tr").count() == 5
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="Previous").click()
    page.get_by_text("1 to 25 of 30").wait_for()
    _choose(page, "stage", "MATURE")
    page.get_by_text("No configuration is stored that fits.").wait_for()
    assert page.get_by_role("button", name="Next").is_hidden()
    page.wait_for_url("**?stage=MATURE&exchange=kraken&pair=ETH%2FUSDT")
    page.go_back()
    page.get_by_text("1 to 25 of 30").wait_for()
    page.evaluate("window.kept = true")
    page.evaluate("location.hash = 'contents'")  # as the link that skips the navigation does
    _choose(page, "sort by", "trades")
    page.wait_for_url("**&sort=sample_size")
    assert page.evaluate("window.kept")  # the page was not loaded anew
    page.go_back()
    page.wait_for_url("**#contents")
    page.wait_for_function("window.kept === undefined")  # another address: it was
    page.goto(f"{page.url.partition('#')[0]}&page=2")
    page.get_by_text("26 to 30 of 30").wait_for()
    assert (person.errors, person.elsewhere) == ([], [])


def test_a_sweep_shows_every_market_in_its_figures(watched):
    person = watched(color_scheme="dark")
    page = person.open("/sweeps")
    page.locator("tbody tr", has_text="random").get_by_role("link").first.click()
    page.get_by_text("completed: 3 of 3 markets ended").wait_for()
    named = page.get_by_role("link", name="JSON").get_attribute("download")
    assert named == f"sweep_{page.url.rpartition('/')[2]}-markets.json"
    page.locator("#discoveries svg").first.wait_for()
    page.locator("#sharpe svg text", has_text="SOL/USDT").first.wait_for()
    drawn = page.locator("#sharpe svg text").all_text_contents()
    rows = page.locator("table.cards tbody th a").all_text_contents()
    markets = [f"binance:{base}/USDT:1h" for base in ("BTC", "ETH", "SOL")]
    assert sorted(rows) == sorted(word for word in drawn if word in markets) == markets
    assert page.get_by_role("note").text_content().startswith("SYNTHETIC")
    width = "document.querySelector('#discoveries svg').getAttribute('width')"
    wide = page.evaluate(width)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(f"{width} === '700'")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(f"{width} === '{wide}'")
    page.locator("tbody a").first.click()
    page.get_by_role("heading", name="Gates and caveats").wait_for()
    assert (person.errors, person.elsewhere) == ([], [])


def _tab_to(page, name):
    """Press Tab until the control of that name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()"
        )
        if focused.upper() == name.upper():
            ring = "getComputedStyle(document.activeElement).boxShadow"
            assert page.evaluate(ring).startswith("rgb(63, 133, 214)")
            return
    raise AssertionError(f"Tab never comes to {name}")


@pytest.mark.slow
def test_the_keyboard_alone_chooses_and_starts(watched):
    person = watched()
    page = person.open("/")
    page.get_by_role("heading", level=1).wait_for()
    for name in ("synthetic (SYNTHETIC)", "NOEDGE/USDT (SYNTHETIC)", "5m"):
        _tab_to(page, name)
        page.keyboard.press("Space")
    page.get_by_text("1 market: synthetic:NOEDGE/USDT:5m").wait_for()
    page.locator("aside").get_by_text("combinations, ").first.wait_for()
    _tab_to(page, "Start training")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs")
    job = page.locator("tr.job", has_text="NOEDGE").first
    job.wait_for()
    _tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    job.get_by_text("cancelled", exact=True).wait_for()
    assert (person.errors, person.elsewhere) == ([], [])
