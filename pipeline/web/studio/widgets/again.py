"""Write the address of the form that asks for what a job, or a whole sweep, was asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from pipeline.config import catalogue
from pipeline.results.records import Job
from pipeline.validation.wording import setting
from pipeline.web.service import requests
from pipeline.web.studio.widgets.form import written

#: Fields of the form that a configuration has under the same name, by the section that holds them.
_SECTIONS = {
    "optimizer": (*requests.Random.model_fields, *requests.Bayesian.model_fields),
    "validation": (
        *requests.WalkForward.model_fields,
        *requests.Rolling.model_fields,
        *requests.TrainTestSplit.model_fields,
    ),
    "risk": tuple(requests.Risk.model_fields),
}
#: Sections whose own word the form calls otherwise.
_CHOSEN = {"optimizer": ("name", "method"), "validation": ("method", "validation")}

_BOXES = ("exchange", "pair", "timeframe")
_REST = ("space", "objective", "selection", "min_trades", "seed")


def link_again(
    first: Job, asked: Iterable[tuple[str, str, str]], markets: Sequence[catalogue.Market]
) -> None:
    """Link to the form as `address_of_all` fills it in; say so where that cannot be read."""
    try:
        address = address_of_all(first, asked, markets)
    except (AttributeError, KeyError, TypeError, ValueError):
        why = f"What job {first.id} was told is not as it was stored: it is not asked for again."
        ui.label(why).classes("wrong")
    else:
        ui.link("Again with changes", address)


def address_of(job: Job, named: bool) -> str:
    """Return the address of the form as a job was asked for.

    Parameters
    ----------
    named : bool
        Whether its market is one of `conf/market`, which have boxes to tick.
    """
    return f"/?{urlencode(dict(_words(job, named)), safe=',/:')}"


def address_of_all(
    first: Job, asked: Iterable[tuple[str, str, str]], markets: Sequence[catalogue.Market]
) -> str:
    """Return the address of the form as jobs were asked for together.

    Parameters
    ----------
    first : Job
        The first of them: the others were told the same, but for their market.
    asked : iterable of (str, str, str)
        Exchange, pair and timeframe of all.
    markets : sequence of Market
        Those of `conf/market`. Where the boxes of these cannot say it, the line does.
    """
    named = {(one.exchange, one.pair, one.timeframe): one.name for one in markets}
    wanted = list(dict.fromkeys(asked))
    if len(wanted) == 1:
        return address_of(first, wanted[0] in named)
    words = dict(_words(first, named=True))
    ticked = [list(dict.fromkeys(parts)) for parts in zip(*wanted, strict=True)]
    fitting = {key for key in named if all(map(list.__contains__, ticked, key))}
    if fitting == set(wanted):
        words |= {kind: ",".join(parts) for kind, parts in zip(_BOXES, ticked, strict=True)}
    else:
        words = {kind: word for kind, word in words.items() if kind not in _BOXES}
        words["more"] = ",".join(named.get(key, ":".join(key)) for key in wanted)
    return f"/?{urlencode(words, safe=',/:')}"


def _words(job: Job, named: bool) -> Iterator[tuple[str, str]]:
    config = job.config
    if named:
        yield from (("exchange", job.exchange), ("pair", job.pair), ("timeframe", job.timeframe))
    else:
        exchange = config["market"]["exchange"].get("ccxt_id") or job.exchange
        yield "more", f"{exchange}:{job.pair}:{job.timeframe}"
    yield "strategy", config["strategy"]["name"]
    for section, names in _SECTIONS.items():
        own, shown = _CHOSEN.get(section, ("", ""))
        for name in dict.fromkeys(filter(None, (own, *names))):
            if config.get(section, {}).get(name) is not None:
                yield (shown if name == own else name), written(config[section][name])
    yield from _days(config["data"])
    yield from _limits(job)
    exchange = config["market"]["exchange"]
    for name in requests.TradeCosts.model_fields:
        value = config.get("costs", {}).get(name)
        if value is not None and value != exchange.get(name):
            yield name, written(value)
    for name in _REST:
        yield name, written(config[name])
    for name, parameter in config["strategy"].get("parameters", {}).items():
        if parameter.get("grid"):
            yield f"p.{name}", ", ".join(setting(value) for value in parameter["grid"])


def _limits(job: Job) -> Iterator[tuple[str, str]]:
    """Yield the limits of the candles that are not the exchange's own."""
    group = "data/quality"
    has_own = job.exchange in catalogue.words(group)
    own = catalogue.read(group, job.exchange if has_own else "default")
    for name, limit in job.config["data"].get("quality", {}).items():
        if limit is not None and limit != own.get(name):
            yield name, written(limit)


def _days(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if data.get("days"):
        yield "days", written(data["days"])
    if data.get("history"):
        yield "length", str(data["history"])
    for name in ("since", "until"):
        if data.get(name):
            yield name, str(data[name])[:10]
