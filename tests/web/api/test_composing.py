"""A request composes what the command line composes."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.config.catalogue import markets
from pipeline.sweeps.manifest import SweepRequest, last_midnight
from pipeline.web.service.composing import choices, compose, strategy_choice
from pipeline.web.service.requests import TrainingRequest
from support.parameters import DEPTH, SPREAD

STORAGE = StorageConfig(url="sqlite:///elsewhere.db", artifacts="elsewhere", patience=60)
STORED = (
    "storage.url=sqlite:///elsewhere.db",
    "storage.artifacts=elsewhere",
    "storage.patience=60",
)


def composed(store="var/candles", **asked):
    return compose(TrainingRequest(**asked), STORAGE, store)


def commanded(*words):
    return load([*words, *STORED], TrainConfig, "train")


def test_what_is_left_out_is_as_for_a_command():
    assert composed(markets=["demo"]) == {"demo": commanded("market=demo")}


def test_everything_given_reaches_the_training():
    (config,) = composed(
        markets=["btc_binance_1h"],
        optimizer={"method": "bayesian", "trials": 30, "batch": 5},
        validation={"method": "train_test_split", "ratio": 0.6, "gap": 3},
        history={"since": "2023-01-01", "until": "2024-01-01"},
        parameters={DEPTH: [0.001, 0.002], SPREAD: [None, 5]},
        quality={"outliers": 2, "flat_share": 0.2},
        objective="sharpe_ratio",
        selection="peak",
        space="continuous",
        min_trades=3,
        seed=7,
        store="elsewhere/candles",
    ).values()
    assert config == commanded(
        "market=btc_binance_1h",
        "optimizer=bayesian",
        "optimizer.trials=30",
        "optimizer.batch=5",
        "validation=train_test_split",
        "validation.ratio=0.6",
        "validation.gap=3",
        "data.since=2023-01-01",
        "data.until=2024-01-01",
        f"strategy.parameters.{DEPTH}.grid=[0.001,0.002]",
        f"strategy.parameters.{SPREAD}.grid=[null,5]",
        "data.quality.outliers=2",
        "data.quality.flat_share=0.2",
        "objective=sharpe_ratio",
        "selection=peak",
        "space=continuous",
        "min_trades=3",
        "seed=7",
        "data.store=elsewhere/candles",
    )


def test_costs_and_risk_are_those_of_the_command():
    asked = {
        "costs": {"fee_rate": 0.0004, "maker_fee": -0.0001, "slippage": 0, "borrow_rate": 0.0003},
        "risk": {"direction": "short", "position_fraction": 0.5, "max_holding_bars": 48},
    }
    (config,) = composed(markets=["btc_binance_1h"], history={"length": "4y"}, **asked).values()
    words = [f"{group}.{key}={value}" for group in asked for key, value in asked[group].items()]
    until = f"data.until={datetime.now(UTC).date()}"
    assert config == commanded("market=btc_binance_1h", "data.history=4y", until, *words)


def test_leverage_of_a_perpetual_is_that_of_the_command():
    risk = {"leverage": 3, "maintenance_rate": 0.01, "position_fraction": 0.9}
    asked = {"risk": risk, "costs": {"funding_rate": 0.0002}, "history": {"since": "2024-01-01"}}
    (config,) = composed(markets=["binanceusdm:BTC/USDT:USDT:1h"], **asked).values()
    words = ("risk.leverage=3", "risk.maintenance_rate=0.01", "risk.position_fraction=0.9")
    words = (*words, "data.funding_rate=0.0002", "data.since=2024-01-01")
    assert config == commanded("market=binanceusdm:BTC/USDT:USDT:1h", *words)


def test_a_length_ends_at_midnight_or_at_until():
    (config,) = composed(markets=["btc_binance_1h"], history={"length": "4y"}).values()
    midnight = datetime.now(UTC).date()
    assert (config.data.history, config.data.until.date()) == ("4y", midnight)
    asked = {"length": "all", "until": "2024-01-01"}
    (config,) = composed(markets=["btc_binance_1h"], history=asked).values()
    words = ("market=btc_binance_1h", "data.history=all", "data.until=2024-01-01")
    assert config == commanded(*words)


@pytest.mark.parametrize("also", [{"days": 90}, {"since": "2023-01-01"}])
def test_one_thing_alone_says_where_a_history_begins(also):
    with pytest.raises(ValidationError):
        TrainingRequest(markets=["btc_binance_1h"], history={"length": "4y", **also})


@pytest.mark.parametrize("max_train", [None, 365])
def test_the_limit_of_a_search_reaches_the_training(max_train):
    asked = {"method": "walk_forward", "max_train": max_train}
    word = "null" if max_train is None else max_train
    expected = commanded("market=demo", f"validation.max_train={word}")
    assert composed(markets=["demo"], validation=asked) == {"demo": expected}


def test_rolling_windows_are_those_of_the_command():
    asked = {"method": "rolling", "train": 60, "step": 40}
    words = ("validation=rolling", "validation.train=60", "validation.step=40")
    expected = commanded("market=demo", *words)
    assert composed(markets=["demo"], validation=asked) == {"demo": expected}


def test_one_request_leaves_nothing_to_the_next():
    asked = {"optimizer": {"method": "random", "samples": 7}, "parameters": {DEPTH: [0.001]}}
    (config,) = composed(markets=["demo"], seed=9, min_trades=4, **asked).values()
    assert (config.seed, config.optimizer.samples, config.min_trades) == (9, 7, 4)
    (after,) = composed(markets=["demo"], optimizer={"method": "random"}).values()
    assert after == commanded("market=demo", "optimizer=random")


def test_days_are_the_newest_whole_ones():
    (config,) = composed(markets=["btc_binance_1h"], history={"days": 400}).values()
    assert config.data.days == 400
    assert config.data.until == datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)


def test_days_of_invented_candles_are_their_length():
    (config,) = composed(markets=["demo"], history={"days": 200}).values()
    assert config.data.days == 200


def test_every_combination_is_a_market():
    found = composed(pairs=["BTC/USDT", "ETH/USDT"], exchanges=["binance"], timeframes=["1h", "4h"])
    assert sorted(found) == [
        "btc_binance_1h",
        "btc_binance_4h",
        "eth_binance_1h",
        "eth_binance_4h",
    ]
    assert {config.market.id for config in found.values()} == {
        "binance:BTC/USDT:1h",
        "binance:BTC/USDT:4h",
        "binance:ETH/USDT:1h",
        "binance:ETH/USDT:4h",
    }


def test_the_catalogue_is_that_of_the_configuration():
    assert len(markets()) == 26
    for name in ("btc_kraken_5m", "demo_null"):
        market, config = markets()[name], commanded(f"market={name}").market
        assert (market.exchange, market.pair, market.timeframe, market.synthetic) == (
            *(config.exchange.name, config.pair, config.timeframe, config.synthetic),
        )


def test_choices_are_files():
    found = choices()
    assert found.optimizers == ["bayesian", "grid", "random"]
    assert strategy_choice(found.strategies[0]).parameters[0].grid == [
        *(0.0005, 0.001, 0.002, 0.003, 0.004, 0.005),
    ]


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="finite number"):
        TrainingRequest(markets=["demo"], parameters={DEPTH: [float("nan")]})


@pytest.mark.parametrize("market", ["btc_binance_1h", "eth_kraken_4h"])
def test_nothing_said_of_the_days_is_a_year_of_whole_days(market):
    (config,) = composed(markets=[market]).values()
    (year,) = composed(markets=[market], history={"days": 365}).values()
    swept = SweepRequest({market: config}, ()).pinned(last_midnight())[market]
    spans = {one.data.span_ms(0) for one in (config, year, swept)}
    assert len(spans) == 1
    assert (config.data.until_ms % 86_400_000, config.data.days) == (0, 365.0)
