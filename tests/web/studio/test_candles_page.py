"""The pages of stored candles, in a browser: what there is, one market, an import."""

import pytest

from support.contrast import poor
from support.loopback import CANDLE_START, LoopbackBinance, candle_series
from support.serving import served

HEAD = "timestamp,open,high,low,close,volume"


def written(path, rows):
    path.write_text("\n".join([HEAD, *(",".join(map(str, row)) for row in rows)]))
    return path


def look_at(page, file):
    page.locator("#candle-file").set_input_files(file)
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_role("status").get_by_text(f"{file.name} has").wait_for()
    return page.locator("#import [role=status]").inner_text()


def choose(page, section, market):
    field = page.locator(section).get_by_role("combobox").first
    field.click()
    field.fill(market)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")


def test_what_is_stored_is_listed_shown_and_added_to(watched, tmp_path):
    reader = watched()
    page = reader.open("/candles?pair=ETH/USDT")
    row = page.locator("tbody tr")
    assert row.get_by_role("link").inner_text() == "binance:ETH/USDT:15m"
    assert row.locator("td").nth(1).inner_text() == "2023-07-19"
    row.get_by_role("link").click()
    page.get_by_role("heading", name="binance:ETH/USDT:15m").wait_for()
    page.get_by_text("Quality: within the limits of a training").wait_for()
    page.locator("#coverage svg").first.wait_for()
    page.goto(f"{reader.address}/candles")
    choose(page, "#import", "binance:XRP/USDT:1h")
    rows = candle_series(48, 3_600_000)
    assert "48 new" in look_at(page, written(tmp_path / "a.csv", rows))
    page.get_by_role("button", name="Import 48 candles").click()
    page.get_by_role("link", name="binance:XRP/USDT:1h").first.wait_for()
    rows[7][5] += 1
    assert "1 stored with other figures" in look_at(page, written(tmp_path / "b.csv", rows))
    assert page.get_by_role("button", name="Import 48 candles").count() == 0
    page.get_by_role("button", name="overwrite the stored candles").click()
    page.get_by_text("1 stored with other figures. Written.").wait_for()
    rows[7][5] = -1.0  # refused, and no error in the console
    page.locator("#candle-file").set_input_files(written(tmp_path / "c.csv", rows))
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_role("status").get_by_text("must not be negative").wait_for()
    assert (reader.errors, reader.elsewhere) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_can_be_read(watched, scheme, width):
    reader = watched(color_scheme=scheme, viewport={"width": width, "height": 844})
    for path, last in (
        ("/candles?fetch=btc_binance_1h&since=2024-01-01", "Import a file"),
        ("/candles/binance:BTC/USDT:15m", "Months"),
    ):
        page = reader.open(path)
        page.get_by_role("heading", name=last).wait_for()
        if path.endswith("15m"):
            page.locator("#coverage svg").first.wait_for()
        assert poor(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (reader.errors, reader.elsewhere) == ([], [])


@pytest.mark.slow
def test_the_keyboard_alone_filters_and_opens_a_market(watched):
    page = watched().open("/candles")
    page.get_by_role("combobox", name="pair").focus()
    page.keyboard.press("Enter")
    page.get_by_role("option", name="SOL/USDT").wait_for()
    page.keyboard.type("S")
    page.get_by_role("option", name="SOL/USDT").press("Enter")
    page.wait_for_url("**/candles?pair=SOL/USDT")
    page.get_by_role("link", name="binance:SOL/USDT:15m").press("Enter")
    page.wait_for_url("**/candles/binance:SOL/USDT:15m")


FETCHING = """
import os, sys
from pipeline.web.service import candle_process
candle_process.COMMAND = (sys.executable, "-m", "support.loopback.candle_command")
"""


@pytest.mark.slow
def test_two_tabs_follow_a_fetch_which_goes_on_without_them(browser, tmp_path, monkeypatch):
    rows = {"5m": candle_series(60 * 288, 300_000)}
    with LoopbackBinance(rows, CANDLE_START + 60 * 86_400_000) as exchange:
        monkeypatch.setenv("LOOPBACK_EXCHANGE", exchange.url)
        exchange.latency_s = 0.7
        with served(tmp_path, before=FETCHING) as (_, address):
            context = browser.new_context()
            one, other = context.new_page(), context.new_page()
            words = "fetch=btc_binance_5m&since=2023-01-01&until=2023-02-20"
            one.goto(f"{address}/candles?{words}")
            other.goto(f"{address}/candles")
            one.get_by_role("button", name="Fetch", exact=True).click()
            for page in (one, other):
                page.get_by_text("of 14,400 candles, about").wait_for()
            one.close()
            other.close()
            again = context.new_page()
            again.goto(f"{address}/candles")
            again.get_by_text("of 14,400 candles, about").wait_for()
            again.get_by_role("button", name="Cancel the fetch of binance:BTC/USDT:5m").click()
            again.locator(".badge.cancelled").wait_for()
            again.get_by_role("link", name="binance:BTC/USDT:5m").wait_for()
            exchange.latency_s = 0.0
            again.goto(f"{address}/candles?{words}")
            again.get_by_role("button", name="Fetch", exact=True).click()
            again.get_by_text("14,400 candles, quality ok, ended").wait_for()
            context.close()


@pytest.mark.slow
def test_an_unknown_market_is_not_there(watched):
    reader = watched()
    page = reader.open("/candles/nobody:X/Y:5m")
    page.get_by_text("No candles of this market are stored; those of binance:BTC/USDT").wait_for()
