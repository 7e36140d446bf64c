"""Estimate what a start would take, with one timed probe a strategy and backend."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from threading import Lock
from typing import Any

from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.candles import coverage
from pipeline.estimate.estimate import Estimate, estimate
from pipeline.estimate.probe import Speed, measure_speed
from pipeline.executors.share import cores
from pipeline.validation.stages import judge
from pipeline.validation.wording import duration
from pipeline.web.service.starts import EarlierTries, EstimateAnswer, MarketEstimate

#: One at a time: measuring beside another measurement measures that.
_MEASURING = Lock()
#: Speed by what they depend on: strategy, backend, method.
_SPEEDS: dict[str, Speed] = {}
#: Figures of the quality that a few candles mend, and the share of all that are few.
_HOLES, _FEW = {"filled_share", "longest_gap_bars", "largest_gap_jump"}, 0.1


def estimate_all(
    configs: Mapping[str, TrainConfig], concurrent: int, earlier: list[EarlierTries]
) -> EstimateAnswer:
    """Estimate a start of several markets of which ``concurrent`` run at a time."""
    with _MEASURING:
        speed = _speed(next(iter(configs.values())), concurrent)
        markets = [_market(name, config, speed) for name, config in configs.items()]
    possible = [market for market in markets if market.refused is None]
    seconds = [market.seconds for market in possible]
    heaviest = sorted((market.memory_bytes for market in possible), reverse=True)[:concurrent]
    # No schedule beats either bound, and jobs handed out one by one come close to the larger.
    total = max(max(seconds), sum(seconds) / concurrent) if seconds else 0.0
    return EstimateAnswer(
        markets=markets,
        combinations=sum(market.combinations for market in possible),
        evaluations=sum(market.evaluations for market in possible),
        memory_bytes=sum(heaviest),
        seconds=total,
        concurrent=concurrent,
        backend=speed.backend,
        warnings=[*_warnings(markets, total), *dict.fromkeys(_dear(configs.values()))],
        earlier=earlier,
    )


def _speed(config: TrainConfig, concurrent: int) -> Speed:
    """Speed of one of ``concurrent`` jobs, timed once for each strategy and backend."""
    threads = max(1, cores() // concurrent)
    backend = config.backend.model_copy(update={"threads": threads})
    config = config.model_copy(update={"backend": backend})
    key = config.model_dump_json(include={"strategy", "backend", "space"}) + config.optimizer.name
    if key not in _SPEEDS:
        _SPEEDS[key] = measure_speed(config)
    return _SPEEDS[key]


def _market(name: str, config: TrainConfig, speed: Speed) -> MarketEstimate:
    own = {"market": name, "name": config.market.id} | _candles(config)
    try:
        cost = estimate(config, speed)
    except UserError as error:
        return MarketEstimate.model_validate(
            own | {"refused": str(error).removeprefix(f"{config.market.id}: ")}
        )
    own["out_of_reach"] = _out_of_reach(cost)
    own["unfit"] = _is_unfit(cost, own.get("fetched_candles", 0))
    return MarketEstimate.model_validate(asdict(cost) | own)


def _is_unfit(cost: Estimate, fetched: int) -> bool:
    """Whether candles beyond their limits stay so, once as many more are there."""
    beyond = set(re.findall(r"(\w+) \S+ \(limit ", cost.quality))
    return fetched < _FEW * cost.bars and bool(beyond - _HOLES if fetched else beyond)


def _candles(config: TrainConfig) -> dict[str, Any]:
    """Return what is stored of a market, and what a start would fetch."""
    at_hand = coverage(config)
    if at_hand is None:
        return {}
    span = (at_hand.first, at_hand.last)
    return {
        "stored": None if None in span else span,
        "fetched": list(at_hand.missing),
        "fetched_candles": at_hand.bars,
    }


def _out_of_reach(cost: Estimate) -> bool:
    """Whether so few trades are expected that no run can leave DISCOVERY (validation rules §6)."""
    gates = judge({"sample_size": round(cost.expected_trades)})[1]
    return any(
        gate.name == "sample_size" and gate.stage == "DISCOVERY" and gate.passed is False
        for gate in gates
    )


def _warnings(markets: list[MarketEstimate], seconds: float) -> list[str]:
    warnings = [f"{market.name}: {market.power_note}." for market in markets if market.out_of_reach]
    warnings += [
        f"{market.name} cannot be trained: {market.refused}" for market in markets if market.refused
    ]
    for one in (market for market in markets if market.quality != "ok"):
        which = "its candles" if one.unfit else "candles as they are stored"
        warnings.append(
            f"{one.name}: a start refuses {which}: {one.quality}. Take other days, or raise what is"
            " beyond its limit if you mean it."
        )
    if seconds > 3600:
        warnings.append(f"All of it takes about {duration(seconds)}.")
    return warnings


def _dear(configs: Iterable[TrainConfig]) -> Iterator[str]:
    """Yield costs of over ten times the exchange's: mostly a percentage taken for a fraction."""
    for config in configs:
        for key in ("fee_rate", "slippage"):
            cost, own = getattr(config.costs, key), getattr(config.market.exchange, key)
            if cost > 10.0 * max(own, 0.0005):
                yield (
                    f"{config.market.exchange.name}: a {key.removesuffix('_rate')} of {cost:g} is"
                    f" {100.0 * cost:g} % of every order, and its own is {100.0 * own:g} %:"
                    f" write {cost / 100.0:g} if you mean {cost:g} %."
                )
