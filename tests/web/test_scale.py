"""Every page and list at a hundred thousand configurations, a grid of 10⁷ and ten years of 5m."""

import time
from pathlib import Path

import httpx2 as httpx
import pytest

from pipeline.market_data.store.inventory import measured_quality
from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.results.database import open_database
from pipeline.results.rows.listing import SORT_KEYS
from support.chromium import browser
from support.databases import JOB
from support.runs import SMALL_GRID, run_here
from support.scale import copies, large_surface
from support.serving import served
from support.stored import reseal

__all__ = ["browser"]

pytestmark = pytest.mark.slow

CONFIGURATIONS, JOBS, VISITS = 100_000, 36, 100
#: Seconds of a page or a list, and megabytes of the server.
LONGEST, LARGEST = 2.0, 500.0
FIRST, DAY = 1_451_606_400_000, 86_400_000
TRAINED = ("market=demo_null", "data.days=360", "min_trades=3", "validation.evidence=deciding")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The address of a server over all of that, its process, and one id of each kind."""
    folder = tmp_path_factory.mktemp("scale")
    finished = run_here(folder, *TRAINED, "optimizer=grid", *SMALL_GRID)
    assert finished.status == 0, finished.err
    span = (FIRST, FIRST + 3650 * DAY)
    rows = synthetic_candles(3650, "5m", 1, first_ms=FIRST)
    store = folder / "candles"
    market = candle_path(store, "binance", "BTC/USDT", "5m")
    save(market, EMPTY.overlay(rows, [span]), "a test")
    assert measured_quality(market)  # as every fetch and import leave it
    url, root = f"sqlite:///{folder}/var/trainings.db", folder / "var/artifacts"
    with open_database(url) as repository:
        assert repository.dispatcher.claim()  # nobody runs what waits
        (found,) = repository.configurations.find()
        assert large_surface(root, found) == 10**7
        reseal(repository, root)
        copies(repository, CONFIGURATIONS)
        config = repository.jobs.read(found.job_id).config
        jobs = [repository.jobs.create(**JOB | {"config": config}) for _ in range(JOBS)]
        words = (f"storage.artifacts={root}", f"store={store}")
        with served(folder, *words, url=url, dispatches=False) as (process, address):
            yield address, process.pid, found.id, jobs[0]


def resident(pid):
    """Megabytes that a process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def lists(found):
    """Addresses of the API that list something, or show one thing of the largest kind."""
    one = f"/api/configurations/{found}"
    for sort in SORT_KEYS:
        yield f"/api/configurations?sort={sort}"
    yield from (
        "/api/configurations?limit=200&offset=99000",
        "/api/configurations?sort=p_value&descending=false&stage=MATURE&exchange=kraken&limit=200",
        "/api/configurations/active",
        "/api/training/jobs",
        "/api/training/choices",
        "/api/sweeps",
        "/api/signals",
        "/api/candles",
        "/api/candles/binance/BTC/USDT/5m",
        "/api/candles/binance/BTC/USDT/5m?bars=1500",
        one,
        *(f"{one}/{part}" for part in ("explanation", "trades", "equity", "windows", "trials")),
        f"{one}/heatmap?x=stop_distance&y=target_multiple",
    )


def pages(found, job):
    """Addresses of pages, and what is there when all of it is."""
    return {
        "/": "text=What it takes",
        "/jobs": "tr.job",
        f"/jobs/{job}": "main h1",
        "/configurations": "tbody tr",
        "/configurations?sort=p_value&descending=false&page=3999": "tbody tr",
        f"/configurations/{found}": "body:has(#excursions svg):has(#trades svg)",
        f"/configurations/{found}/search": "body:has(#best-lines svg):has(#best-equity svg)",
        "/candles": "tbody tr",
        "/candles/binance:BTC/USDT:5m": "text=Held against",
        "/live": "text=Switch another on",
        "/sweeps": "main h1",
    }


def show(title, rows):
    """Print a table of seconds."""
    print(f"\n{title}")
    for name, *seconds in rows:
        print(f"{name:80.80}", *(f"{value:8.2f}" for value in seconds))


def test_every_list_is_quick(large):
    address, _, found, _ = large
    rows = []
    for path in lists(found):
        took = []
        for _ in range(2):
            begin = time.perf_counter()
            with httpx.stream("GET", f"{address}{path}", timeout=120) as answer:
                took.append(time.perf_counter() - begin)
                answer.read()
            assert answer.status_code == 200, (path, answer.text[:300])
            took.append(time.perf_counter() - begin)
        rows.append((path, *took))
    show("lists: first byte, complete; and again", rows)
    assert [row[0] for row in rows if row[2] > LONGEST] == []


def test_every_page_is_quick_and_gives_its_memory_back(large, browser):
    """Each in a tab of its own, of a browser that has the scripts; shown too: one that has none."""
    address, pid, found, job = large
    shown = pages(found, job)
    rows, before = [], resident(pid)
    reader = browser.new_context()
    visit(reader, address, "/sweeps", "main h1")
    for path, last in shown.items():
        rows.append((path, *visit(reader, address, path, last)))
        rows.append(("  again", *visit(reader, address, path, last), resident(pid)))
    cold = [(path, *visit(browser, address, path, last)) for path, last in shown.items()]
    show("pages: first byte, heading, complete, MB", rows)
    show("the same in a new browser", cold)
    for number in range(VISITS - 3 * len(shown) - 1):
        path = list(shown)[number % len(shown)]
        visit(reader, address, path, shown[path])
    time.sleep(10)  # a page is kept for who comes back at once
    after = resident(pid)
    print(f"memory: {before:.0f} MB before, {after:.0f} MB after {VISITS} visits")
    assert [row[0] for row in rows if row[3] > LONGEST] == []
    assert after <= LARGEST


def visit(place, address, path, last):
    """Open a page in a new tab of a reader's browser, or in a new browser, and close it.

    Returns the seconds to the first byte, the heading, and all of it.
    """
    page = place.new_page()
    begin = time.perf_counter()
    page.goto(f"{address}{path}", wait_until="commit", timeout=120_000)
    first = time.perf_counter() - begin
    page.locator("h1").first.wait_for(timeout=120_000)
    heading = time.perf_counter() - begin
    page.locator(last).first.wait_for(timeout=120_000)
    complete = time.perf_counter() - begin
    page.close()
    return first, heading, complete
