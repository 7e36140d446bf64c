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
        ("binance_BTC-USDT_5m_2023-01_2023-12.parquet", "BTCUSDT", "5m"),
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


MARK, INDEX, PREMIUM, FUNDING = "mark prices", "index prices", "premium indices", "funding rates"


@pytest.mark.parametrize(
    ("path", "contract", "prices"),
    [
        ("BTC_USDT-5m.feather", None, None),
        ("BTC_USDT-5m-spot.feather", "spot", None),
        ("BTC_USDT_USDT-5m-futures.feather", "linear", None),
        ("BTC_USD_BTC-5m-futures.feather", "inverse", None),
        ("BTC_USDT-5m-mark.feather", None, MARK),
        ("BTC_USDT_USDT-5m-index.feather", "linear", INDEX),
        ("BTC_USDT_USDT-5m-premiumIndex.feather", "linear", PREMIUM),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "linear", FUNDING),
        ("futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2023-01.zip", "linear", None),
        ("futures/cm/monthly/klines/BTCUSD_PERP/5m/BTCUSD_PERP-5m-2023-01.zip", "inverse", None),
        ("spot/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2023-01.zip", "spot", None),
        ("um/monthly/markPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2023-01.zip", "linear", MARK),
        ("um/monthly/indexPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2023-01.zip", "linear", INDEX),
        ("um/monthly/premiumIndexKlines/BTCUSDT/5m/BTCUSDT-5m-2023-01.zip", "linear", PREMIUM),
        ("um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2023-01.zip", "linear", FUNDING),
        ("BTCUSD_PERP-5m-2023-01.zip", "inverse", None),
        ("BTCUSDT_230630-5m-2023-01.zip", "dated", None),
        ("BTCUSDT_202301.csv", None, None),
        ("BINANCE_BTCUSDT.P, 5.csv", "linear", None),
        ("BTC-USDT-SWAP_5m.csv", "linear", None),
        ("BTC-USD-SWAP_5m.csv", "inverse", None),
        ("PERPUSDT-5m-2023-01.zip", None, None),
        ("binance_INDEX-USDT_5m.csv", None, None),
        ("benchmark_BTCUSDT.csv", None, None),
        ("Binance_BTCUSDT_spot_5m.csv", "spot", None),
    ],
)
def test_what_names_tell_of_contracts_and_prices(path, contract, prices):
    name = market_in(path.split("/"))
    assert (name.contract, name.prices) == (contract, prices)


def test_only_folders_of_an_exchange_tell_above_the_path():
    above = ("home", "futures", "mark", "um", "monthly")
    assert market_in(["BTCUSDT-5m-2023-01.zip"], above).contract == "linear"
    assert market_in(["BTCUSDT-5m-2023-01.zip"], ("futures", "mark")).contract is None
    assert market_in(["x.csv"], ("um", "spot")).contract == "spot"  # the nearest


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
        (MarketName("BTCUSDT", "5m", prices=MARK), True),
        (MarketName("BTCUSDT", "5m", "spot"), False),
        (MarketName("BTCUSDT", "5m", "linear"), True),
        (MarketName("BTCUSDT", "5m", "inverse"), True),
    ],
)
def test_another_pair_or_timeframe_contradicts(tells, contradicts):
    assert tells.contradicts("BTC/USDT", "5m") is contradicts


@pytest.mark.parametrize(
    ("contract", "contradicts"),
    [(None, False), ("linear", False), ("spot", True), ("inverse", True), ("dated", True)],
)
def test_a_perpetual_takes_no_other_contract(contract, contradicts):
    tells = MarketName("BTCUSDT", "5m", contract)
    assert tells.contradicts("BTC/USDT:USDT", "5m") is contradicts


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
