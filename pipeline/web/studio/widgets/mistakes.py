"""Say what is wrong with the form in the words of its labels, at the fields that it is about."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.elements.mixins.value_element import ValueElement
from pydantic import ValidationError

from pipeline.web.service.requests import SHAPES

#: What a kind of pydantic's refusal says; its bound stands in the context.
_SAID = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "date_from_datetime_parsing": "a day that there is, such as 2024-01-31",
}

_DAYS = {"greater_than_equal": "{ge} or later", "less_than_equal": "{le} or earlier"}

#: What the form calls a field, and the line under it; `pipeline.config` explains what it means.
_LABELS: dict[str, str] = json.loads(Path(__file__).with_name("labels.json").read_text("utf-8"))
HINTS: dict[str, str] = json.loads(Path(__file__).with_name("hints.json").read_text("utf-8"))

#: A setting of the command line as refusals write it: ``validation.train=30``.
_SETTING = re.compile(
    r"(?<![\w.])(?:history|data|validation|optimizer|costs|risk)\.(\w+)\b(?!\.\w)(?:=([^\s,;:]*[^\s,;:.]))?"
)
#: What is a choice of the form, or of an import, by other words than the command line's.
_OTHERS = (
    (re.compile(r"(?<![\w.])market\.base=(\S+) market\.quote=(\S+?)(?= |,|$)"), r"\1/\2"),
    (re.compile(r"(?<![\w.])market\.timeframe="), "timeframe "),
    (re.compile(r"(?<![\w.])market\.timeframe\b"), "timeframe"),
    (re.compile(r"\bforce=true, or "), ""),
    (re.compile(r"\boptimizer\.name\b"), "“method”"),
    (re.compile(r"\bvalidation\.method\b"), "“windows”"),
    (re.compile(r"(?<!data=file )(?<!scripts/fetch )\b(?:market|data\.path)=(?=\S)"), ""),
    (re.compile(r"\bvalidation=(\w+)"), lambda one: f"“windows” {one[1].replace('_', ' ')}"),
    (re.compile(r"(?<![\w.])max_train\b"), "“train at most, days”"),
    (re.compile(r"\bspace=(\w+)"), r"“search space” \1"),
    (re.compile(r"\boptimizer=(\w+)"), r"“method” \1"),
    (
        re.compile(r"\bdata\.quality\.(\w+)|\b([a-z_]+)(?= [\d.,]+ \(limit )"),
        lambda limit: f"“{label(limit[1] or limit[2])}”",
    ),
)


def in_labels(refusal: str) -> str:
    """Write a refusal as the form would: ``“train, days” 30`` for ``validation.train=30``.

    The command line's refusals name its settings. Keys that no control has stay as they are.
    """
    for written, plain in _OTHERS:
        refusal = written.sub(plain, refusal)
    refusal = _SETTING.sub(_labelled_setting, refusal)
    return re.sub(r"(” \S*\d\S*|” empty) (?=“)", r"\1 and ", refusal)


def _labelled_setting(match: re.Match[str]) -> str:
    name = "length" if match[1] == "history" else match[1]
    if name not in _LABELS:
        return match[0]
    value = {None: "", "null": " empty"}.get(match[2], f" {match[2]}")
    return f"“{_LABELS[name]}”{value}"


def label(name: str) -> str:
    """Return what the form calls a field of a request."""
    return _LABELS.get(name, name.replace("_", " "))


def mark(
    error: ValidationError, controls: Mapping[str, ValueElement[Any]], labels: Mapping[str, str]
) -> list[str]:
    """Show each fault at the field that it is about; return sentences that name these.

    A fault of several fields together is shown at each that its sentence names; one of a field that
    has no control is said alone.
    """
    sentences = []
    for fault in error.errors():
        places = [place for place in fault["loc"] if isinstance(place, str)]
        name = next((place for place in places if place in controls), None)
        if name is not None:
            about, said = [name], f"{labels[name]}: {_words(fault)}"
        elif places:
            about, said = [], f"{label(places[-1])}: {_words(fault)}"
        else:
            plain = fault["msg"].removeprefix("Value error, ")
            about = [one for one in controls if re.search(rf"\b{one}\b", plain)]
            said = " ".join(_labelled(word, labels) for word in plain.split(" "))
        for one in about:
            control = controls[one]
            if isinstance(control, ValidationElement):
                control.error = _words(fault) if name is not None else said
        sentences.append(f"{said[:1].upper()}{said[1:]}.")
    return sentences


def clear(controls: Mapping[str, ValueElement[Any]]) -> None:
    """Take the faults off fields again."""
    for control in controls.values():
        if isinstance(control, ValidationElement):
            control.error = None


def _labelled(word: str, labels: Mapping[str, str]) -> str:
    name = word.rstrip(",.;:")
    return f"“{labels[name]}”{word[len(name) :]}" if name in labels else word


def _words(fault: Mapping[str, Any]) -> str:
    if fault["input"] is None:
        return "a value is needed"
    said = _SAID.get(fault["type"])
    if (shape := SHAPES.get(fault.get("ctx", {}).get("pattern", ""))) is not None:
        return f"“{fault['input']}” cannot be read: write {shape}"
    if said is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    bounds = fault.get("ctx", {})
    if any(isinstance(bound, str) for bound in bounds.values()):
        said = _DAYS.get(fault["type"], said)
    return said.format(**{name: _written(bound) for name, bound in bounds.items()})


def _written(bound: object) -> str:
    if not isinstance(bound, int | float):
        return str(bound)
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:,}"
