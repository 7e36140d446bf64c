"""Compose the configuration of each market of a request, exactly as `pipeline.train` composes it.

A client's words become settings only after they were found among our own names, were read as a
market of ccxt or are numbers, so that no word of a client is ever a path, an address or an
interpolation.
"""

import copy
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, TypeAlias, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import (
    CcxtData,
    FetchConfig,
    Objective,
    StorageConfig,
    TrainConfig,
    catalogue,
    check,
    compose_each,
    load,
    text_hash,
)
from pipeline.config import compose as compose_config
from pipeline.errors import UserError, first_of, suggestion
from pipeline.strategies.registry import Source, load_strategy, locate
from pipeline.web.service.answers import Choices, MarketChoice, ParameterChoice, StrategyChoice
from pipeline.web.service.requests import BUDGET_LIMIT, LIST_LIMIT, History, TrainingRequest
from pipeline.web.service.trial import run_apart

#: A setting's value, as JSON has it.
Plain: TypeAlias = str | float | bool | list[float | None] | None


#: Hydra composes through one object of the whole process.
_COMPOSING = Lock()


def compose(request: TrainingRequest, storage: StorageConfig, store: str) -> dict[str, TrainConfig]:
    """Compose the configuration of every market that is asked for, by the market's name.

    Parameters
    ----------
    request : TrainingRequest
        What a client asks for.
    storage : StorageConfig
        Where the server keeps results.
    store : str
        Folder of candles of this server.

    Raises
    ------
    UserError
        When a name is unknown or a configuration is refused; it says what is allowed.
    """
    text = _source(request.strategy).text
    by_name = {market.name: market for market in _markets(request)}

    def config_of(name: str) -> TrainConfig:
        settings = tuple(_settings(request, by_name[name]))
        config = _load(_groups(request, by_name[name]), settings, text)
        places: dict[str, Any] = {"storage": storage}
        if isinstance(config.data, CcxtData):
            places["data"] = config.data.model_copy(update={"store": store})
        return config.model_copy(update=places)

    configs = compose_each(by_name, config_of)
    _check_budget(next(iter(configs.values())))
    return configs


def compose_fetch(
    market: str, store: str, history: History | None = None, **words: str | None
) -> FetchConfig:
    """Compose a fetch or an import of one market into the store of this server.

    Parameters
    ----------
    words : str or None
        Texts of other keys; what is None is left out.

    Raises
    ------
    UserError
        When there is no such market, or it is on no exchange.
    """
    (found,) = catalogue.find_markets([market])
    texts = {key: text for key, text in words.items() if text is not None} | {"data.store": store}
    if found.synthetic:
        raise UserError(
            f"{found.name} is on no exchange: its candles are invented by whoever trains on them."
            " Choose another market."
        )
    settings = () if history is None else _history(history, found)
    lines = [f"{key}={catalogue.in_quotes(text)}" for key, text in texts.items()]
    lines += [f"{key}={_word(value)}" for key, value in settings]
    with _COMPOSING:
        return load([f"market={found.name}", *lines], FetchConfig, "fetch")


def _groups(request: TrainingRequest, market: catalogue.Market) -> tuple[str, ...]:
    return (
        f"market={market.name}",
        f"strategy={request.strategy}",
        f"optimizer={request.optimizer.method}",
        f"validation={request.validation.method}",
        *catalogue.search_path(),
    )


def _markets(request: TrainingRequest) -> list[catalogue.Market]:
    if request.markets:
        return catalogue.find_markets(request.markets)
    markets = catalogue.product(request.pairs, request.exchanges, request.timeframes)
    if len(markets) > LIST_LIMIT:
        raise UserError(
            f"pairs, exchanges and timeframes come to {len(markets)} markets; at most {LIST_LIMIT}"
            " are taken at a time: ask for some of them."
        )
    return markets


def _load(
    groups: tuple[str, ...], settings: tuple[tuple[str, Plain], ...], text: str | None
) -> TrainConfig:
    """Compose and check one market's configuration; ``text`` is that of the strategy's own file.

    Hydra composes the groups, a fifth of a second each time; they stay the same while a person
    moves budgets and windows, and single settings are put into a copy as Hydra would.
    """
    config = copy.deepcopy(_composed(groups, text))
    try:
        for key, value in settings:
            OmegaConf.update(config, key, value, merge=False)
    except OmegaConfBaseException:  # a key that is none: Hydra's own refusal names it
        words = (f"{key}={_word(value)}" for key, value in settings)
        with _COMPOSING:
            return load([*groups, *words], TrainConfig, "train")
    return check(config, TrainConfig)


@lru_cache(maxsize=512)
def _composed(groups: tuple[str, ...], _text: str | None) -> DictConfig:
    """Compose the groups; a strategy's file that was edited since is another text."""
    with _COMPOSING:
        return compose_config(groups, "train")


def _settings(request: TrainingRequest, market: catalogue.Market) -> Iterator[tuple[str, Plain]]:
    """Yield single settings of one market's training: key and value."""
    for name, grid in request.parameters.items():
        yield f"strategy.parameters.{name}.grid", list(grid)
    for name, (low, high) in request.ranges.items():
        yield f"strategy.parameters.{name}.low", low
        yield f"strategy.parameters.{name}.high", high
    for group, part in (("optimizer", request.optimizer), ("validation", request.validation)):
        for key, value in part:
            if key != "method":
                yield f"{group}.{key}", value
    yield from _history(request.history, market)
    if request.history == History() and not market.synthetic:
        # The newest year in whole days: one market has those that several have.
        yield "data.until", str(datetime.now(UTC).date())
    limits = {key: limit for key, limit in request.quality if limit is not None}
    if limits and market.synthetic:
        raise UserError(
            "its candles are invented, so limits of quality mean nothing: leave out all invented"
            " markets, or start those alone, without limits."
        )
    for key, limit in limits.items():
        yield f"data.quality.{key}", limit
    for group, section in (("costs", request.costs), ("risk", request.risk)):
        for key, value in section:
            if value is not None:
                yield f"{'data' if key == 'funding_rate' else group}.{key}", value
    for key in ("space", "objective", "selection", "min_trades", "seed"):
        yield key, getattr(request, key)


def _history(history: History, market: catalogue.Market) -> Iterator[tuple[str, Plain]]:
    """Yield what chooses the days; those of real markets end at midnight UTC, to end alike."""
    if market.synthetic:
        if history.since or history.until or history.length:
            raise UserError(
                "its candles are invented and have no dates: leave out all invented markets, or"
                " start those alone, with history.days in place of history.since, history.until"
                " and history.length."
            )
        if history.days:
            yield "data.days", history.days
        return
    since, until = history.since, history.until
    if history.days:
        until = datetime.now(UTC).date()
        since = until - timedelta(days=history.days)
    if history.length:
        until = until or datetime.now(UTC).date()
        yield "data.history", history.length
    if since:
        yield "data.since", str(since)
    if until:
        yield "data.until", str(until)


def _word(value: Plain) -> str:
    """Write a value as a KEY=VALUE word has it."""
    if isinstance(value, list):
        return f"[{','.join(_word(item) for item in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _check_budget(config: TrainConfig) -> None:
    size = config.strategy.grid_size
    if config.optimizer.name == "grid" and size > BUDGET_LIMIT:
        raise UserError(
            f"optimizer: this grid has {size:,} combinations, and at most {BUDGET_LIMIT:,} are"
            " searched whole: use optimizer random or bayesian, or a smaller grid."
        )


def choices() -> Choices:
    """Return everything that a request may name; files of strategies may come and go."""
    every = list(catalogue.markets().values())
    words = {
        field: list(dict.fromkeys(getattr(market, field) for market in every))
        for field in ("exchange", "pair", "timeframe")
    }
    return Choices(
        strategies=catalogue.words("strategy"),
        markets=[MarketChoice(**asdict(market)) for market in every],
        exchanges=words["exchange"],
        pairs=words["pair"],
        timeframes=words["timeframe"],
        optimizers=catalogue.words("optimizer"),
        validations=catalogue.words("validation"),
        objectives=list(get_args(Objective)),
    )


def strategy_choice(word: str) -> StrategyChoice:
    """Return what one strategy declares; no other one is run.

    Raises
    ------
    UserError
        When it is no choice, or its file is broken; it says what is wrong, with file and line.
    """
    source = _source(word)
    strategy = load_strategy(*source)
    return StrategyChoice(
        word=word,
        name=strategy.name,
        sha256=text_hash(source.text),
        parameters=[ParameterChoice.model_validate(p) for p in strategy.parameters],
    )


def _source(word: str) -> Source:
    """Find a strategy among the choices of this server, and nowhere else on its disk."""
    words = catalogue.words("strategy")
    if word not in words:
        raise UserError(
            f"strategy: {word} is none; allowed are {first_of(words)}.{suggestion(word, words)}"
        )
    return run_apart(locate(word))
