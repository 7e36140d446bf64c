"""Candles of a market in one word come through the real client: spot and perpetual of OKX."""

import numpy as np
import pytest

from pipeline import lab
from pipeline.market_data.exchange import fetching, funding
from pipeline.market_data.store.store import candle_path, load
from support.loopback import CANDLE_START, LoopbackOkx, candle_series

HOUR = 3_600_000
COUNT = 24 * 30
DAYS = ("data.since=2023-01-01", "data.until=2023-01-31")


@pytest.fixture
def okx(monkeypatch):
    series = candle_series(COUNT + 1, HOUR)  # the last one is forming
    with LoopbackOkx({"1h": series}, CANDLE_START + COUNT * HOUR + 1) as server:
        for module in (fetching, funding):
            monkeypatch.setattr(module, "new_client", lambda *_: server.client())
        yield server


@pytest.mark.parametrize("pair", ["DOGE/USDT", "DOGE/USDT:USDT"])
def test_its_candles_are_kept_and_its_kind_alone_is_asked_for(okx, here, tmp_path, pair):
    word = f"okx:{pair}:1h"
    fetched = here(f"market={word}", *DAYS, command="fetch")
    assert fetched.status == 0, fetched.err
    rows = load(candle_path(tmp_path / "var/candles", "okx", pair, "1h")).rows
    np.testing.assert_array_equal(rows.close, [row[4] for row in okx.history["1h"][:-1]])
    kinds = {query["instType"] for query in okx.asked("instruments")}
    assert kinds == {"SWAP" if ":" in pair else "SPOT"}
    assert len(lab.candles(word, store=str(tmp_path / "var/candles"))) == COUNT


def test_a_timeframe_that_the_exchange_lacks_is_refused_with_one_to_build_it_from(okx, here):
    refused = here("market=okx:DOGE/USDT:8h", *DAYS, command="fetch")
    assert refused.status == 2
    assert "data.resample_from=4h" in refused.err


@pytest.mark.parametrize("start", ["2019-01-01", "2022-12-20", "2022-12-31T23:00"])
def test_a_history_that_begins_before_the_listing_is_fetched_from_there(okx, here, tmp_path, start):
    days = (f"data.since={start}", DAYS[1])
    fetched = here("market=okx:DOGE/USDT:1h", *days, command="fetch")
    assert fetched.status == 0, fetched.err
    assert "serves nothing before 2023-01-01 00:00 UTC: 720 candles" in fetched.err
    assert len(okx.asked("candles")) < 40
    rows = load(candle_path(tmp_path / "var/candles", "okx", "DOGE/USDT", "1h")).rows
    assert len(rows) == COUNT


def test_a_hole_that_is_longer_than_a_page_is_passed(okx, here, tmp_path):
    okx.history["1h"] = [row for row in okx.history["1h"] if not 50 <= _bar(row) < 600]
    fetched = here("market=okx:DOGE/USDT:1h", *DAYS, command="fetch")
    assert fetched.status == 0, fetched.err
    rows = load(candle_path(tmp_path / "var/candles", "okx", "DOGE/USDT", "1h")).rows
    assert [_bar([t]) for t in rows.timestamp] == [*range(50), *range(600, COUNT)]


def _bar(row):
    return (row[0] - CANDLE_START) // HOUR
