"""Turn what Hydra composed into a typed configuration, or into a sentence about what is wrong.

Hydra is imported where it composes: a worker that is given a configuration does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from pipeline.config.section import Section
from pipeline.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

Schema = TypeVar("Schema", bound=Section)

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
    return check(compose(overrides, config_name), schema)


def compose_each(
    names: Iterable[str], compose: Callable[[str], Schema], label: str = ""
) -> dict[str, Schema]:
    """Compose the configuration of every market by its name.

    Raises
    ------
    UserError
        When a configuration is refused; it says every fault once, with ``label`` and the name of
        the first market that has it.
    """
    configs: dict[str, Schema] = {}
    faults: dict[str, str] = {}
    for name in names:
        try:
            configs[name] = compose(name)
        except UserError as error:
            faults.setdefault(str(error), name)
    if faults:
        raise UserError("\n".join(f"{label}{name}: {fault}" for fault, name in faults.items()))
    return configs


def compose(overrides: Sequence[str], config_name: str) -> DictConfig:
    """Compose a configuration that is not checked yet; see `load`.

    Raises
    ------
    UserError
        If a group, a choice or a key is none.
    """
    from pipeline.config import settings
    from pipeline.config.compositions import composed
    from pipeline.config.refusals import MISTAKES, explain_composition
    from pipeline.config.strategy_choice import register, search_path_of

    register()
    try:
        search_path_of(overrides)
        return composed(config_name, settings.quoted(overrides))
    except MISTAKES as error:
        raise UserError(explain_composition(error)) from None


def check(composed: DictConfig, schema: type[Schema]) -> Schema:
    """Resolve, check and type a composed configuration; keys still ``???`` are missing. See `load`.

    Raises
    ------
    UserError
        If an interpolation has no value, or anything is misspelt, missing or impossible.
    """
    from omegaconf import OmegaConf

    from pipeline.config.refusals import MISTAKES, explain_composition

    try:
        values: Any = _without_missing(OmegaConf.to_container(composed, resolve=True))
    except MISTAKES as error:
        raise UserError(explain_composition(error)) from None
    config = validate(values, schema)
    if objections := "\n".join(config.objections()):
        raise UserError(objections)
    return config


def validate(values: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Check and type a composed configuration.

    Raises
    ------
    UserError
        If anything is misspelt, missing, of the wrong type or impossible; it names every fault.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        from pipeline.config.refusals import explain

        raise UserError(explain(error, schema)) from None


def _without_missing(values: Any) -> Any:
    if isinstance(values, dict):
        return {k: _without_missing(v) for k, v in values.items() if v != _MISSING}
    return values
