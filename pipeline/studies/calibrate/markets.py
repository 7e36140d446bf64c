"""Configure markets in which the truth is known, and real ones."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pipeline.config import (
    CostsConfig,
    FileData,
    PlantConfig,
    SurrogateConfig,
    SyntheticData,
    TrainConfig,
    load,
    strategy_name,
    strategy_word,
)
from pipeline.errors import UserError
from pipeline.strategies.registry import BUILT_IN

Kind = Literal[
    "synthetic",
    "garch_t",
    "permuted",
    "bar_flipped",
    "bootstrapped",
    "sign_flipped",
    "real",
    "reversed",
    "planted",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: No edge can be in these.
STRICT: tuple[Kind, ...] = ("synthetic", "garch_t", "permuted", "bar_flipped", "bootstrapped")
#: Days upside down keep an edge that trades both sides alike (validation rules §5.5): hardly a
#: null, but hardly an edge either.
NULL_KINDS: tuple[Kind, ...] = (*STRICT, "sign_flipped")
#: Real candles as they are, and read backwards, which makes an edge: each file once.
CONTROLS: tuple[Kind, ...] = ("real", "reversed")
#: Made by a generator, without a file, and which.
MODELS: Mapping[Kind, Literal["clock", "garch_t"]] = {"synthetic": "clock", "garch_t": "garch_t"}

CostsOf = Literal["exchange", "none"]

#: Workers share the cores, with a thread each; the stage is all that is asked about.
EVERY_RUN = ("backend.threads=1", "validation.evidence=deciding")
#: Added to a market's seed for the search and its tests, whose draws are not to be those of the
#: candles.
SEARCH_SEEDS_FROM = 1_000_000
#: What calibration decides itself.
OWN_KEYS = (
    *("strategy", "market", "market.timeframe", "seed"),
    *("data", "data.path", "data.seed", "data.model", "data.surrogate", "data.plant"),
)

FILE_NAME = re.compile(
    r"(?P<exchange>[a-z]+)_(?P<base>[A-Z0-9]+)-[A-Z0-9]+_(?P<timeframe>\d+[mhd])(?![a-z0-9])"
)


class Cell(NamedTuple):
    """A timeframe, whose costs, and a strategy: rates of error are counted within one."""

    timeframe: str
    costs: CostsOf
    strategy: str = BUILT_IN[0]

    def __str__(self) -> str:
        return f"{self.timeframe}, {'no' if self.costs == 'none' else 'with'} costs"


class Edge(NamedTuple):
    """Net annualised Sharpe ratio of the planted combination, over years of history."""

    sharpe: float
    years: float

    def __str__(self) -> str:
        return f"{self.sharpe:g}x{self.years:g}"

    @property
    def in_words(self) -> str:
        """``edge of net Sharpe 3, 4 years``."""
        years = "1 year" if self.years == 1 else f"{self.years:g} years"
        return f"edge of net Sharpe {self.sharpe:g}, {years}"


@dataclass(frozen=True)
class Market:
    """One market: its kind, the seed of its candles, its cell, and the edge planted in it."""

    kind: Kind
    seed: int
    cell: Cell
    edge: Edge | None = None


class NamedFile(NamedTuple):
    """What a file's name tells: a choice of `conf/market`, the coin, and the timeframe."""

    market: str
    coin: str
    timeframe: str


class Configurations:
    """The configuration of any market.

    Each file and each timeframe is composed once a strategy, which takes a second; a market changes
    seeds, costs and edge alone. Markets take the files of their timeframe in turn, those with a
    planted edge too; without files edges are planted in generated candles.

    Parameters
    ----------
    files : sequence of Path
        Real candles; `named` tells their market by name.
    overrides : sequence of str
        Of the configuration, for all kinds.
    strategies : sequence of str
        What chooses each strategy: a word, or the path of its file.
    """

    def __init__(
        self,
        files: Sequence[Path],
        overrides: Sequence[str],
        strategies: Sequence[str] = (BUILT_IN[0],),
    ) -> None:
        _check_overrides(overrides)
        self._overrides = (*EVERY_RUN, *overrides)
        self._words = {strategy_name(word): strategy_word(word) for word in strategies}
        self._generated: dict[tuple[str, str], TrainConfig] = {}
        self._real: dict[tuple[str, str], list[TrainConfig]] = {}
        for strategy, file in product(self._words, files):
            name = named(file)
            words = [f"market={name.market}", "data=file", f"data.path='{file}'"]
            key = (strategy, name.timeframe)
            self._real.setdefault(key, []).append(self._load(strategy, words))

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in their order."""
        return tuple(self._words)

    def files(self, timeframe: str) -> int:
        """Count the files of a timeframe."""
        return len(self._real.get((self.strategies[0], timeframe), ()))

    def of(self, market: Market) -> TrainConfig:
        """Return the configuration that trains on ``market``."""
        base = self._base(market)
        if market.cell.costs == "none":
            base = base.model_copy(update={"costs": CostsConfig(fee_rate=0.0, slippage=0.0)})
        data = base.data.model_copy(update=_candles(base, market))
        return base.model_copy(update={"seed": SEARCH_SEEDS_FROM + market.seed, "data": data})

    def _base(self, market: Market) -> TrainConfig:
        key = (market.cell.strategy, market.cell.timeframe)
        files = self._real.get(key, [])
        if files and market.kind not in MODELS:
            return files[market.seed % len(files)]
        if key not in self._generated:
            words = ["market=demo_null", f"market.timeframe={market.cell.timeframe}"]
            self._generated[key] = self._load(market.cell.strategy, words)
        return self._generated[key]

    def _load(self, strategy: str, words: Sequence[str]) -> TrainConfig:
        chosen = self._words[strategy]
        return load([*words, chosen, *self._overrides], TrainConfig, "train")


def named(file: Path) -> NamedFile:
    """Tell the market of a file by its name.

    Raises
    ------
    UserError
        If the name is not like ``binance_BTC-USDT_5m_2023.parquet``.
    """
    name = FILE_NAME.match(file.name)
    if name is None:
        raise UserError(
            f"--candles {file}: the file's name must tell its market, as in"
            " binance_BTC-USDT_5m_2023.parquet: rename the file."
        )
    coin, timeframe = name["base"].lower(), name["timeframe"]
    return NamedFile(f"{coin}_{name['exchange']}_{timeframe}", coin, timeframe)


def _candles(base: TrainConfig, market: Market) -> dict[str, Any]:
    """Return what of the candles' configuration is the market's own."""
    kind, seed, edge = market.kind, market.seed, market.edge
    if kind == "planted":
        assert edge is not None
        days = round(365 * edge.years)
        plant = PlantConfig(sharpe=edge.sharpe, costs=base.costs)
        if isinstance(base.data, SyntheticData):
            return {"seed": seed, "days": days, "plant": plant}
        surrogate = SurrogateConfig(kind="bootstrapped", seed=seed, days=days)
        return {"surrogate": surrogate, "plant": plant}
    if kind in MODELS:
        return {"seed": seed, "model": MODELS[kind]}
    assert isinstance(base.data, FileData), "the plan asks for these where there are files"
    if kind == "real":
        return {}
    values = {"kind": kind, "seed": seed, "days": 365 if kind == "bootstrapped" else None}
    return {"surrogate": SurrogateConfig.model_validate(values)}


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in OWN_KEYS or key.startswith(("data.surrogate.", "data.plant.")):
            raise UserError(
                f"{override}: calibration sets {key} itself, for every market anew: leave it out."
            )
