"""From what Hydra composed to a typed configuration, or to a sentence about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from pipeline.config.refusals import MISTAKES, explain, explain_composition
from pipeline.config.section import Section
from pipeline.errors import UserError

Schema = TypeVar("Schema", bound=Section)

#: Found beside this package wherever it is installed, whatever the working directory.
CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"

_MISSING = "???"


def load(overrides: Sequence[str], schema: type[Schema], config_name: str) -> Schema:
    """Compose and check a configuration in code, as the command line does.

    Parameters
    ----------
    overrides : sequence of str
        What would follow the command: ``["market=demo", "optimizer=random"]``.
    schema : type of Section
        What the configuration must be.
    config_name : str
        The file in `conf` to start from, without ``.yaml``.

    Raises
    ------
    UserError
        If anything is misspelt, missing, of the wrong type or impossible.
    """
    return checked(composed(overrides, config_name), schema)


def composed(overrides: Sequence[str], config_name: str) -> DictConfig:
    """Compose a configuration that is not checked yet; see `load`.

    Raises
    ------
    UserError
        If a group, a choice or a key is none.
    """
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            return compose(config_name, list(overrides))
    except MISTAKES as error:
        raise UserError(explain_composition(error)) from None


def checked(composed: DictConfig, schema: type[Schema]) -> Schema:
    """Resolve, check and type a composed configuration; see `load`.

    Raises
    ------
    UserError
        If an interpolation has no value, or anything is misspelt, missing or impossible.
    """
    try:
        values = resolved(composed)
    except MISTAKES as error:
        raise UserError(explain_composition(error)) from None
    return validated(values, schema)


def resolved(composed: DictConfig) -> Any:
    """Plain values with every interpolation replaced; keys still ``???`` are left out.

    Raises
    ------
    omegaconf.errors.OmegaConfBaseException
        If an interpolation has no value, for example an environment variable that is not set.
    """
    return _without_missing(OmegaConf.to_container(composed, resolve=True))


def validated(values: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Check and type a composed configuration.

    Raises
    ------
    UserError
        If anything is misspelt, missing, of the wrong type or impossible; it names every fault.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, schema)) from None


def _without_missing(values: Any) -> Any:
    if isinstance(values, dict):
        return {k: _without_missing(v) for k, v in values.items() if v != _MISSING}
    return values
