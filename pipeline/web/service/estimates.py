"""Estimate what a start would take, with one timed probe a strategy and backend."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.estimate import Estimate, estimate
from pipeline.estimate.probe import Speed, measure_speed
from pipeline.executors.share import cores
from pipeline.validation.stages import judge
from pipeline.validation.wording import duration
from pipeline.web.service.answers import EstimateAnswer, MarketEstimate

#: One at a time: measuring beside another measurement measures that.
_MEASURING = Lock()
#: Speed by what they depend on: strategy, backend, method.
_KNOWN: dict[str, Speed] = {}


def estimated(configs: Mapping[str, TrainConfig], concurrent: int) -> EstimateAnswer:
    """Estimate a start of several markets of which ``concurrent`` run at a time."""
    with _MEASURING:
        speed = _speed(next(iter(configs.values())), concurrent)
        found = [_one(name, config, speed) for name, config in configs.items()]
    possible = [one for one in found if one.refused is None]
    seconds = [one.seconds for one in possible]
    heaviest = sorted((one.memory_bytes for one in possible), reverse=True)[:concurrent]
    # No schedule beats either bound, and jobs handed out one by one come close to the larger.
    total = max(max(seconds), sum(seconds) / concurrent) if seconds else 0.0
    return EstimateAnswer(
        markets=found,
        combinations=sum(one.combinations for one in possible),
        evaluations=sum(one.evaluations for one in possible),
        memory_bytes=sum(heaviest),
        seconds=total,
        concurrent=concurrent,
        backend=speed.backend,
        warnings=_warnings(found, total),
    )


def _speed(config: TrainConfig, concurrent: int) -> Speed:
    """Speed of one of ``concurrent`` jobs, timed once for each strategy and backend."""
    threads = max(1, cores() // concurrent)
    backend = config.backend.model_copy(update={"threads": threads})
    shared = config.model_copy(update={"backend": backend})
    return _measured(shared)


def _measured(config: TrainConfig) -> Speed:
    key = config.model_dump_json(include={"strategy", "backend", "space"}) + config.optimizer.name
    if key not in _KNOWN:
        _KNOWN[key] = measure_speed(config)
    return _KNOWN[key]


def _one(name: str, config: TrainConfig, speed: Speed) -> MarketEstimate:
    try:
        found = estimate(config, speed)
    except UserError as error:
        return MarketEstimate(market=name, refused=str(error))
    return MarketEstimate(
        market=name,
        combinations=found.combinations,
        windows=found.windows,
        evaluations=found.evaluations,
        bars=found.bars,
        memory_bytes=found.memory_bytes,
        seconds=found.seconds,
        expected_trades=found.expected_trades,
        power_note=found.power_note,
        out_of_reach=_out_of_reach(found),
        candles=found.candles,
    )


def _out_of_reach(found: Estimate) -> bool:
    """Whether so few trades are expected that no run can leave DISCOVERY (validation rules §6)."""
    gates = judge({"sample_size": round(found.expected_trades)})[1]
    return any(
        gate.name == "sample_size" and gate.stage == "DISCOVERY" and gate.passed is False
        for gate in gates
    )


def _warnings(found: list[MarketEstimate], seconds: float) -> list[str]:
    warnings = [f"{one.market}: {one.power_note}." for one in found if one.out_of_reach]
    warnings += [f"{one.market} cannot be trained: {one.refused}" for one in found if one.refused]
    if seconds > 3600:
        warnings.append(f"All of it takes about {duration(seconds)}.")
    return warnings
