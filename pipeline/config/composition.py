"""Hydra's refusals in our words: which override, what is allowed, what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from pipeline.errors import suggestion

#: What Hydra raises before a job begins; ValueError also for clashing flags on its command line.
MISTAKES = (HydraException, OmegaConfBaseException, ValueError)

_SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)' ")


def explain_composition(error: Exception) -> str:
    """Say in a sentence why Hydra could not compose a configuration."""
    cause = error.__cause__ if isinstance(error, ConfigCompositionException) else error
    if isinstance(error, MissingConfigException):
        return _unknown_choice(error)
    if isinstance(error, OSError):
        return (
            f"The run's folder cannot be made: {error.filename}: {error.strerror}. Work in a folder"
            " you may write to, or give hydra.run.dir=FOLDER."
        )
    if isinstance(error, OverrideParseException):
        return (
            f"'{error.override}' cannot be read: write KEY=VALUE, and quote values with spaces or"
            f" special characters. {_first_line(error.message)}."
        )
    if isinstance(cause, InterpolationResolutionError):
        return _unresolved(cause)
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        return _unknown_key(cause)
    message = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if message.startswith("Config group override must be"):
        return "A choice must be a name, as in market=demo; one override gives something else."
    several = _SEVERAL.match(message)
    if several:
        return (
            f"'{several[1]}' gives several values: write KEY=[VALUE,VALUE] for a list, or put -m"
            " in front to run them one after the other."
        )
    return message


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, word = (error.missing_cfg_file or "").rpartition("/")
    options = sorted(error.options or [])
    if not options:
        return _first_line(str(error))
    near = suggestion(word, options)
    return f"{group}={word} is not a choice: {group} may be {', '.join(options)}.{near}"


def _unknown_key(error: OmegaConfBaseException) -> str:
    parent, name = error.parent_node, str(error.key)
    if error.key is None:  # a value where a group of keys is
        return (
            f"{error.full_key} is a group of keys ({', '.join(map(str, parent))}):"
            f" set one of them, {error.full_key}.KEY=VALUE."
        )
    prefix = (error.full_key or name).removesuffix(name)
    allowed = [str(key) for key in parent if key != "hydra"]
    near = suggestion(name, allowed).replace("'", f"'{prefix}", 1) or _elsewhere(name, parent)
    where = f"{prefix[:-1]} has" if prefix else "there are"
    return f"{prefix}{name} is not a key: {where} {', '.join(allowed)}.{near}"


def _elsewhere(name: str, node: DictConfig) -> str:
    """Find a key by its last word alone: ``train`` for ``validation.train``."""
    root: Any = OmegaConf.to_container(cast(DictConfig, node._get_root()), resolve=False)
    found = [
        path for path in _paths(root) if path.endswith(f".{name}") and not path.startswith("hydra.")
    ]
    return f" Did you mean '{found[0]}'?" if found else ""


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield f"{prefix}{key}"
            yield from _paths(child, f"{prefix}{key}.")


def _unresolved(error: InterpolationResolutionError) -> str:
    key = error.full_key or "a value"
    reason = _first_line(str(error))
    variable = reason.partition("Environment variable '")[2].partition("'")[0]
    if variable:
        return (
            f"{key} is taken from the environment variable {variable}, which is not set: set it,"
            f" or give {key}=... ."
        )
    return f"{key} cannot be resolved: {reason}."


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else ""
