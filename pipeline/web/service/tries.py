"""Count how often the markets of a start were searched before, and say what that means."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pipeline.config import TrainConfig
from pipeline.config.data import DEFAULT_HISTORY_DAYS
from pipeline.config.history import EARLIEST, start_of
from pipeline.results.database import Repository
from pipeline.results.records import utc_now
from pipeline.results.tries import Try
from pipeline.training.provenance import config_hash
from pipeline.validation.multiple_testing import after_searches
from pipeline.validation.stages import LEVEL
from pipeline.validation.wording import number, plural
from pipeline.web.service.starts import EarlierTries


def earlier(repository: Repository, configs: Mapping[str, TrainConfig]) -> list[EarlierTries]:
    """Count the earlier searches of each market on days that its configuration asks for.

    What repeats it, or another one, in everything counts once or not at all, as in
    validation rules §3.5; here what found nothing counts too, and what still waits. Markets
    without one are left out.
    """
    tries = repository.tries.of([config.market.id for config in configs.values()])
    counted = []
    for name, config in configs.items():
        own = (config_hash(config), config.seed)
        others = {
            (one.config_hash, one.seed): one.strategy
            for one in tries
            if one.market == config.market.id and _same_days(one, config)
        }
        others.pop(own, None)
        if others:
            same = list(others.values()).count(config.strategy.name)
            counted.append(_counted(name, config.strategy.name, len(others), same))
    return counted


def _counted(market: str, strategy: str, count: int, same: int) -> EarlierTries:
    worth = after_searches(LEVEL, count)
    assert worth is not None, "the limit is a number"
    with_it = "" if same == count else f", {same} of them with {strategy}"
    return EarlierTries(
        market=market,
        count=count,
        same_strategy=same,
        worth=worth,
        sentence=f"{market} was searched {plural(count, 'time')} before on these days{with_it}."
        f" If the best of all {count + 1} is kept, a p of {number(LEVEL)} is worth"
        f" {number(worth)}.",
    )


def _same_days(one: Try, config: TrainConfig) -> bool:
    """Tell whether a search looked at days of a configuration; invented candles are the same ones.

    An open end is that of the day on which it was asked for.
    """
    asked = config.data.model_dump(mode="json")
    if _is_invented(asked) or _is_invented(one.data):
        return _candles(asked) == _candles(one.data)
    first, last = _span(asked, utc_now())
    others_first, others_last = _span(one.data, one.created_at)
    return first < others_last and others_first < last


def _is_invented(data: Mapping[str, Any]) -> bool:
    return data.get("source") == "synthetic" or data.get("surrogate") is not None


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
