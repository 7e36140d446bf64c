"""Count how often the markets of a start were searched before, and say what that means."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.config import DEFAULT_HISTORY_DAYS, TrainConfig
from pipeline.config.history import EARLIEST, start_of
from pipeline.results.database import Repository
from pipeline.results.records import are_invented, utc_now
from pipeline.results.tries import Try
from pipeline.training.provenance import config_hash
from pipeline.validation.multiple_testing import after_searches
from pipeline.validation.stages import LEVEL
from pipeline.validation.wording import number, plural
from pipeline.web.service.starts import EarlierTries

#: Searches that are looked at, the newest; where there are more the count is the least.
MOST = 1_000


def earlier(repository: Repository, configs: Mapping[str, TrainConfig]) -> list[EarlierTries]:
    """Count the earlier searches of each market on days that its configuration asks for.

    What repeats it, or another one, in everything counts once or not at all, as in
    validation rules §3.5; here what found nothing counts too, and what still waits. Markets
    without one are left out.
    """
    tries = repository.tries.of([config.market.id for config in configs.values()], MOST)
    by_market = defaultdict[str, list[Try]](list)
    for one in tries:
        by_market[one.market].append(one)
    counted = []
    for name, config in configs.items():
        own, is_same = (config_hash(config), config.seed), _same_days(config)
        others = {
            (one.config_hash, one.seed): one for one in by_market[config.market.id] if is_same(one)
        }
        others.pop(own, None)
        if others:
            is_all = len(tries) < MOST
            counted.append(_counted(name, config, list(others.values()), is_all))
    return counted


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
    """Return what tells whether a search looked at days of a configuration.

    Invented candles must be the same ones. An open end is that of the day on which it was asked
    for.
    """
    asked = config.data.model_dump(mode="json")
    candles, (first, last) = _candles(asked), _span(asked, utc_now())

    def is_same(one: Try) -> bool:
        if are_invented(asked) or are_invented(one.data):
            return candles == _candles(one.data)
        others_first, others_last = _span(one.data, one.created_at)
        return first < others_last and others_first < last

    return is_same


def _candles(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("quality", "store")}


def _span(data: Mapping[str, Any], end: datetime) -> tuple[datetime, datetime]:
    since, until, length = (data.get(name) for name in ("since", "until", "history"))
    end = datetime.fromisoformat(until) if until else end
    if since:
        return datetime.fromisoformat(since), end
    if length:
        return start_of(length, end), end
    is_fetched = data.get("source") == "ccxt"
    return end - timedelta(days=DEFAULT_HISTORY_DAYS) if is_fetched else EARLIEST, end
