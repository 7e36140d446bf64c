"""Make the plan of a stored configuration: what may be traded of it, where, and at which size."""

from __future__ import annotations

from dataclasses import fields

from gpu_engine import Costs, RiskLimits
from pipeline.bots.plan import Plan, plan_strategy
from pipeline.config import SimulationConfig
from pipeline.errors import UserError
from pipeline.results.database import Repository
from pipeline.results.records import Configuration, ConfigurationEvent
from pipeline.review import stored
from pipeline.training.provenance import engine_hash

#: What trades by force what has no size: the least that any stage has (validation rules §6.11).
FORCED_SIZE = 0.25
#: Closed candles before the first that may be traded: with them Wilder's means forget their start.
STARTUP_CANDLES = 600


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
    repository.checks.agreeing(configuration.id)
    config = stored.simulation_config(repository, configuration)
    _, events = repository.configurations.read_with_events(configuration.id)
    risk = config.risk.limits()
    direction = _direction(config, risk, longs_alone)
    forced = _is_forced(configuration, events)
    size = configuration.position_size
    exchange = config.market.exchange
    if exchange.ccxt_id is None:
        raise UserError(
            f"{configuration.id} was trained on {config.market.id}, which is on no exchange:"
            " freqtrade has nothing to trade there. Export a configuration of a real market."
        )
    costs = {f.name: getattr(config.costs.record(), f.name) for f in fields(Costs)}
    limits = {f.name: getattr(risk, f.name) for f in fields(RiskLimits)}
    return Plan(
        configuration_id=configuration.id,
        stage=configuration.lifecycle_stage,
        synthetic=configuration.synthetic,
        forced=forced,
        size=FORCED_SIZE if forced and size == 0.0 else size,
        exchange=exchange.ccxt_id,
        pair=configuration.pair,
        timeframe=configuration.timeframe,
        engine_hash=engine_hash(config.strategy),
        strategy=plan_strategy(config.strategy),
        parameters=configuration.parameters,
        costs={name: value for name, value in costs.items() if name != "funding"},
        risk=limits | {"direction": direction},
        startup_candles=STARTUP_CANDLES,
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


def _is_forced(configuration: Configuration, events: list[ConfigurationEvent]) -> bool:
    """Say whether it is switched on, and was so by force."""
    if not configuration.is_active:
        return False
    switched = [event for event in events if event.kind == "activated"]
    return bool(switched and switched[-1].figures.get("forced"))
