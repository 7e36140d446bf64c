"""Names as exchanges, freqtrade and people give them."""

import pytest

from pipeline.market_data.files.names import MarketName, market_in, pair_in


@pytest.mark.parametrize(
    ("path", "pair", "timeframe"),
    [
        ("XBTUSDT_5.csv", "XBTUSDT", "5m"),
        ("XDGUSD_1440.csv", "XDGUSD", "1d"),
        ("SOLJPY_7.csv", "SOLJPY", "7m"),
        ("BTCUSDT-5m-2023-01.zip", "BTCUSDT", "5m"),
        ("BTCUSDT-1mo-2023-01-31.csv", "BTCUSDT", "1mo"),
        ("BTC_USDT-5m.json.gz", "BTCUSDT", "5m"),
        ("BTC_USDT_USDT-5m-futures.feather", "BTCUSDTUSDT", "5m"),
        ("binance_BTC-USDT_5m_2023-01_2023-12.parquet", "BTCUSDT", "5m"),
        ("BTC_USDT-5m-spot.feather", "BTCUSDT", "5m"),
        ("BTC_USDT-5m-mark.feather", "BTCUSDT-mark", "5m"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "BTCUSDTUSDT-funding_rate", "8h"),
        ("btcusdt.csv", "BTCUSDT", None),
        ("ETHBTC-5m.csv", "ETHBTC", "5m"),
        ("ETH-BTC_5m.csv", "ETHBTC", "5m"),
        ("ETHTRY.csv", "ETHTRY", None),
        ("ETH_5m.csv", "ETH", "5m"),
        ("BTCUSDT_2023.csv", "BTCUSDT", None),
        ("kraken_BTC_2023.csv", "BTC", None),
        ("binance/BTC_USDT/1h/2023-01.parquet", "BTCUSDT", "1h"),
        ("BTCUSDT-1h-2023-01.zip/BTCUSDT-5m-2023-01.csv", "BTCUSDT", "5m"),
        ("candles.csv", None, None),
    ],
)
def test_what_names_tell(path, pair, timeframe):
    assert market_in(path.split("/")) == MarketName(pair, timeframe)


@pytest.mark.parametrize(
    ("tells", "contradicts"),
    [
        (MarketName("BTCUSDT", "5m"), False),
        (MarketName("XBTUSDT", None), False),
        (MarketName(None, None), False),
        (MarketName("BTCUSD", "5m"), True),
        (MarketName("ETHUSDT", None), True),
        (MarketName("XBTUSDT", "1h"), True),
        (MarketName(None, "1mo"), True),
        (MarketName("XBT", "5m"), False),
        (MarketName("ETH", None), True),
        (MarketName("BTCUSDT-mark", "5m"), True),
    ],
)
def test_another_pair_or_timeframe_contradicts(tells, contradicts):
    assert tells.contradicts("BTC/USDT", "5m") is contradicts


def test_krakens_spelling_of_dogecoin():
    assert not MarketName("XDGUSD", "5m").contradicts("DOGE/USD", "5m")


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("my btc-fdusd.csv", ("BTC", "FDUSD")),
        ("XBTUSD_60.csv", ("XBT", "USD")),
        ("kraken_ETH_GBP_1h", ("ETH", "GBP")),
        ("candles.parquet", None),
    ],
)
def test_a_pair_anywhere_in_a_name(name, pair):
    assert pair_in(name) == pair
