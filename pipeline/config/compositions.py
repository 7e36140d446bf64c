"""Let Hydra compose the same choices once a process, and change their values by words each time.

Hydra takes 0.1 s for a composition, and most compositions of a process differ in values alone:
the markets of a server, the points of a study. Hydra too makes the choices first and applies the
words that change values last, so the result is the same.
"""

import os
import pickle
from collections.abc import Sequence
from functools import lru_cache

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from pipeline.config import catalogue
from pipeline.config.catalogue import CONFIG_DIR, DECLARED


def composed(config_name: str, words: Sequence[str]) -> DictConfig:
    """Return what Hydra composes of words that it can read; it is the caller's to change.

    Raises
    ------
    HydraException
        If a group, a choice or a key is none.
    """
    overrides = OverridesParser.create().parse_overrides(list(words))
    if catalogue.search_path() or not all(map(_may_be_kept, overrides)):
        return _by_hydra(config_name, words)
    choices = tuple(str(o.input_line) for o in overrides if _is_choice(o))
    kept: DictConfig = pickle.loads(_kept(config_name, choices, _stamp()))
    # Hydra has no public name for this last step of its own.
    ConfigLoaderImpl._apply_overrides_to_config([o for o in overrides if not _is_choice(o)], kept)
    return kept


def _by_hydra(config_name: str, words: Sequence[str]) -> DictConfig:
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return hydra.compose(config_name, list(words))


def _may_be_kept(override: Override) -> bool:
    """Tell whether Hydra need not see a word each time; the user's own strategies may change."""
    key = override.key_or_group
    if override.is_sweep_override() or key.partition(".")[0].partition("/")[0] == "hydra":
        return False
    if key not in DECLARED:
        return True
    from pipeline.strategies.registry import BUILT_IN

    return override.value() in BUILT_IN


def _is_choice(override: Override) -> bool:
    """Tell whether a word chooses a file, or may do so."""
    key = override.key_or_group
    return override.package is not None or key in DECLARED or (CONFIG_DIR / key).is_dir()


@lru_cache(maxsize=64)
def _kept(config_name: str, choices: tuple[str, ...], stamp: object) -> bytes:
    """Return a composition as bytes: Python copies those eight times as fast as the objects."""
    return pickle.dumps(_by_hydra(config_name, choices))


def _stamp() -> tuple[tuple[str, int], ...]:
    """Return what tells that a file of `conf` changed while this process lives."""
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(CONFIG_DIR) for name in names)
    return tuple((path, os.stat(path).st_mtime_ns) for path in paths)  # noqa: PTH116
