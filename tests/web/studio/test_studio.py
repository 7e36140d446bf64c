"""The Studio in a browser: from the choice of markets to the saved JSON."""

import json

import pytest
from sqlalchemy import text

from pipeline.results.artifacts.artifact_set import SEARCH
from pipeline.results.database import open_database
from support.narrow import cut_off, on_a_phone
from support.parameters import DEPTH, VOLUME

#: Seconds that a small training may take on a machine that is busy.
LONG = 180_000


BOXES = ("binance", "BTC/USDT", "ETH/USDT", "SOL/USDT", "15m")
MARKETS = ("binance:BTC/USDT:15m", "binance:ETH/USDT:15m", "binance:SOL/USDT:15m")


def _tick(page, *names):
    for name in names:
        page.get_by_role("checkbox", name=name, exact=True).click()


def _fill(page, values):
    for name, value in values.items():
        page.get_by_label(name).fill(value)


def _moves(page):
    """Wait until the first running job is seen at two places; return both."""
    bar = page.get_by_role("progressbar").first
    bar.wait_for(timeout=LONG)
    page.evaluate(
        "window.seen = new Set(); window.look = setInterval(() => {"
        " const bar = [...document.querySelectorAll('[role=progressbar]')]"
        "  .find((one) => one.offsetParent);"
        " if (bar) window.seen.add(bar.ariaLabel + ' ' + bar.ariaValueNow); }, 50)"
    )
    page.wait_for_function("window.seen.size > 1", timeout=LONG)
    return page.evaluate("clearInterval(window.look), [...window.seen]")


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """Where pictures go, for whoever looks at them."""
    return tmp_path_factory.mktemp("screenshots")


def test_from_three_markets_to_their_q_and_a_saved_verdict(watched, shots):
    first = watched(viewport={"width": 1280, "height": 900})
    page = first.open("/")
    _tick(page, *BOXES)
    page.get_by_text("Its parameters").click()
    # So many that the search is seen to move: 2 x 2 values are searched before a page is drawn.
    grids = {
        DEPTH: ", ".join(f"{0.001 + 0.0001 * k:.4f}" for k in range(6)),
        VOLUME: ", ".join(f"{1.5 + 0.1 * k:.1f}" for k in range(6)),
    }
    _fill(page, grids | {"from (UTC)": "2023-01-01", "up to, not included (UTC)": "2023-07-20"})
    aside = page.locator("aside")
    aside.get_by_text("453,600 combinations, ").first.wait_for(timeout=LONG)
    for market in MARKETS:
        assert market in page.get_by_text("3 markets:").text_content()
    assert aside.locator("details").count() == 3
    assert aside.get_by_text("Stored: 2023-01-01 to 2023-07-19. Nothing is fetched.").count() == 3
    page.screenshot(path=shots / "train.png", full_page=True)
    page.reload()  # the address has it all
    aside.get_by_text("453,600 combinations, ").first.wait_for(timeout=LONG)
    start = page.get_by_role("button", name="Start training")
    page.mouse.wheel(0, 600)
    page.wait_for_function("scrollY > 0")
    assert 0 < start.bounding_box()["y"] < 860  # it stays in view beside the form
    start.click()
    page.wait_for_url("**/sweeps/*")
    sweep = page.url.removeprefix(first.address)
    assert len(_moves(page)) > 1
    page.screenshot(path=shots / "sweep.png", full_page=True)
    page.close()

    again = watched(viewport={"width": 1280, "height": 900})
    page = again.open("/jobs")
    ended = page.locator("tr.job", has_text="grid").first
    ended.get_by_text("3 of 3").wait_for(timeout=LONG)
    ended.get_by_role("link", name="Verdict").wait_for(timeout=LONG)
    page.screenshot(path=shots / "jobs.png", full_page=True)
    page = again.open(sweep)
    page.get_by_text("completed: 3 of 3 markets ended").wait_for(timeout=LONG)
    page.get_by_text("Pool of 3 markets").first.wait_for()
    judged = again.page.request.get(f"{again.address}/api{sweep}").json()
    assert all(one["fdr_q_value"] is not None for one in judged["markets"])
    page.locator("tbody a").first.click()
    page.locator("#equity svg").first.wait_for(timeout=LONG)
    page.get_by_role("heading", name="Gates and caveats").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the JSON").click()
    saved = json.loads(download.value.path().read_text("utf-8"))
    assert page.url.endswith(download.value.suggested_filename.removesuffix(".json"))
    assert saved == page.request.get(f"{again.address}/api{page.url[len(again.address) :]}").json()
    page.screenshot(path=shots / "configuration.png", full_page=True)
    on_a_phone(page)
    assert cut_off(page) == []
    for one in (first, again):
        assert (one.errors, one.elsewhere) == ([], [])


def test_a_phone_shows_every_page_without_scrolling_sideways(watched, server):
    phone = watched(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = phone.open("/sweeps")
    sweep = page.locator("main tbody a").first.get_attribute("href")
    page.goto(f"{phone.address}{sweep}")
    stored = page.locator("tbody a").first.get_attribute("href")
    for path in ("/", "/jobs", "/configurations", "/sweeps", sweep, stored):
        page.goto(f"{phone.address}{path}")
        page.get_by_role("heading", level=1).wait_for()
        if path == stored:
            page.get_by_role("heading", name="Provenance").wait_for()
        assert cut_off(page) == [], path
        if path == "/":
            start = page.get_by_role("button", name="Start training").bounding_box()
            assert start["y"] + start["height"] <= 844
        if path in ("/configurations", sweep):  # a row is a card: nothing of it is out of view
            cells = page.locator("table.cards tbody tr").first.locator("th, td")
            cells.last.wait_for()
            assert cells.count() >= 7
            assert all(box["x"] + box["width"] <= 390 for box in boxes(cells))
    assert (phone.errors, phone.elsewhere) == ([], [])


def boxes(cells):
    return [cell.bounding_box() for cell in cells.all()]


def test_no_page_of_another_server_may_read_the_socket(watched):
    reader = watched()
    polled = f"{reader.address}/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    answer = reader.page.request.get(polled, headers={"Origin": "http://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_theme_is_remembered(watched):
    reader = watched(color_scheme="light")
    page = reader.open("/jobs")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.locator("body.body--dark").wait_for()
    page.goto(f"{reader.address}/configurations")
    page.locator("body.body--dark").wait_for()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/configurations/..%5C..%5Cetc", "That is no id of a configuration."),
        (f"/configurations/LIQUIDITY_SWEEP_V3_20230101_000000_{'f' * 6}", "has the id"),
        ("/sweeps/nothing", "That is no id of a sweep."),
        ("/nowhere", "Nothing is at this address."),
    ],
)
def test_what_is_not_there_is_a_sentence_and_a_404(watched, path, said):
    reader = watched()
    page = reader.page
    answer = page.goto(f"{reader.address}{path}")
    assert answer.status == 404
    page.get_by_text(said).wait_for()


def test_what_was_edited_is_said_on_a_page_with_the_rest(watched, folder):
    reader = watched()
    with open_database(f"sqlite:///{folder}/var/trainings.db") as repository:
        (sweep_id,) = repository.sweeps.ids(1)
        job = repository.jobs.read(repository.sweeps.markets(sweep_id)[0].job_id)
        own, sweep = f"/jobs/{job.id}", f"/sweeps/{sweep_id}"
        (found,) = repository.configurations.find(job_id=job.id)
        ids = {"training_jobs": job.id, "sweeps": sweep_id, "trained_configurations": found.id}
        page, table = f"/configurations/{found.id}", "trained_configurations"

        def said(table, column, value, stored, *paths):
            write = text(f"UPDATE {table} SET {column} = :value WHERE id = :id")
            identity = ids[table]
            with repository.engine.begin() as connection:
                connection.execute(write, {"value": value, "id": identity})
            answers = [reader.page.request.get(f"{reader.address}{path}") for path in paths]
            with repository.engine.begin() as connection:
                connection.execute(write, {"value": stored, "id": identity})
            assert {answer.status for answer in answers} == {200}
            return answers[0].text()

        told = json.dumps(job.config)
        for value, word in (("{}", "not what was stored"), ('{"data": 5}', "cannot be read")):
            assert word in said("training_jobs", "config", value, told, sweep, own, "/jobs")
        assert "not as it was stored" in said("training_jobs", "config", "{}", told, own)
        edited = said("training_jobs", "timeframe", "banana", job.timeframe, sweep, own, "/sweeps")
        assert "not what was stored" in edited
        for column, value in (("timeframe", "banana"), ("parameters", "{}"), ("provenance", "{}")):
            stored = getattr(found, column)
            stored = stored if isinstance(stored, str) else json.dumps(stored)
            edited = said(table, column, value, stored, page, f"{page}/search", own)
            assert f"column {column} is not what was stored" in edited
        strategy = repository.sweeps.sweep(sweep_id).strategy
        assert "was changed by" in said("sweeps", "strategy", "another", strategy, sweep)


def test_what_a_search_kept_is_compared_before_anything_is_drawn(watched, folder):
    with open_database(f"sqlite:///{folder}/var/trainings.db") as repository:
        (sweep_id,) = repository.sweeps.ids(1)
        job_id = repository.sweeps.markets(sweep_id)[0].job_id
        (found,) = repository.configurations.find(job_id=job_id)
    own, reader = folder / "var/artifacts" / found.id, watched()
    file = next(own / name for name in SEARCH if (own / name).exists())
    kept, path = file.read_bytes(), f"{reader.address}/configurations/{found.id}"
    file.write_bytes(kept[:-9])
    try:
        reader.page.goto(path)
        reader.page.get_by_text(f"are damaged: artifact {file.name}").first.wait_for()
        assert reader.page.locator("#trades, .js-plotly-plot").count() == 0
        answer = reader.page.request.get(path).text()  # who runs no scripts is told, too
        assert "NOT AS IT WAS STORED" in answer
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize("path", ["/api", "/apis", "/api//x", "/api/nope"])
def test_no_page_answers_below_the_api(watched, path):
    reader = watched()
    answer = reader.page.request.get(f"{reader.address}{path}")
    assert answer.status == 404
    assert answer.json()["detail"] == "Nothing is at this address: see /api/docs."
