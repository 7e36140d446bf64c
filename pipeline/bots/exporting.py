"""Make the plan of a stored configuration: what may be traded of it, where, and at which size."""

from __future__ import annotations

from dataclasses import fields

from gpu_engine import Costs, RiskLimits
from pipeline.bots.plan import Plan, plan_strategy
from pipeline.bots.warm_up import MOST_SERVED, warm_up_candles
from pipeline.config import MarketConfig, SimulationConfig
from pipeline.config.market_word import ccxt_class
from pipeline.errors import UserError
from pipeline.market_data.timeframe import TIMEFRAMES
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review import stored
from pipeline.training.provenance import engine_hash

#: Exchanges that freqtrade 2026.9 refuses, and those whose contracts it trades, by ccxt's names.
REFUSED = ("binancecoinm", "kucoinfutures", "poloniex", "poloniexfutures", "probit")
WITH_CONTRACTS = (
    *("binance", "binanceusdm", "bitget", "bybit", "gate", "gateio", "hyperliquid"),
    *("krakenfutures", "okx"),
)


def make_plan(
    repository: Repository, configuration: Configuration, *, longs_alone: bool = False
) -> Plan:
    """Return the plan of a configuration.

    ``longs_alone`` leaves the shorts of a spot market out.

    Raises
    ------
    UserError
        When its row was edited, or freqtrade cannot trade its market.
    """
    repository.checks.agreeing(configuration.id, verified=True)
    config = stored.simulation_config(repository, configuration)
    risk = config.risk.limits()
    direction = _direction(config, risk, longs_alone)
    exchange_id = traded_exchange(configuration.id, config.market)
    costs = {f.name: getattr(config.costs.record(), f.name) for f in fields(Costs)}
    limits = {f.name: getattr(risk, f.name) for f in fields(RiskLimits)}
    return Plan(
        configuration_id=configuration.id,
        stage=configuration.lifecycle_stage,
        synthetic=configuration.synthetic,
        size=configuration.position_size,
        exchange=exchange_id,
        pair=configuration.pair,
        timeframe=configuration.timeframe,
        engine_hash=engine_hash(config.strategy),
        strategy=plan_strategy(config.strategy),
        parameters=configuration.parameters,
        costs={name: value for name, value in costs.items() if name != "funding"},
        risk=limits | {"direction": direction},
        startup_candles=_startup_candles(configuration, config),
    )


def traded_exchange(configuration_id: str, market: MarketConfig) -> str:
    """Return the exchange of a market that freqtrade trades, as ccxt calls it.

    Raises
    ------
    UserError
        When freqtrade cannot trade that market there, or in that timeframe.
    """
    exchange_id = market.exchange.ccxt_id
    if exchange_id is None:
        raise UserError(
            f"{configuration_id} was trained on {market.id}, which is on no exchange: freqtrade has"
            " nothing to trade there. Export a configuration of a real market."
        )
    if exchange_id in REFUSED:
        raise UserError(
            f"freqtrade does not trade on {exchange_id}: train the market on another exchange."
        )
    if market.perpetual and exchange_id not in WITH_CONTRACTS:
        raise UserError(
            f"freqtrade trades no contracts on {exchange_id}, only on {', '.join(WITH_CONTRACTS)}:"
            " train the contract of one of these."
        )
    offered = ccxt_class(exchange_id).timeframes or {}
    if market.timeframe not in offered:
        raise UserError(
            f"{exchange_id} serves no candles of {market.timeframe}, and freqtrade makes none of"
            f" shorter ones: train with one of {', '.join(w for w in TIMEFRAMES if w in offered)}."
        )
    return exchange_id


def _startup_candles(configuration: Configuration, config: SimulationConfig) -> int:
    """Return how many candles the signals need behind them, or refuse what a bot cannot have."""
    needed = warm_up_candles(
        config.strategy.load(), configuration.parameters, configuration.timeframe
    )
    served = config.market.exchange.history_candles or MOST_SERVED + 1
    if needed is not None and needed < served:
        return needed
    least = f"{needed:,}" if needed else f"more than {MOST_SERVED:,}"
    raise UserError(
        f"The signals of {configuration.id} need {least} candles behind them, and a bot on"
        f" {config.market.exchange.name} sees {served - 1:,}: it would trade other signals than"
        " were tested. Train with shorter periods, or on an exchange that serves more."
    )


def _direction(config: SimulationConfig, risk: RiskLimits, longs_alone: bool) -> str:
    """Return the direction that freqtrade can trade, or refuse."""
    if config.market.perpetual or risk.direction == "long":
        return risk.direction
    if risk.direction == "short":
        raise UserError(
            f"This configuration sells {config.market.pair} short alone, and freqtrade has no"
            " shorts on a spot market. Train a perpetual contract instead."
        )
    if not longs_alone:
        raise UserError(
            f"This configuration also sells {config.market.pair} short, and freqtrade has no shorts"
            " on a spot market. --longs-alone exports the longs without them; what those made alone"
            " is in the result (statistical_validation.long_alone)."
        )
    return "long"
