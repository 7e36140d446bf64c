"""Windows of too few bars are refused before candles are asked for, with words that work."""

import pytest

from pipeline.config import TrainConfig, load, validate
from pipeline.config.catalogue import markets
from pipeline.config.validation import bars_a_day, too_few_bars
from pipeline.errors import UserError
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.web.service.composing import compose
from pipeline.web.service.requests import TrainingRequest

COARSE = ("1d", "12h", "8h", "4h")
MARKETS = ("demo", "okx:DOGE/USDT:1h", "kraken:DOGE/USDT:1h")
METHODS = ("walk_forward", "rolling", "train_test_split")


@pytest.fixture(scope="module")
def composed():
    """Configurations by market and method, composed once."""
    return {
        (market, method): load([f"market={market}", f"validation={method}"], TrainConfig, "train")
        for market in MARKETS
        for method in METHODS
    }


@pytest.fixture(scope="module")
def daily():
    return load(["market=okx:DOGE/USDT:1d", "min_trades=1"], TrainConfig, "train")


def changed(config, *words):
    """The configuration with other windows, another length, another timeframe or min_trades."""
    for word in words:
        key, _, text = word.partition("=")
        group, _, name = key.rpartition(".")
        value = None if text == "null" else int(text) if text.isdecimal() else text
        part = getattr(config, group) if group else config
        part = part.model_copy(update={name: value})
        config = config.model_copy(update={group: part}) if group else part
    return config


def refusal(config, *words):
    config = changed(config, *words)
    few = too_few_bars(config.validation, config.market, config.data, config.min_trades)
    return few or (config.data.days and config.validation.complaint(config.data.days))


def typed(sentence):
    """The words of each way that a sentence names."""
    ways = sentence.partition("Write ")[2].removesuffix(".").split(", or ")
    return [way.partition(" within")[0].split() for way in ways if way]


def test_bars_of_a_day_are_those_of_the_candles():
    assert {t: 86_400_000 // ms for t, ms in TIMEFRAMES.items()} == {
        t: bars_a_day(t) for t in TIMEFRAMES
    }


@pytest.mark.parametrize("market", MARKETS)
def test_the_default_windows_do_down_to_8h(composed, market):
    config = composed[market, "walk_forward"]
    assert [t for t in COARSE if refusal(config, f"market.timeframe={t}")] == ["1d", "12h"]


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "more", [(), ("min_trades=15",), ("validation.test=3",), ("validation.gap=40",)]
)
def test_the_words_that_a_refusal_names_work(composed, market, method, more):
    for timeframe in COARSE:
        words = (f"market.timeframe={timeframe}", *more)
        refused = refusal(composed[market, method], *words)
        assert refused or timeframe in ("8h", "4h") or method == "train_test_split"
        for way in typed(refused or ""):
            assert refusal(composed[market, method], *words, *way) is None, way


@pytest.mark.parametrize(
    ("more", "ways"),
    [
        ((), [["validation.train=540", "validation.test=180", "data.history=3y"],
              ["validation.train=200"]]),
        (("data.history=4y",), [["validation.train=540", "validation.test=180"]]),
        (("data.history=all",), [["validation.train=540", "validation.test=180"]]),
        (("validation.step=45",),
         [["validation.train=540", "validation.test=180", "validation.step=null",
           "data.history=3y"], ["validation.train=200"]]),
        (("validation.max_train=100",),
         [["validation.train=540", "validation.test=180", "validation.max_train=null",
           "data.history=3y"], ["validation.train=200", "validation.max_train=null"]]),
    ],
)  # fmt: skip
def test_the_words_fit_the_history_that_is_wanted(daily, more, ways):
    assert typed(refusal(daily, "min_trades=10", *more)) == ways


def test_days_that_are_given_are_not_lengthened_and_those_of_a_file_are_unknown():
    for words, way in (
        (("data.since=2023-01-01", "data.until=2024-01-01"), ["validation.train=200"]),
        (("data=file", "data.path=x.csv"), ["validation.train=540", "validation.test=180"]),
    ):
        with pytest.raises(UserError) as refused:
            load(["market=okx:DOGE/USDT:1d", *words], TrainConfig, "train")
        assert typed(str(refused.value)) == [way]


def test_more_than_an_exchange_serves_is_not_advised(composed):
    kraken, days = composed["kraken:DOGE/USDT:1h", "walk_forward"], "market.timeframe=1d"
    assert "data.history" not in refusal(kraken, days)
    assert "data.history" in refusal(kraken, days, "data.kraken=trades")


def test_every_named_market_goes_on_as_it_did(composed):
    config = composed["okx:DOGE/USDT:1h", "walk_forward"]
    for timeframe in {market.timeframe for market in markets().values()}:
        assert refusal(config, f"market.timeframe={timeframe}") is None


def test_a_test_of_few_bars_is_refused_too(composed):
    config = composed["okx:DOGE/USDT:1h", "walk_forward"]
    short = ("market.timeframe=4h", "validation.test=1")
    assert "validation.test=1 is 6 bars" in refusal(config, *short)
    assert refusal(config, "market.timeframe=1h", "validation.test=1") is None


def test_fewer_trades_need_fewer_bars(daily):
    assert refusal(daily, "min_trades=4") is None


def test_what_was_stored_is_still_read(daily):
    values = daily.model_dump(mode="json") | {"min_trades": 10}
    assert validate(values, TrainConfig).min_trades == 10


def test_a_client_reads_the_same_sentence(daily):
    request = TrainingRequest(markets=["okx:DOGE/USDT:1d"])
    with pytest.raises(UserError) as refused:
        compose(request, None, "candles")
    assert str(refused.value) == f"okx:DOGE/USDT:1d: {refusal(daily, 'min_trades=10')}"
