"""A market in one word: every command takes it, and a wrong one is refused without a network."""

import pytest

from pipeline.config import FetchConfig, load
from pipeline.config.catalogue import find_markets, select_markets
from pipeline.config.commands import SweepConfig
from pipeline.errors import UserError
from pipeline.sweep import compose, split


@pytest.mark.parametrize(
    ("word", "pair", "perpetual", "fee_rate"),
    [
        ("okx:DOGE/USDT:30m", "DOGE/USDT", False, 0.0015),
        ("okx:DOGE/USDT:USDT:30m", "DOGE/USDT:USDT", True, 0.0005),
        ("binanceusdm:BTC/USDT:USDT:5m", "BTC/USDT:USDT", True, 0.0005),
        ("binance:BTC/USDT:USDT:5m", "BTC/USDT:USDT", True, 0.0005),
        ("hyperliquid:kPEPE/USDC:USDC:1h", "kPEPE/USDC:USDC", True, 0.00045),
        ("coinsph:BTC/PHP:4h", "BTC/PHP", False, 0.003),
    ],
)
def test_a_market_is_what_its_word_says(train_config, word, pair, perpetual, fee_rate):
    config = train_config(f"market={word}")
    market = config.market
    assert (market.id, market.pair, market.perpetual) == (word, pair, perpetual)
    assert market.exchange.ccxt_id == market.exchange.name == word.partition(":")[0]
    assert market.exchange.history_candles is None
    assert (config.costs.fee_rate, config.costs.slippage) == (fee_rate, 0.0005)


def test_the_maker_fee_is_that_of_ccxt_and_of_a_file_the_files(train_config):
    assert train_config("market=okx:DOGE/USDT:USDT:30m").costs.maker_fee == 0.0002
    assert train_config("market=mexc:BTC/USDT:1h").costs.maker_fee == 0
    assert train_config("market=p2b:BTC/USDT:1h").costs.maker_fee is None
    assert train_config("market=kraken:DOGE/USDT:1h").costs.maker_fee is None


@pytest.mark.parametrize("word", ["p2b:BTC/USDT:1h", "weex:BTC/USDT:1h", "deribit:BTC/USDC:1h"])
def test_a_fee_that_ccxt_does_not_know_or_has_in_percent_is_the_default(train_config, word):
    assert train_config(f"market={word}").costs.fee_rate == 0.001


def test_a_spot_market_of_an_exchange_with_a_file_is_that_of_the_file(train_config):
    assert train_config("market=binance:BTC/USDT:5m") == train_config("market=btc_binance_5m")
    doge = train_config("market=kraken:DOGE/USDT:1h")
    kraken = train_config("market=btc_kraken_1h")
    assert doge.market.exchange == kraken.market.exchange
    assert doge.data.quality == kraken.data.quality


def test_fetch_takes_it_too():
    market = load(["market=okx:DOGE/USDT:30m"], FetchConfig, "fetch").market
    assert market.id == "okx:DOGE/USDT:30m"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("okex:DOGE/USDT:30m", "Did you mean 'okx'"),
        ("OKX:DOGE/USDT:30m", "Did you mean 'okx'"),
        ("okx:DOGEUSDT:30m", "BASE/QUOTE"),
        ("okx:doge/usdt:30m", "Did you mean DOGE/USDT"),
        ("okx:DOGE/USDT", "EXCHANGE:SYMBOL:TIMEFRAME"),
        ("okx::5m", "EXCHANGE:SYMBOL:TIMEFRAME"),
        ("okx:DOGE/USDT:1w", "divides a UTC day"),
        ("okx:BTC/USDT:USDT-240628:1h", "expires"),
        ("okx:BTC/USD:BTC-240628-50000-C:1h", "expires"),
        ("okx:BTC/USD:BTC:1h", "market.settle must be the quote"),
        ("binanceusdm:BTC/USDT:1h", "no spot markets"),
        ("kraken:BTC/USD:USD:1h", "no perpetual contracts"),
    ],
)
def test_a_wrong_word_is_refused(train_config, word, said):
    with pytest.raises(UserError, match=said) as refusal:
        train_config(f"market={word}")
    assert "\n" not in str(refusal.value)


def test_a_sweep_takes_words_beside_names_and_patterns():
    word, own = "okx:DOGE/USDT:30m", split(["markets=[okx:DOGE/USDT:30m,btc_binance_*]"]).own
    chosen = select_markets(load(own, SweepConfig, "sweep").markets)
    assert len(chosen) == 5
    assert chosen[-1] == word
    assert compose([word], [])[word].market.id == word


def test_a_word_that_says_what_a_file_says_is_no_second_market():
    assert select_markets(["binance:BTC/USDT:5m", "btc_binance_5m"]) == ["btc_binance_5m"]


def test_a_client_may_name_it():
    (market,) = find_markets(["okx:DOGE/USDT:USDT:30m"])
    assert (market.exchange, market.pair, market.timeframe) == ("okx", "DOGE/USDT:USDT", "30m")
    with pytest.raises(UserError, match="Did you mean 'okx'"):
        find_markets(["okex:DOGE/USDT:USDT:30m"])


def test_a_word_and_the_file_that_says_the_same_are_one_market():
    """As two tests of a sweep they would be easier on both."""
    twice = find_markets(["binance:BTC/USDT:15m", "eth_binance_4h", "btc_binance_15m"])
    assert [market.name for market in twice] == ["btc_binance_15m", "eth_binance_4h"]
