"""Configure markets in which the truth is known."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.config import SurrogateConfig, SyntheticData, TrainConfig, load
from pipeline.errors import UserError

Kind = Literal["synthetic", "permuted", "sign_flipped", "planted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Without an edge.
NULL_KINDS = KINDS[:-1]

#: Workers share the cores, with a thread each; the stage is all that is asked about.
EVERY_RUN = ("backend.threads=1", "validation.evidence=deciding")
#: Added to a market's seed for the search and its tests, whose draws are not to be those of the
#: candles.
SEARCH_SEEDS_FROM = 1_000_000
#: What calibration decides itself.
OWN_KEYS = ("market", "data", "seed", "data.path", "data.seed", "data.surrogate", "data.plant")

FILE_NAME = re.compile(
    r"(?P<exchange>[a-z]+)_(?P<base>[A-Z0-9]+)-[A-Z0-9]+_(?P<timeframe>\d+[mhd])(?![a-z0-9])"
)


@dataclass(frozen=True)
class Market:
    """One market: its kind, the seed of its candles, and the gross Sharpe of a planted edge."""

    kind: Kind
    seed: int
    strength: float | None = None


class Configurations:
    """The configuration of any market.

    Each kind is composed once, which takes a second; a market changes seeds and strength alone.
    Surrogates take the files in turn.

    Parameters
    ----------
    kinds : sequence of Kind
        Those that will be asked for.
    files : sequence of Path
        Real candles; `market_of` tells their market by name.
    overrides : sequence of str
        Of the configuration, for all kinds.
    """

    def __init__(
        self, kinds: Sequence[Kind], files: Sequence[Path], overrides: Sequence[str]
    ) -> None:
        _check_overrides(overrides)
        demo: dict[Kind, str] = {"synthetic": "demo_null", "planted": "demo"}
        given = (*EVERY_RUN, *overrides)
        real = [
            _load([f"market={market_of(file)}", "data=file", f"data.path='{file}'", *given])
            for file in (files if set(kinds) - demo.keys() else ())
        ]
        self._bases: Mapping[Kind, list[TrainConfig]] = {
            kind: [_load([f"market={demo[kind]}", *given])] if kind in demo else real
            for kind in kinds
        }

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of market that can be asked for."""
        return tuple(self._bases)

    def of(self, market: Market) -> TrainConfig:
        """Return the configuration that trains on ``market``."""
        bases = self._bases[market.kind]
        base = bases[market.seed % len(bases)]
        data = base.data.model_copy(update=_changes(base, market))
        return base.model_copy(update={"seed": SEARCH_SEEDS_FROM + market.seed, "data": data})


def market_of(file: Path) -> str:
    """Name the choice of `conf/market` that ``file`` holds, told by the file's name.

    Raises
    ------
    UserError
        If the name is not like ``binance_BTC-USDT_5m_2023.parquet``.
    """
    named = FILE_NAME.match(file.name)
    if named is None:
        raise UserError(
            f"--candles {file}: the file's name must tell its market, as in"
            " binance_BTC-USDT_5m_2023.parquet: rename the file."
        )
    return f"{named['base'].lower()}_{named['exchange']}_{named['timeframe']}"


def _changes(base: TrainConfig, market: Market) -> dict[str, Any]:
    """Return what of the candles' configuration is the market's own."""
    if market.kind == "synthetic":
        return {"seed": market.seed}
    if market.kind == "planted":
        assert isinstance(base.data, SyntheticData)
        assert base.data.plant is not None, "market=demo has one"
        plant = base.data.plant.model_copy(update={"sharpe": market.strength})
        return {"seed": market.seed, "plant": plant}
    return {"surrogate": SurrogateConfig(kind=market.kind, seed=market.seed, days=None)}


def _load(overrides: Sequence[str]) -> TrainConfig:
    return load(overrides, TrainConfig, "train")


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in OWN_KEYS or key.startswith(("data.surrogate.", "data.plant.sharpe")):
            raise UserError(
                f"{override}: calibration sets {key} itself, for every market anew: leave it out."
            )
