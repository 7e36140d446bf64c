"""Put a refused configuration into sentences: the key, what is allowed, what was given."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any, cast, get_args, get_origin

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import GrammarParseError, InterpolationResolutionError, OmegaConfBaseException
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.config.catalogue import MARKET, STRATEGY, read, typed, words
from pipeline.config.market_word import EXAMPLES
from pipeline.config.section import Section, listing, sections
from pipeline.errors import suggestion

#: What Hydra raises before a job begins; ValueError also for clashing flags on its command line.
MISTAKES = (HydraException, OmegaConfBaseException, ValueError)


#: What to write in place of a key of an earlier version, by the key's last word.
REPLACED = {
    "anchored": "Write validation.max_train=null in place of validation.anchored=true, and"
    " validation=rolling in place of validation.anchored=false.",
    "surrogates": "Leave it out: the search is repeated on candles without an edge wherever that"
    " decides the stage, validation.surrogate_count times at most.",
}


#: Keys whose value is one path.
PATHS = ("import", "data.path", "data.store", "store", "storage.artifacts", "token_file")

_NO_GROUP = re.compile(r"Could not override '(.*?)'")
_NO_HEADER = re.compile(r"In '(.*?)': Could not override '[^']*@")
#: The first line of a settings file, without which Hydra puts all below the folder's name.
_HEADER = "write '# @package _global_' as its first line (docs/settings.md)"
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
        forms = (
            "KEY=VALUE, or KEY=[VALUE,VALUE] for a list. Where a value contains {, [ or a comma,"
        )
        forms += """ write "KEY='VALUE'"."""
        key, sign, value = error.override.partition("=")
        literal = _as_it_stands(key, value) if sign and (key in PATHS or "${" in value) else ""
        return f"'{error.override}' cannot be read: write {forms}{literal}"
    if isinstance(cause, InterpolationResolutionError):
        return _unresolved(cause)
    if isinstance(cause, GrammarParseError):
        return (
            f"{cause.full_key} cannot be read: ${{ begins the name of another key."
            f"{_as_it_stands(str(cause.full_key), 'A${B')}"
        )
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        return _unknown_key(cause)
    message = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if "'${strategy}'" in message:
        return (
            "market=demo and data=planted cannot be used here: their edge lies along the signals of"
            " a strategy, and this command takes none. Choose a market of an exchange, such as"
            " market=btc_binance_5m; of what is stored leave data=... out, for it has its own"
            " candles."
        )
    if message.startswith("Config group override must be"):
        return "A choice must be a name, as in market=demo; one override gives something else."
    group = _NO_GROUP.match(message)
    if group:
        plus = "" if words(group[1]) else f" {_own_file(group[1])}"
        return f"{group[1]} is no choice of this command: --help lists its keys.{plus}"
    file = _NO_HEADER.match(message)
    if file:
        return f"The settings file {file[1]}.yaml lacks its header: {_HEADER}."
    several = _SEVERAL.match(message)
    if several:
        key, _, value = several[1].partition("=")
        literal = _as_it_stands(key, value) if key in PATHS else ""
        return (
            f"'{several[1]}' gives several values: write KEY=[VALUE,VALUE] for a list, or put -m"
            " in front to run them one after the other. Where a path contains a comma, write"
            f""" "KEY='PATH'".{literal}"""
        )
    return message


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, word = (error.missing_cfg_file or "").rpartition("/")
    options = sorted(error.options or [])
    if not options:
        return _first_line(str(error))
    near = suggestion(word, options)
    more = f", or EXCHANGE:SYMBOL:TIMEFRAME such as {EXAMPLES}" if group == MARKET else ""
    return f"{group}={word} is not a choice: {group} may be {', '.join(options)}{more}.{near}"


def _unknown_key(error: OmegaConfBaseException) -> str:
    parent, name = error.parent_node, str(error.key)
    if error.key is None:  # a value where a group of keys is
        return (
            f"{error.full_key} is a group of keys ({', '.join(map(str, parent))}):"
            f" set one of them, {error.full_key}.KEY=VALUE."
        )
    prefix = (error.full_key or name).removesuffix(name)
    allowed = [str(key) for key in parent if key != "hydra"]
    where = f"{prefix[:-1]} has" if prefix else "the keys are"
    near = _other_choice(prefix.rstrip("."), name)
    if near and prefix == "data." and parent.get("source") == "synthetic":
        near = " Its candles are invented: leave it out, or take a market of an exchange alone."
    near = near or _advice(name, allowed, prefix) or _elsewhere(name, parent)
    if name == "experiment" and not near:
        near = f" {_own_file(name)}"
    return f"{prefix}{name} is not a key: {where} {', '.join(allowed)}.{near}"


def _own_file(group: str) -> str:
    return (
        "A settings file of your own needs its folder and a plus: --config-dir FOLDER"
        f" +{group}=NAME."
    )


def _other_choice(group: str, name: str) -> str:
    """Say which choices of a group have a key that the chosen one has not."""
    if not group or group == STRATEGY or name in REPLACED:
        return ""
    having = [f"{group}={word}" for word in words(group) if name in read(group, word)]
    return f" It needs {listing(having)} among the words." if having else ""


def _advice(name: str, allowed: list[str], prefix: str) -> str:
    """Say what took the place of a key, or which of the ``allowed`` is spelt like it."""
    if name in REPLACED:
        return f" {REPLACED[name]}"
    return suggestion(name, allowed).replace("'", f"'{prefix}", 1)


def _elsewhere(name: str, node: DictConfig) -> str:
    """Find a key by its last word alone: ``train`` for ``validation.train``."""
    root: Any = OmegaConf.to_container(cast(DictConfig, node._get_root()), resolve=False)
    paths = [
        path for path in _paths(root) if path.endswith(f".{name}") and not path.startswith("hydra.")
    ]
    first = [path for path in paths if path == f"parameters.{name}"]
    first += [path for path in paths if path == f"strategy.parameters.{name}"]
    return f" Did you mean '{[*first, *paths][0]}'?" if paths else ""


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
    if key.startswith("hydra."):
        return (
            "The path of the run's folder has a ${, which Hydra takes for the name of a key. Work"
            " in another folder, or give another one by hydra.run.dir=FOLDER."
        )
    node = error.parent_node._get_node(error.key) if error.parent_node is not None else None
    value = node._value() if isinstance(node, Node) else None
    literal = ""
    if isinstance(value, str) and not re.fullmatch(r"\$\{[^{}]*\}", value):  # that is of `conf`
        literal = _as_it_stands(key, value)
    return f"{key} cannot be resolved: {reason}.{literal}"


def _as_it_stands(key: str, value: str) -> str:
    """Say what to type in a shell so that Hydra takes a value literally, ``${`` and all."""
    return f" To take it as it stands, type {typed(**{key: value.strip(chr(39))})}."


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else ""


_TYPES = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "a list such as [1,2]",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
    "datetime_type": "a UTC date such as 2023-01-31 or an ISO 8601 time",
}


_PASSWORD = re.compile(r'((?:://|^"(?![\w+.-]+://))[^:/@"]*:)[^"]*@')


def explain(error: ValidationError, schema: type[Section]) -> str:
    """Every fault of a refused configuration, a line each.

    Parameters
    ----------
    error : ValidationError
        As ``schema.model_validate`` raised it.
    schema : type of Section
        The schema, asked for the keys that would have been allowed.
    """
    faults = [line for details in error.errors() for line in _explain(details, schema).split("\n")]
    if len(faults) == 1:
        return faults[0]
    return "\n  - ".join(["The configuration cannot be used:", *faults])


def _explain(details: ErrorDetails, schema: type[Section]) -> str:
    path, section = _locate(details["loc"], schema)
    key, value, context = ".".join(path), details["input"], details.get("ctx", {})
    kind = details["type"]
    if kind == "extra_forbidden":
        return _not_a_key(path, section, value)
    if kind == "missing":
        what = section.model_fields[path[-1]].description if section else None
        return f"{key} must be given{f', {what}' if what else ''}: {key}=..."
    if kind == "value_error" and not path:
        return str(context["error"])
    if kind.startswith("union_tag"):
        return _not_among(f"{key}.{context['discriminator'].strip(chr(39))}", details)
    if kind == "literal_error":
        return _not_among(key, details)
    if kind == "value_error" and isinstance(value, dict):  # of a section as a whole
        return f"{key} {context['error']}."
    return f"{key} {_requirement(kind, context, details['msg'])}; given: {_short(value)}."


def _requirement(kind: str, context: Mapping[str, Any], fallback: str) -> str:
    """Say what a value must be, from Pydantic's name for the fault."""
    requirements: dict[str, Callable[[], str]] = {
        "greater_than": lambda: f"must be above {_bound(context['gt'])}",
        "greater_than_equal": lambda: f"must be at least {_bound(context['ge'])}",
        "less_than": lambda: f"must be below {_bound(context['lt'])}",
        "less_than_equal": lambda: f"must be at most {_bound(context['le'])}",
        "too_short": lambda: "must not be empty",
        "string_too_short": lambda: "must not be empty",
        "string_pattern_mismatch": lambda: "must be letters A-Z and digits",
        "value_error": lambda: str(context["error"]).rstrip("."),
    }
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}"
    return requirements[kind]() if kind in requirements else fallback


def _bound(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _not_among(key: str, details: ErrorDetails) -> str:
    context = details["ctx"]
    allowed = re.findall(r"'([^']*)'", context.get("expected") or context.get("expected_tags", ""))
    value = context.get("tag", details["input"])
    near = suggestion(value, allowed) if isinstance(value, str) else ""
    return f"{key} must be {listing(allowed)}; given: {_short(value)}.{near}"


def _not_a_key(path: list[str], section: type[Section] | None, value: Any) -> str:
    *parent, name = path
    fields = section.model_fields.items() if section else ()
    allowed = [key for key, field in fields if field.description is not None]
    prefix = "".join(f"{part}." for part in parent)
    where = f"{'.'.join(parent)} has" if parent else "the keys are"
    near = _advice(name, allowed, prefix)
    if not parent and not near and not words(name):  # what a plus added
        hint = f"If it is a settings file of your own, {_HEADER}."
        near = f" {hint if isinstance(value, dict) else _own_file(name)}"
    return f"{prefix}{name} is not a key: {where} {', '.join(allowed)}.{near}"


def _short(value: Any) -> str:
    """Write a value as on the command line, cut to a glance; passwords in addresses hidden."""
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    text = _PASSWORD.sub(r"\1***@", text)
    return text if len(text) <= 60 else text[:57] + "..."


def _locate(
    location: tuple[int | str, ...], schema: type[Section]
) -> tuple[list[str], type[Section] | None]:
    """Turn Pydantic's location into a dotted path, and find the section of its last key.

    Pydantic's locations also hold the tag of a chosen union member, which is no key.
    """
    path: list[str] = []
    section: type[Section] | None = schema
    annotation: Any = schema
    for part in location:
        members = sections(annotation)
        if len(members) > 1:
            annotation = next(member for member in members if part in _tags(member))
        elif members:
            section = members[0]
            path.append(str(part))
            field = section.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            path.append(str(part))
            annotation = get_args(annotation)[-1] if get_origin(annotation) is dict else None
    return path, sections(annotation)[0] if annotation is schema else section


def _tags(section: type[Section]) -> set[object]:
    """Collect what a union member may be called: the words of its one-word fields."""
    fields: list[FieldInfo] = list(section.model_fields.values())
    return {word for field in fields for word in get_args(field.annotation) if word is not NoneType}
