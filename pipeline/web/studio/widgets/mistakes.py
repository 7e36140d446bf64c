"""Say what is wrong with the form in the words of its labels, at the fields that it is about."""

import re
from collections.abc import Mapping
from typing import Any

from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.elements.mixins.value_element import ValueElement
from pydantic import ValidationError

#: What a kind of pydantic's refusal says; its bound stands in the context.
_SAID = {
    "greater_than_equal": "at least {ge:,}",
    "greater_than": "more than {gt:,}",
    "less_than_equal": "at most {le:,}",
    "less_than": "less than {lt:,}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
}

#: A key of the configuration as refusals write it, such as ``validation.train``.
_KEY = re.compile(r"\b(?:history|data|validation|optimizer|costs|risk)\.(\w+)\b(?!\.\w)")


def in_labels(refusal: str, labels: Mapping[str, str]) -> str:
    """Write a refusal with the form's labels in place of keys: ``“train, days”``."""

    def named(match: re.Match[str]) -> str:
        label = labels.get(match[1])
        return match[0] if label is None else f"“{label}”"

    return _KEY.sub(named, refusal)


def mark(
    error: ValidationError, controls: Mapping[str, ValueElement[Any]], labels: Mapping[str, str]
) -> list[str]:
    """Show each fault at the field that it is about; return sentences that name these.

    A fault of several fields together is shown at each that its sentence names.
    """
    sentences = []
    for fault in error.errors():
        name = next((str(place) for place in fault["loc"] if str(place) in controls), None)
        if name is not None:
            about, said = [name], f"{labels[name]}: {_words(fault)}"
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
    if said is None:
        return str(fault["msg"])
    return said.format(**fault.get("ctx", {}))
