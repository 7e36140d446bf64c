"""Estimate what a start would take, and count how often its markets were searched before.

What it takes is reckoned from one timed probe a strategy and backend.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from pipeline.config import CcxtData, TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.candles import coverage
from pipeline.estimate.estimate import Estimate, estimate
from pipeline.estimate.probe import Speed, measure_speed
from pipeline.executors.share import cores
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.records import are_invented, utc_now
from pipeline.results.rows.searches import Tries, Try
from pipeline.training.provenance import config_hash
from pipeline.validation.multiple_testing import after_searches
from pipeline.validation.stages import LEVEL, judge
from pipeline.validation.wording import duration, number, plural
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


#: Earlier searches that are looked at, the newest; where there are more the count is the least.
MOST = 1_000


def earlier(stored: Tries, configs: Mapping[str, TrainConfig]) -> list[EarlierTries]:
    """Count the earlier searches of each market on days that its configuration asks for.

    These are the searches of validation rules §3.5, by the candles that they stored; and those
    that wait or run, where what they ask for tells their days. Markets without one are left out.
    """
    tries = stored.of([config.market.id for config in configs.values()], MOST)
    by_market = defaultdict[str, list[Try]](list)
    for one in tries:
        by_market[one.market].append(one)
    counted = []
    for name, config in configs.items():
        if others := _others(config, by_market[config.market.id]):
            counted.append(_counted(name, config, others, len(tries) < MOST))
    return counted


def _others(config: TrainConfig, tries: Sequence[Try]) -> list[Try]:
    """Return the searches of a configuration's days, none twice and none that repeats it.

    A repetition that is stored has other candles where the end is open and a bar has closed since.
    """
    own, is_same = (config_hash(config), config.seed), _same_days(config)
    moves = isinstance(config.data, CcxtData) and config.data.until is None
    closed = utc_now() - 2 * timedelta(milliseconds=timeframe_ms(config.market.timeframe))
    stored, open_ = dict[Any, Try](), dict[Any, Try]()
    for one in filter(is_same, tries):
        key = one.config_hash, one.seed
        if one.search is None:
            open_[key] = one
        elif key != own or (moves and one.search.last <= closed):
            stored[one.search.identity] = one
    seen = {own, *(identity[:2] for identity in stored)}
    return [*stored.values(), *(one for key, one in open_.items() if key not in seen)]


def _counted(market: str, config: TrainConfig, others: Sequence[Try], is_all: bool) -> EarlierTries:
    strategy, shown = config.strategy.name, config.market.id
    count = len(others)
    same = sum(one.strategy == strategy for one in others)
    waiting = sum(one.status != "completed" for one in others)
    worth = after_searches(LEVEL, count)
    assert worth is not None, "the limit is a number"
    least = "" if is_all else "at least "
    parts = [] if same == count else [f"{same} of them with {strategy}"]
    if waiting:
        which = "which" if waiting == count else f"{waiting} of them"
        parts.append(f"{which} {'waits or runs' if waiting == 1 else 'wait or run'} still")
    return EarlierTries(
        market=market,
        count=count,
        waiting=waiting,
        same_strategy=same,
        worth=worth,
        sentence=f"{shown} was searched {least}{plural(count, 'time')} before on these days"
        f"{''.join(f', {part}' for part in parts)}."
        f" If the best of all {count + 1} is kept, a p of {number(LEVEL)} is worth"
        f" {number(worth)}.",
    )


def _same_days(config: TrainConfig) -> Callable[[Try], bool]:
    """Return what tells whether a search looked, or will look, at days of a configuration.

    Invented candles must be the same ones.
    """
    asked = config.data.model_dump(mode="json")
    candles = _invention(asked)
    first, last = _span(asked, utc_now()) or (utc_now(), utc_now())

    def is_same(one: Try) -> bool:
        if are_invented(asked) or are_invented(one.data):
            return candles == _invention(one.data)
        if one.search is not None:
            return first <= one.search.last and one.search.first < last
        others = _span(one.data, one.created_at)
        return others is not None and first < others[1] and others[0] < last

    return is_same


def _invention(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides how invented candles come out."""
    return {name: value for name, value in data.items() if name not in ("quality", "store")}


def _span(data: Mapping[str, Any], end: datetime) -> tuple[datetime, datetime] | None:
    """Return the days asked for, up to ``end``; None of a file: only it knows its own."""
    texts = (data.get(name) for name in ("since", "until"))
    since, until = (datetime.fromisoformat(text) if text else None for text in texts)
    span = CcxtData.model_construct(since=since, history=data.get("history"))
    start, is_open = span.starts(until or end), not until or not (since or data.get("history"))
    if start is None or (is_open and data.get("source") == "file"):
        return None
    return start, until or end
