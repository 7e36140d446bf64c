"""Who leaves early is no fault, and is not in the server's log; real faults are."""

import contextlib
import logging
import socket
import time
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from pipeline.web.studio.mounting import RECONNECT
from pipeline.web.studio.reader import OfOpenPages, PageLeftError
from support.serving import served

#: Seconds after which NiceGUI takes a page for left, and some more.
FORGOTTEN = RECONNECT + 1.5


def addresses(page, address):
    """Return the addresses of all pages, those of one thing as well."""
    page.goto(f"{address}/sweeps")
    sweep = page.locator("main a[href^='/sweeps/']").first.get_attribute("href")
    page.goto(f"{address}{sweep}")
    stored = page.locator("main a[href^='/configurations/']").first.get_attribute("href")
    job = httpx.get(f"{address}/api/training/jobs").json()["jobs"][0]["id"]
    names = ("", "jobs", "configurations", "candles", "live", "sweeps")
    one = ("/candles/binance:BTC/USDT:15m", f"/jobs/{job}", sweep)
    return stored, [*(f"/{name}" for name in names), *one], f"/api/training/jobs/{job}/events"


def leave(page, address, path, seconds, way):
    """Open a page and leave it after a while."""
    with contextlib.suppress(Exception):  # a page that is closed while it loads
        page.goto(f"{address}{path}", wait_until="commit")
        page.wait_for_timeout(1000 * seconds)
        if way == "reload":
            page.evaluate("setTimeout(() => location.reload(), 0)")
            page.wait_for_timeout(30)
        if way == "away":
            page.goto("about:blank", wait_until="commit")


def hang_up(address, path, after, method="GET", body=b""):
    """Ask something, read ``after`` bytes of the answer, and reset the connection."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port)) as connection:
        length = f"Content-Length: {len(body) * 2}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\n{length}"
        head += "Content-Type: application/json\r\n\r\n"
        connection.sendall(head.encode() + body)
        if after:
            connection.recv(after)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


EARLY = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


@pytest.mark.parametrize(
    ("moments", "few"), [((0.1,), 0), pytest.param(EARLY, None, marks=pytest.mark.slow)]
)
def test_who_leaves_early_is_not_in_the_log(watched, log, moments, few):
    reader = watched()
    address, context = reader.address, reader.page.context
    stored, others, events = addresses(reader.page, address)
    paths = [stored, *others[:few]]
    asked = (*paths, events, "/api/signals/events", "/api/configurations", "/api/docs")
    for seconds in moments:
        for path in paths:
            page = context.new_page()
            page.set_default_timeout(3_000)  # a way that meets a reload may never end
            for way in ("reload", "away", "closed"):
                leave(page, address, path, seconds, way)
            page.close()
        for path in asked:
            for after in (0, 1, 4096):
                hang_up(address, path, after)
        for path in ("/api/training/start", "/api/candles/imports?market=demo&file=x.csv"):
            hang_up(address, path, 0, "POST", b'{"markets": [')
        hang_up(address, "/_nicegui/auto/static/nicegui.js", 10)
    reader.page.close()
    time.sleep(FORGOTTEN)
    assert log() == ""


def logged(error):
    """Whether an exception is logged as that of a page."""
    record = logging.LogRecord("nicegui", logging.ERROR, "", 0, "", (), (type(error), error, None))
    return OfOpenPages().filter(record)


def test_a_fault_of_a_page_is_logged():
    assert not logged(PageLeftError())
    assert all(logged(error) for error in (ValueError("x"), RuntimeError("x"), KeyError("x")))
    assert OfOpenPages().filter(logging.LogRecord("x", logging.ERROR, "", 0, "", (), None))


BROKEN = """
from nicegui import ui
from pipeline.web import server
mount = server.mount
def broken(app, service):
    @ui.page("/broken")
    async def page():
        await ui.context.client.connected()
        ui.label("it is open")
        ui.timer(0.1, lambda: 1 / 0, once=True)
        raise KeyError("this is broken")
    mount(app, service)
server.mount = broken
"""


@pytest.mark.slow
def test_a_page_that_is_broken_is_in_the_log(browser, tmp_path):
    with served(tmp_path, before=BROKEN) as (process, address):
        page = browser.new_page()
        page.goto(f"{address}/broken")
        page.get_by_text("it is open").wait_for()
        time.sleep(2)
        page.close()
        process.terminate()
        log = process.stderr.read()
    assert "this is broken" in log
    assert "ZeroDivisionError" in log
