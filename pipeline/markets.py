"""Markets by name and by pattern: the files of `conf/market`."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

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
