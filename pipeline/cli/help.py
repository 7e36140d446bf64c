"""Explain the keys of a command: one line each, with its default and the words it allows.

Texts come from the schemas of `pipeline.config`, defaults and choices from `conf`. Hydra has a list
of its own, which takes a second to make and explains nothing.
"""

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from pipeline.config.catalogue import COMBINATION, defaults, read, words
from pipeline.config.section import Section, listing, meanings, sections

#: Columns of a page, and of keys on it.
WIDTH, KEY_WIDTH = 118, 40

#: Fields that hold the word of a choice: ``optimizer=grid`` is ``optimizer.name``.
TAGS = ("name", "source", "method")


class _Line(NamedTuple):
    key: str
    text: str


def explain_keys(schema: type[Section], command: str, overrides: Sequence[str] = ()) -> str:
    """Explain every key of a command: single keys first, then each group under its choice.

    Parameters
    ----------
    schema : type of Section
        The command's configuration.
    command : str
        Its file in `conf`, without ``.yaml``.
    overrides : sequence of str
        Its words: the keys of a choice among them are shown, as ``strategy=mine.py`` is one.

    Raises
    ------
    UserError
        When the strategy among them is none.
    """
    values, chosen = read("", command), defaults(command, overrides)
    fields = {
        field.alias or name: field
        for name, field in schema.model_fields.items()
        if field.description is not None  # no key: the program fills it
    }
    lines: list[_Line] = []
    for key in sorted(fields, key=lambda key: bool(sections(fields[key].annotation))):
        if key == COMBINATION:  # the choice is the strategy's
            lines += _key(key, fields[key], read(key, chosen[key] or ""))
        elif key in chosen:
            lines += _choice(key, fields[key], chosen[key])
        else:
            lines += _key(key, fields[key], values.get(key, "???"))
    return "\n".join(row for line in lines for row in _rows(line))


def _choice(group: str, field: FieldInfo, default: str | None) -> Iterator[_Line]:
    """Explain a choice: its words, what each means, and the keys that it brings."""
    meaning, members = meanings(field.annotation), sections(field.annotation)
    files = {word: read(group, word) for word in dict.fromkeys([*words(group), default]) if word}
    if meaning:  # a command may take some of the files alone
        kinds = {word: {file.get(tag) for tag in TAGS} for word, file in files.items()}
        files = {word: file for word, file in files.items() if kinds[word] & meaning.keys()}
    allowed = f": {_names(list(files))}" if len(files) > 1 else ""
    yield _Line(f"{group}={default or 'null'}", f"{field.description}{allowed}")
    for word, text in meaning.items() if len(meaning) > 1 else ():
        yield _Line(f"  {group}={word}", text.partition(".")[0])
    first = sorted(files, key=lambda word: (word != default, word not in meaning))
    for name, part in {n: f for member in members for n, f in member.model_fields.items()}.items():
        if name in TAGS or part.description is None:
            continue
        having = [w for w, m in zip(meaning, members, strict=False) if name in m.model_fields]
        only = f" ({listing(having)})" if len(having) < len(meaning) else ""
        value = next((files[word][name] for word in first if name in files[word]), "???")
        if default in files and name not in files[default] and not part.is_required():
            value = part.get_default(call_default_factory=True)
        for line in _key(f"  {group}.{name}", part, value):
            yield _Line(line.key, f"{line.text}{only}")


def _names(names: Sequence[str]) -> str:
    """List names; a product of parts, such as the markets are, is one word with braces."""
    parts = [name.split("_") for name in names]
    axes = [sorted(set(axis)) for axis in zip(*(p for p in parts if len(p) == 3), strict=True)]
    product = ["_".join(combination) for combination in itertools.product(*axes)]
    if len(product) < 2 or not set(product) <= set(names):
        return listing(names)
    braces = "_".join(f"{{{','.join(axis)}}}" for axis in axes)
    return listing([braces, *(name for name in names if name not in product)])


def _key(key: str, field: FieldInfo, value: Any) -> Iterator[_Line]:
    """Explain a key, or the keys of the group that it is."""
    alternatives, members = get_args(field.annotation), sections(field.annotation)
    text = field.description or ""
    if members and NoneType not in alternatives:
        path = key.strip()
        for group in (path.replace(".", "/"), path.rpartition(".")[2]):
            if words(group):
                yield _Line(f"  {group}@{path}", f"{text}: {listing(words(group))}")
        for name, part in members[0].model_fields.items():
            if name not in TAGS and part.description is not None:
                inner = value.get(name, "???") if isinstance(value, dict) else "???"
                yield from _key(f"{key}.{name}", part, inner)
    elif get_origin(field.annotation) is not dict:
        yield _Line(f"{key}={_plain(value)}", f"{text}{_allowed(field, text)}")
    elif sections(alternatives[1]):  # declarations by name
        yield _Line(f"{key}.NAME", f"{text}: {', '.join(value)}")
        for name, part in sections(alternatives[1])[0].model_fields.items():
            if own := part.description:
                yield _Line(f"{key}.NAME.{name}", f"{own}{_allowed(part, own)}")
    else:
        for name, inner in value.items():
            yield _Line(f"{key}.{name}={_plain(inner)}", text)


def _allowed(field: FieldInfo, text: str) -> str:
    """List the words of a key, unless its text explains them all."""
    kinds = (field.annotation, *get_args(field.annotation))
    allowed = [w for kind in kinds if get_origin(kind) is Literal for w in get_args(kind)]
    return "" if all(f"{word}:" in text for word in allowed) else f": {listing(allowed)}"


def _plain(value: Any) -> str:
    """Write a default as on the command line; what another key decides is left open."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return "..." if str(value).startswith("${") else str(value)


def _rows(line: _Line) -> list[str]:
    first, *more = textwrap.wrap(line.text, WIDTH - KEY_WIDTH) or [""]
    head = f"{line.key:<{KEY_WIDTH - 1}} {first}"
    return [head, *(" " * KEY_WIDTH + row for row in more)]
