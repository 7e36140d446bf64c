"""Let Hydra compose what has no file in `conf`: strategies from their class, markets in one word.

To Hydra ``strategy=WORD`` and ``strategy=path/to/file.py`` are files of the group ``strategy``, and
a strategy's parameters one of the group ``parameters``; ``market=okx:DOGE/USDT:30m`` is a file of
the group ``market``. `register` adds the places where it finds them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from pipeline.config import settings
from pipeline.config.catalogue import (
    COMBINATION,
    DECLARED,
    MARKET,
    STRATEGY,
    escaped,
    load_file,
    read,
    words,
)
from pipeline.config.market_word import is_market_word
from pipeline.errors import UserError

SCHEME, MARKETS = "strategies", "markets"
PATH_KEY = "strategy_path"


class MarketSource(ConfigSource):
    """Gives Hydra the markets in one word."""

    @staticmethod
    def scheme() -> str:
        """Return how its addresses begin."""
        return MARKETS

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a market; what is wrong with its word is a `UserError`."""
        config = OmegaConf.create(load_file(*config_path.split("/", 1)))
        return ConfigResult(self.provider, f"{MARKETS}://{self.path}", config, {"package": None})

    def is_group(self, config_path: str) -> bool:
        """Tell whether a path is the group."""
        return config_path.strip("/") == MARKET

    def is_config(self, config_path: str) -> bool:
        """Tell whether a path is a market in one word; one that is none is refused when loaded."""
        group, _, word = config_path.partition("/")
        return group == MARKET and is_market_word(word)

    def available(self) -> bool:
        """Tell that it is here."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """List the group; its words cannot be counted."""
        at_top = not config_path.strip("/") and results_filter != ObjectType.CONFIG
        return [MARKET] if at_top else []


class StrategySource(ConfigSource):
    """Gives Hydra the choices of the groups that a strategy declares."""

    @staticmethod
    def scheme() -> str:
        """Return how its addresses begin."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a choice; what is wrong with it is a `UserError`."""
        group, _, word = config_path.partition("/")
        try:
            values = read(group, word)
        except UserError as error:
            if group != COMBINATION:
                raise
            raise UserError(
                f"parameters={word} is no strategy: give each value by a word of its own,"
                " parameters.NAME=VALUE. scripts/explain shows those of what is stored."
            ) from error
        config = OmegaConf.create(_literal(values))
        address = f"{SCHEME}://{self.path}"
        return ConfigResult(self.provider, address, config, {"package": None})

    def is_group(self, config_path: str) -> bool:
        """Tell whether a path is one of the groups."""
        return config_path.strip("/") in DECLARED

    def is_config(self, config_path: str) -> bool:
        """Tell whether a path is a choice; a word that is none is refused by `registry.locate`."""
        group, _, word = config_path.partition("/")
        return group in DECLARED and bool(word)

    def available(self) -> bool:
        """Tell that it is here."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """List the choices of a group, or the groups."""
        if not config_path.strip("/"):
            return [] if results_filter == ObjectType.CONFIG else sorted(DECLARED)
        group = results_filter == ObjectType.GROUP or not self.is_group(config_path)
        return [] if group else words(STRATEGY)


def _literal(value: Any) -> Any:
    """Return a choice's values with every ``${`` in a text, such as a path, standing for itself."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


class OwnSearchPath(SearchPathPlugin):
    """Adds the sources to the places where Hydra looks, after `conf`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them."""
        for scheme in (SCHEME, MARKETS):
            search_path.append(provider=scheme, path=f"{scheme}://")


@cache
def register() -> None:
    """Make Hydra know the sources, once a process."""
    settings.register()
    for plugin in (StrategySource, MarketSource, OwnSearchPath):
        Plugins.instance().register(plugin)


def search_path_of(words: Sequence[str]) -> None:
    """Look for strategies in the folders that ``strategy_path=`` among ``words`` names.

    Hydra needs the choices before it has composed the key.

    Raises
    ------
    UserError
        When one is no folder.
    """
    for word in words:
        if word.lstrip("+").startswith(f"{PATH_KEY}="):
            from pipeline.strategies.registry import search_in

            (readable,) = settings.quoted([word])
            if not settings.is_read(readable):  # Hydra says so itself
                continue
            value = OverridesParser.create().parse_override(readable).value()
            folders = value if isinstance(value, list) else [value]
            search_in([str(folder) for folder in folders if folder is not None])
