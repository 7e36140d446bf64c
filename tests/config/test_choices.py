"""Every word a person can type for a choice composes and is valid."""

from typing import get_args

import pytest

from gpu_engine import Costs, RiskLimits
from pipeline.config import (
    CONFIG_DIR,
    NoticeKind,
    OutboxConfig,
    ServeConfig,
    TrainConfig,
    load,
)
from pipeline.errors import UserError
from pipeline.market_data.timeframe import timeframe_ms

#: What a choice needs besides its name.
NEEDS = {
    "data=file": ["market=btc_binance_5m", "data.path=candles.parquet"],
    "data=ccxt": ["market=btc_binance_5m"],
    "storage=postgresql": ["storage.url=postgresql://localhost/training"],
}
CHOICES = [
    f"{path.parent.name}={path.stem}"
    for path in sorted(CONFIG_DIR.glob("*/*.yaml"))
    if path.parent.name not in ("exchange", "notify")
]
MARKETS = [
    f"{base}_{exchange}_{timeframe}"
    for base in ("btc", "eth", "sol")
    for exchange in ("binance", "kraken")
    for timeframe in ("5m", "15m", "1h", "4h")
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_is_valid(train_config, choice):
    assert isinstance(train_config(choice, *NEEDS.get(choice, [])), TrainConfig)


@pytest.mark.parametrize("word", ["all", "none"])
def test_what_is_told_is_everything_or_nothing(word):
    every = get_args(NoticeKind) if word == "all" else ()
    for schema, name in ((ServeConfig, "serve"), (OutboxConfig, "notices")):
        assert load([f"notify={word}"], schema, name).notify.events == every


def test_the_24_markets_and_the_two_demos_are_all_there_is():
    assert {path.stem for path in (CONFIG_DIR / "market").glob("*.yaml")} == {
        *MARKETS,
        "demo",
        "demo_null",
    }


@pytest.mark.parametrize("name", MARKETS)
def test_a_market_is_what_its_name_says(train_config, name):
    base, exchange, timeframe = name.split("_")
    market = train_config(f"market={name}").market
    assert market.id == f"{exchange}:{base.upper()}/USDT:{timeframe}"
    assert market.exchange.ccxt_id == exchange
    assert market.exchange.history_candles == {"binance": None, "kraken": 720}[exchange]
    assert not market.synthetic
    assert timeframe_ms(market.timeframe) > 0


def test_defaults_are_those_of_the_rules(train_config):
    config = train_config("market=btc_binance_5m")
    assert config.data.source == "ccxt"
    assert (config.data.since, config.data.until, config.data.days) == (None, None, 365)
    assert config.costs.record() == Costs(fee_rate=0.001, slippage=0.0005)
    assert config.risk.limits() == RiskLimits()
    assert (config.optimizer.name, config.space, config.objective) == ("grid", "grid", "net_profit")
    assert (config.min_trades, config.selection) == (10, "auto")
    window = config.validation
    assert (window.train, window.gap, window.test, window.stride) == (90, 7, 30, 30)
    assert (window.method, window.max_train) == ("walk_forward", 720)


def test_rolling_windows_differ_from_the_default_in_their_train_parts_alone(train_config):
    rolling, growing = (
        train_config(f"validation={word}").validation for word in ("rolling", "walk_forward")
    )
    own = {"method", "max_train"}
    assert rolling.model_dump(exclude=own) == growing.model_dump(exclude=own)
    assert "max_train" not in type(rolling).model_fields


def test_costs_follow_the_exchange_unless_given(train_config):
    assert train_config("market=btc_kraken_1h").costs.record() == Costs(0.004, 0.001)
    assert train_config("market=btc_kraken_1h", "costs.fee_rate=0").costs.fee_rate == 0


def test_a_makers_fee_is_the_exchanges_unless_given_and_may_be_a_rebate(train_config):
    rebate = "+market.exchange.maker_fee=-0.0001"
    assert train_config("market=btc_kraken_1h").costs.maker_fee is None
    assert train_config("market=btc_kraken_1h", rebate).costs.record().target_fee == -0.0001
    given = train_config("market=btc_kraken_1h", rebate, "costs.maker_fee=0.002").costs
    assert given.record() == Costs(0.004, 0.001, maker_fee=0.002)


@pytest.mark.parametrize("word", ["costs.maker_fee=-1", "costs.borrow_rate=-0.1"])
def test_costs_out_of_range_are_refused(train_config, word):
    with pytest.raises(UserError, match=word.split("=", maxsplit=1)[0]):
        train_config(word)


PERPETUAL = ("market=btc_binance_5m", "+market.settle=USDT")


def test_leverage_is_for_contracts_and_has_its_bounds(train_config):
    words = ("risk.leverage=3", "risk.position_fraction=0.99")
    limits = train_config(*PERPETUAL, *words).risk.limits()
    assert (limits.leverage, limits.maintenance_rate) == (3.0, 0.005)
    assert limits.exposure == pytest.approx(2.97)
    for words, complaint in (
        (("market=btc_binance_5m", "risk.leverage=3"), "is a spot market"),
        ((*PERPETUAL, "risk.leverage=0.5"), "risk.leverage"),
        ((*PERPETUAL, "risk.leverage=200"), "must be above maintenance_rate"),
        ((*PERPETUAL, "risk.leverage=3"), "at most risk.position_fraction=0.99"),
        ((*PERPETUAL, "risk.leverage=100"), "at most risk.position_fraction=0.83"),
    ):
        with pytest.raises(UserError, match=complaint):
            train_config(*words)


def test_costs_that_are_not_given_are_not_stored(train_config):
    """So what was stored before they were keys has the hash that it had."""
    config = train_config("market=btc_kraken_1h")
    assert set(config.costs.model_dump()) == {"fee_rate", "slippage"}
    assert "maker_fee" not in config.market.exchange.model_dump()
    assert not {"leverage", "maintenance_rate"} & set(config.risk.model_dump())


def test_demo_brings_its_own_candles_with_an_edge(train_config):
    demo, null = train_config("market=demo"), train_config("market=demo_null")
    assert demo.synthetic
    assert null.synthetic
    assert (demo.data.plant.sharpe, demo.data.plant.nearest) == (4.86, True)
    assert null.data.plant is None
    assert demo.data.model_copy(update={"plant": None}) == null.data


def test_dates_are_utc_and_half_open(train_config):
    data = train_config(
        "market=btc_binance_5m", "data.since=2023-01-01", "data.until=2023-07-02T02:00:00+02:00"
    ).data
    assert data.since_ms == 1_672_531_200_000
    assert data.until_ms == 1_688_256_000_000
    assert data.days == 182


def test_a_configuration_survives_json(train_config):
    config = train_config("market=btc_binance_5m", "data.since=2023-01-01", "backend.devices=[0,1]")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
