"""Write the address of the form that asks for what a job, or a whole sweep, was asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from pipeline.config import catalogue
from pipeline.results.records import Job
from pipeline.validation.wording import setting, written
from pipeline.web.service import requests

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
    first: Job,
    asked: Iterable[tuple[str, str, str]],
    strategies: Iterable[str],
    markets: Sequence[catalogue.Market],
) -> None:
    """Link to the form as `address_of_all` fills it in; say so where that cannot be read."""
    try:
        address = address_of_all(first, asked, strategies, markets)
    except (AttributeError, KeyError, TypeError, ValueError):
        why = f"What job {first.id} was told is not as it was stored: it is not asked for again."
        ui.label(why).classes("wrong")
    else:
        ui.link("Again with changes", address)


def address_of_all(
    first: Job,
    asked: Iterable[tuple[str, str, str]],
    strategies: Iterable[str],
    markets: Sequence[catalogue.Market],
) -> str:
    """Return the address of the form as jobs were asked for together.

    Parameters
    ----------
    first : Job
        The first of them: the others were told the same, but for market and strategy.
    asked : iterable of (str, str, str)
        Exchange, pair and timeframe of all.
    strategies : iterable of str
        Those of all; of several the form takes the first, and is told the names.
    markets : sequence of Market
        Those of `conf/market`. Where the boxes of these cannot say it, the line does. Of candles
        that the form cannot take there is no market, but ``lacks``: file or candles.
    """
    named = {(one.exchange, one.pair, one.timeframe): one.name for one in markets}
    wanted, words = list(dict.fromkeys(asked)), dict(_words(first))
    if len(names := list(dict.fromkeys(strategies))) > 1:
        words["strategies"] = ",".join(names)
    ticked = [list(dict.fromkeys(parts)) for parts in zip(*wanted, strict=True)]
    fitting = {key for key in named if all(map(list.__contains__, ticked, key))}
    if lack := _lack(first.config["data"], [named.get(key, "") for key in wanted]):
        words["lacks"] = lack
    elif fitting == set(wanted):
        words |= {kind: ",".join(parts) for kind, parts in zip(_BOXES, ticked, strict=True)}
    else:
        ids = {first.exchange: first.config["market"]["exchange"].get("ccxt_id") or first.exchange}
        each = (named.get(key) or ":".join((ids.get(key[0], key[0]), *key[1:])) for key in wanted)
        words["more"] = ",".join(each)
    return f"/?{urlencode(words, safe=',/:')}"


def _lack(data: Mapping[str, Any], names: Sequence[str]) -> str:
    """Say what of the candles of markets with ``names`` the form cannot take; empty: nothing."""
    if data.get("source") == "file":
        return "file"
    is_usual = data.get("source") != "synthetic" or ("" not in names and _usual(names[0], data))
    return "" if is_usual and not data.get("surrogate") else "candles"


def _usual(market: str, data: Mapping[str, Any]) -> bool:
    """Whether invented candles are those that a market's file chooses, but for their length."""
    *_, choice = catalogue.load_file(catalogue.MARKET, market)["defaults"]
    if (kind := choice.get("override /data@_global_.data")) is None:
        return False
    usual = catalogue.read("data", kind)
    own = (usual, data), (usual["plant"] or {}, data.get("plant") or {})
    names = ("seed", "model", "annual_volatility"), ("sharpe", "nearest")
    return all(u.get(n) == o.get(n) for (u, o), of in zip(own, names, strict=True) for n in of)


def _words(job: Job) -> Iterator[tuple[str, str]]:
    config = job.config
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
