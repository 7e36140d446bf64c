"""Candles of a market in one word come through the real client: spot and perpetual of OKX."""

import numpy as np
import pytest

from pipeline import lab
from pipeline.market_data.exchange import fetching
from pipeline.market_data.store.store import candle_path, load
from support.loopback import CANDLE_START, LoopbackOkx, candle_series

HOUR = 3_600_000
COUNT = 24 * 30
DAYS = ("data.since=2023-01-01", "data.until=2023-01-31")


@pytest.fixture
def okx(monkeypatch):
    series = candle_series(COUNT + 1, HOUR)  # the last one is forming
    with LoopbackOkx({"1h": series}, CANDLE_START + COUNT * HOUR + 1) as server:
        monkeypatch.setattr(fetching, "new_client", lambda _: server.client())
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
