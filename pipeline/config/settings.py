"""Let words and settings files give values as a person types them, where Hydra reads others.

A path may hold any letter and sign, and ~ in front is the home folder.

To Hydra ``strategy.parameters.NAME`` is a group of keys. It puts a number or a text in its place,
but no list; and YAML reads an unquoted ``1:30`` as a time of day, 90. So both become the text that
was typed, and `pipeline.config.values` reads it.
"""

import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from pipeline.config.catalogue import in_quotes, refuse_list_of_choices

#: A value that Hydra reads as it stands, whatever the key.
_PLAIN = re.compile(r"[\w./:,+%@*?|\- \[\]]*", re.ASCII)
_WORD = re.compile(r"\s*(\+{0,2}strategy\.parameters\.\w+)\s*=(.*\[.*)", re.DOTALL)


def quoted(words: Sequence[str]) -> list[str]:
    """Put the lists of parameters and what Hydra cannot read into quotes; leave all else as it is.

    >>> quoted(["strategy.parameters.stop_distance=[1,2]", "strategy=a=b/mine.py", "seed=1"])
    ["strategy.parameters.stop_distance='[1,2]'", "strategy='a=b/mine.py'", 'seed=1']

    Raises
    ------
    UserError
        When a choice is given a list.
    """
    for word in words:
        refuse_list_of_choices(word)
    return [_quoted(_readable(word)) for word in words]


def _readable(word: str) -> str:
    """Quote the value of a KEY=VALUE word, or the items of its flat list, where Hydra needs it."""
    key, sign, value = word.partition("=")
    if key == "strategy_path" and "," in value and not value.startswith("["):
        value = f"[{value}]"  # Hydra would take the commas for several runs
        word = f"{key}={value}"
    if not sign or key.startswith("-") or _PLAIN.fullmatch(value) or is_read(word):
        return word
    listed = value.startswith("[") and value.endswith("]")
    inner = value[1:-1] if listed else value
    if set("[]{}") & set(inner):
        return word
    items = [inner] if "(" in inner else inner.split(",")
    written = ",".join(_item(item.strip()) for item in items)
    return f"{key}=[{written}]" if listed else f"{key}={written}"


def _item(text: str) -> str:
    path = os.path.expanduser(text)  # noqa: PTH111  (leaves what is no path as it is)
    return path if is_read(f"key={path}") else in_quotes(path, resolved=True)


def is_read(word: str) -> bool:
    """Tell whether Hydra can read a KEY=VALUE word."""
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def _quoted(word: str) -> str:
    match = _WORD.fullmatch(word)
    if match is None:
        return word
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:  # Hydra says itself what it cannot read
        return word
    parsed: Any = override._value
    values = getattr(parsed, "list", ()) if override.is_sweep_override() else [parsed]
    if not any(isinstance(value, list) for value in values):
        return word
    text = (
        f"'{_text(value)}'"
        if isinstance(value, list)
        else override._get_value_element_as_str(value)
        for value in values
    )
    return f"{match[1]}={','.join(text)}"


def _text(values: list[Any]) -> str:
    texts = (getattr(value, "text", value) for value in values)  # that of a quoted one
    items = ("null" if text is None else str(text) for text in texts)
    return f"[{','.join(items)}]"


class SettingsSource(file_config_source.FileConfigSource):
    """Reads settings files as Hydra does, but what they give a parameter as it is written."""

    _kept: ClassVar[dict[object, bytes]] = {}

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file, once a process while it does not change: jobs read the same ones."""
        path = Path(self.path, self._normalize_file_name(config_path))
        key = self.provider, path, path.is_file() and path.stat().st_mtime_ns
        if key not in self._kept:
            self._kept[key] = pickle.dumps(self._read(config_path))
        return cast(ConfigResult, pickle.loads(self._kept[key]))

    def _read(self, config_path: str) -> ConfigResult:
        result = super().load_config(config_path)
        inside = config_path.startswith("strategy/") and "package" not in result.header
        path = ("parameters",) if inside else ("strategy", "parameters")
        config: Any = result.config
        parameters: Any = OmegaConf.is_dict(config) and OmegaConf.select(config, ".".join(path))
        if not OmegaConf.is_dict(parameters):
            return result
        text = Path(self.path, self._normalize_file_name(config_path)).read_text("utf-8")
        written: Any = yaml.load(text, Loader=yaml.BaseLoader)  # every scalar as it is written
        for key in path:
            written = written[key]
        for name, value in written.items():
            if isinstance(value, list):
                parameters[name] = _text(value)
            elif isinstance(value, str) and (":" in value or value == "off"):
                parameters[name] = value
        return result


def register() -> None:
    """Let Hydra read settings files so, in this process."""
    Plugins.instance()  # it registers its own source when it is made
    SourcesRegistry.instance().types[SettingsSource.scheme()] = SettingsSource
