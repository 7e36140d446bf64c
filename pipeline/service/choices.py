"""What a client can choose from: the files of `conf`, and the words that requests take."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_args

from omegaconf import OmegaConf

from pipeline.config import CONFIG_DIR, Objective
from pipeline.config.catalogue import markets, strategies
from pipeline.service.answers import Choices, MarketChoice, ParameterChoice


@lru_cache(maxsize=1)
def choices() -> Choices:
    """Return everything that a request may name."""
    every = list(markets().values())
    words = {
        field: list(dict.fromkeys(getattr(market, field) for market in every))
        for field in ("exchange", "pair", "timeframe")
    }
    return Choices(
        strategies={name: _parameters(name) for name in strategies()},
        markets=[MarketChoice.model_validate(market) for market in every],
        exchanges=words["exchange"],
        pairs=words["pair"],
        timeframes=words["timeframe"],
        optimizers=_files("optimizer"),
        validations=_files("validation"),
        objectives=list(get_args(Objective)),
    )


def _parameters(strategy: str) -> list[ParameterChoice]:
    declared: Any = OmegaConf.to_container(
        OmegaConf.load(CONFIG_DIR / "strategy" / f"{strategy}.yaml")
    )
    return [
        ParameterChoice(name=name, kind=one["kind"], grid=one["grid"])
        for name, one in declared["parameters"].items()
    ]


def _files(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))
