"""`data.resample_from`: a market's candles built from finer ones that are fetched and kept."""

import numpy as np
import pytest

from pipeline.config import CcxtData, ExchangeConfig, MarketConfig
from pipeline.config.data import QualityConfig
from pipeline.errors import UserError
from pipeline.market_data.exchange import fetching as exchange_module
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.resample import resampled
from pipeline.market_data.sources import fetch_candles
from pipeline.market_data.store.store import candle_path, load

START, M5, H1 = 1_672_531_200_000, 300_000, 3_600_000
LIMITS = QualityConfig(
    filled_share=None, longest_gap_bars=None, largest_gap_jump=None, zero_volume_share=None,
    flat_share=None, ohlc_violations=None, duplicates=None, out_of_order=None,
)  # fmt: skip


@pytest.fixture
def hours(binance, monkeypatch, tmp_path):
    """Fetch hours from ``since`` to ``until``, of an exchange that is asked for ``fine`` alone."""
    monkeypatch.setattr(exchange_module, "new_client", lambda _: binance.client())

    def fetch(since, until, fine="5m"):
        exchange = ExchangeConfig(
            name="binance", ccxt_id="binance", fee_rate=0, slippage=0, history_candles=None
        )
        market = MarketConfig(base="BTC", quote="USDT", timeframe="1h", exchange=exchange)
        data = CcxtData(
            source="ccxt", store=str(tmp_path), quality=LIMITS, resample_from=fine,
            since=since, until=until,
        )  # fmt: skip
        return fetch_candles(market, data, lambda done, asked: None)

    return fetch


def test_hours_are_built_from_the_5m_that_are_kept(hours, tmp_path):
    raw = hours("2023-01-01T00:30", "2023-01-02T00:30").raw
    np.testing.assert_array_equal(raw.timestamp, START + H1 * np.arange(1, 25))
    stored = load(candle_path(tmp_path, "binance", "BTC/USDT", "5m"))
    assert stored.answered == ((START + H1, START + 25 * H1),)
    expected = resampled(stored.rows, M5, H1)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name), getattr(expected, name))


def test_the_hour_that_has_not_closed_is_left_out(hours):
    """The exchange has closed 1,500 candles of 5m: 125 hours, in the last of them it is asked."""
    raw = hours("2023-01-06", "2023-02-01").raw
    np.testing.assert_array_equal(raw.timestamp, START + H1 * np.arange(120, 125))


def test_a_timeframe_that_does_not_divide_is_refused_before_anything_is_asked(hours, binance):
    with pytest.raises(UserError, match="1h candles cannot be built from 2h candles"):
        hours("2023-01-01", "2023-01-02", fine="2h")
    assert binance.asked("") == []
