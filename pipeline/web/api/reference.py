"""Show the OpenAPI document as one page: plain HTML of this server, without a script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from pipeline.report.shell import templates_of
from pipeline.web.service.requests import SHAPES

Schema = Mapping[str, Any]

_TEMPLATES = templates_of("pipeline.web.api")
_REF = "#/components/schemas/"
#: Bounds of a schema and how they are said.
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


class Field(NamedTuple):
    """A row of a table: a parameter, or a field of an object."""

    name: str
    place: str
    kind: Markup
    bounds: str
    meaning: Markup


class Answer(NamedTuple):
    """What an operation answers with: status, meaning, content by media type."""

    status: str
    meaning: Markup
    content: list[tuple[str, Markup]]


class Operation(NamedTuple):
    """A method at an address."""

    anchor: str
    method: str
    path: str
    summary: Markup
    text: Markup
    parameters: list[Field]
    body: Markup | None
    answers: list[Answer]


def rendered(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the page of an OpenAPI document, and the security policy that it is served with."""
    style = files("pipeline.web.api").joinpath("templates/reference.css").read_text("utf-8")
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation))
    schemas = {
        name: (_written(schema.get("description", "")), list(_fields(schema)), said(schema))
        for name, schema in sorted(document["components"]["schemas"].items())
    }
    page = _TEMPLATES.get_template("reference.jinja").render(
        title=document["info"]["title"],
        text=_written(document["info"]["description"]),
        style=Markup(style),
        groups=groups,
        schemas=schemas,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-ancestors 'none';"
        " base-uri 'none'; form-action 'none'"
    )
    return page, policy


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    summary, _, text = operation.get("description", "").partition("\n")
    body = operation.get("requestBody", {}).get("content", {})
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=_written(summary),
        text=_written(text),
        parameters=[_parameter(one) for one in operation.get("parameters", ())],
        body=next((said(content["schema"]) for content in body.values()), None),
        answers=[
            Answer(
                status,
                _written(answer.get("description", "")),
                [(m, said(c.get("schema", {}))) for m, c in answer.get("content", {}).items()],
            )
            for status, answer in sorted(operation["responses"].items())
        ],
    )


def _parameter(parameter: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    return Field(
        parameter["name"],
        parameter["in"],
        said(schema),
        _bounds(schema, parameter.get("required", False)),
        _written(parameter.get("description", "")),
    )


def _fields(schema: Schema) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        meaning = _written(field.get("description", ""))
        yield Field(name, "", said(field), _bounds(field, name in required), meaning)


def said(schema: Schema) -> Markup:
    """Say what a schema takes, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return Markup(" or ").join(dict.fromkeys(said(one) for one in schema[word]))
    if "const" in schema:
        return _code(schema["const"])
    if "enum" in schema:
        return Markup(", ").join(_code(one) for one in schema["enum"])
    match schema.get("type"):
        case "array":
            return Markup("list of {}").format(said(schema.get("items", {})))
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return Markup("object of {}").format(said(schema["additionalProperties"]))
        case "string" if "format" in schema:
            return escape(schema["format"])
        case "string" if "pattern" in schema:
            return escape(SHAPES.get(schema["pattern"], "text"))
        case kind:
            return escape({"string": "text", None: "anything"}.get(kind, kind))


def _bounds(schema: Schema, required: bool) -> str:
    said = ["required"] if required else []
    parts: Sequence[Schema] = [schema, *schema.get("anyOf", ())]
    for part in parts:
        said += [text.format(part[name]) for name, text in _BOUNDS.items() if name in part]
    if not required and schema.get("default") is not None:
        said.append(f"default {schema['default']}")
    return ", ".join(said)


def _code(value: object) -> Markup:
    return Markup("<code>{}</code>").format(value)


def _written(text: str) -> Markup:
    """Write a docstring's words: what stands between backticks is code."""
    parts = re.split(r"`+([^`]+)`+", " ".join(text.split()))
    return Markup("").join(_code(p) if i % 2 else escape(p) for i, p in enumerate(parts))
