"""List the markets and strategies of `conf`, and choose markets by name, pattern or part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pipeline.config import CONFIG_DIR
from pipeline.errors import UserError, suggestion

ALL = "all"


def chosen_markets(wanted: Sequence[str]) -> list[str]:
    """Return the names that ``wanted`` stands for, in alphabetical order, none twice.

    ``all`` and patterns such as ``btc_*`` stand for real markets; those of invented candles are
    chosen by their full name alone.

    Raises
    ------
    UserError
        When one of them stands for no market.
    """
    every = {path.stem: path for path in sorted((CONFIG_DIR / "market").glob("*.yaml"))}
    real = [name for name, path in every.items() if not _is_synthetic(OmegaConf.load(path))]
    chosen: set[str] = set()
    for word in wanted:
        found = [word] if word in every else real if word == ALL else _matching(word, real)
        if not found:
            raise UserError(
                f"markets={word} is no market: write {ALL}, patterns such as btc_*, or names of"
                f" {', '.join(every)}.{suggestion(word, every)}"
            )
        chosen.update(found)
    return sorted(chosen)


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _is_synthetic(market: object) -> bool:
    return isinstance(market, DictConfig) and bool(market.get("synthetic", False))


_EXCHANGE = "/exchange@exchange"


@dataclass(frozen=True)
class Market:
    """A market of `conf/market`: ``name`` is its file's; ``synthetic`` has invented candles."""

    name: str
    exchange: str
    pair: str
    timeframe: str
    synthetic: bool


@lru_cache(maxsize=1)
def markets() -> dict[str, Market]:
    """Return every market by name, those with real candles first."""
    found = [_market(path) for path in sorted((CONFIG_DIR / "market").glob("*.yaml"))]
    return {market.name: market for market in sorted(found, key=lambda m: m.synthetic)}


def strategies() -> list[str]:
    """Return the names of `conf/strategy`."""
    return sorted(path.stem for path in (CONFIG_DIR / "strategy").glob("*.yaml"))


def named(names: Sequence[str]) -> list[Market]:
    """Return markets by name, none twice.

    Raises
    ------
    UserError
        When one of them is none; it names those that are.
    """
    known = markets()
    for name in names:
        if name not in known:
            raise UserError(
                f"markets: {name} is no market; allowed are {', '.join(known)}."
                f"{suggestion(name, known)}"
            )
    return [known[name] for name in dict.fromkeys(names)]


def product(
    pairs: Sequence[str], exchanges: Sequence[str], timeframes: Sequence[str]
) -> list[Market]:
    """Return the markets of every combination.

    Two markets may differ in their candles alone, as ``demo`` and ``demo_null`` do in their pair:
    a combination stands for every market that fits it.

    Raises
    ------
    UserError
        When a word fits no market at all, or a combination fits none.
    """
    every = list(markets().values())
    for field, words in (("pair", pairs), ("exchange", exchanges), ("timeframe", timeframes)):
        allowed = sorted({getattr(market, field) for market in every})
        for word in words:
            if word not in allowed:
                raise UserError(
                    f"{field}s: no market has {word}; allowed are {', '.join(allowed)}."
                    f"{suggestion(word, allowed)}"
                )
    chosen: dict[str, Market] = {}
    for exchange in exchanges:
        for pair in pairs:
            for timeframe in timeframes:
                key = (exchange, pair, timeframe)
                fitting = {m.name: m for m in every if (m.exchange, m.pair, m.timeframe) == key}
                if not fitting:
                    raise UserError(
                        f"There is no market {exchange}:{pair}:{timeframe}; those of {exchange} are"
                        f" {', '.join(m.name for m in every if m.exchange == exchange)}."
                    )
                chosen |= fitting
    return list(chosen.values())


def _market(path: Path) -> Market:
    values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    (word,) = (d[_EXCHANGE] for d in values["defaults"] if _EXCHANGE in d)
    exchange: Any = OmegaConf.load(CONFIG_DIR / "exchange" / f"{word}.yaml")
    return Market(
        name=path.stem,
        exchange=str(exchange.name),
        pair=f"{values['base']}/{values['quote']}",
        timeframe=values["timeframe"],
        synthetic=bool(values.get("synthetic", False)),
    )
