"""Count how often the markets of a start were searched before, and say what that means."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.config import CcxtData, TrainConfig
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.records import are_invented, utc_now
from pipeline.results.searches import Tries, Try
from pipeline.training.provenance import config_hash
from pipeline.validation.multiple_testing import after_searches
from pipeline.validation.stages import LEVEL
from pipeline.validation.wording import number, plural
from pipeline.web.service.starts import EarlierTries

#: Searches that are looked at, the newest; where there are more the count is the least.
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
    candles = _candles(asked)
    first, last = _span(asked, utc_now()) or (utc_now(), utc_now())

    def is_same(one: Try) -> bool:
        if are_invented(asked) or are_invented(one.data):
            return candles == _candles(one.data)
        if one.search is not None:
            return first <= one.search.last and one.search.first < last
        others = _span(one.data, one.created_at)
        return others is not None and first < others[1] and others[0] < last

    return is_same


def _candles(data: Mapping[str, Any]) -> dict[str, Any]:
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
