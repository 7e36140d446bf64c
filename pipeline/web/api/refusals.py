"""Say in words what a request may be, where it is not that: keys, words and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from pipeline.config.refusals import REPLACED
from pipeline.errors import suggestion
from pipeline.web.service.requests import SHAPES

#: Names and sentences are cut to so many characters.
LONGEST = 200

_UNKNOWN = "extra_forbidden"


async def check_keys(request: Request) -> None:
    """Refuse a key of the address that the route does not have: it would mean nothing.

    Raises
    ------
    RequestValidationError
        It is answered as every other mistake.
    """
    known = _query_keys(request.scope.get("route"))
    if known is not None and (unknown := request.query_params.keys() - set(known)):
        raise RequestValidationError(
            [{"type": _UNKNOWN, "loc": ("query", key), "msg": ""} for key in sorted(unknown)]
        )


def sentence(fault: Mapping[str, Any], route: object) -> str:
    """Say what is wrong with a part of a request, and what is allowed there.

    ``body.optimizer.random.samples: Input should be less than or equal to 10000000``
    """
    *above, last = place = fault["loc"]
    context = fault.get("ctx") or {}
    where = cut(".".join(cut(str(part)) for part in place))
    match fault["type"]:
        case "extra_forbidden":
            return f"{where}: {_unknown_key(str(last), _allowed(route, above))}"
        case "string_too_short" if last == "reason":
            least = context["min_length"]
            return f"{where}: say why, in at least {least} characters: the audit trail keeps it"
        case "missing":
            return f"{where}: it is needed"
        case "string_pattern_mismatch" if context.get("pattern") in SHAPES:
            return f"{where}: it must be {SHAPES[context['pattern']]}"
        case "model_attributes_type" | "model_type" if found := _follow(
            _of(route, place), place[1:]
        ):
            keys = ", ".join(_allowed(route, place))
            such = (
                f'such as {{"method": "{_tags(found, "method")[0]}"}}'
                if len(found) > 1
                else f"of {keys}"
            )
            return f"{where}: it must be an object {such}"
        case "union_tag_not_found":
            name = str(context["discriminator"]).strip("'")
            tags = ", ".join(_tags(_follow(_of(route, place), place[1:]), name))
            return f"{where}: say which by {name}; allowed are {tags}"
        case "union_tag_invalid":
            name = str(context["discriminator"]).strip("'")
            return (
                f"{where}.{name}: allowed are {str(context['expected_tags']).replace(chr(39), '')}"
            )
    text = cut(str(fault["msg"]).removeprefix("Value error, "))
    if fault["type"] == "literal_error":
        words = [
            word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")
        ]
        text += f".{near}" if (near := suggestion(fault.get("input"), words)) else ""
    return f"{where}: {text}"


def unknown_address(fault: Mapping[str, Any]) -> str:
    """Say what a part of an address must be: nothing can have that of another shape."""
    name = str(fault["loc"][-1]).replace("_", " ")
    pattern = str((fault.get("ctx") or {}).get("pattern"))
    return f"Nothing has this {name}: it is {SHAPES.get(pattern, 'of another shape')}."


def cut(text: str) -> str:
    """Cut a text to a length that can be read."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _unknown_key(key: str, allowed: Sequence[str]) -> str:
    if key in REPLACED:
        return f"there is no such key. {REPLACED[key]}"
    if not allowed:
        return "there is no such key, and none is taken here"
    return f"there is no such key; allowed are {', '.join(allowed)}.{suggestion(key, allowed)}"


def _query_keys(route: object) -> list[str] | None:
    """Return the keys that an address of a route may have; None where that is not known."""
    if not isinstance(route, APIRoute):
        return None
    return list(dict.fromkeys(_keys_of(route.dependant)))


def _keys_of(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        models = [one for one in _members(field.field_info.annotation) if _is_model(one)]
        yield from [name for one in models for name in one.model_fields] or [field.alias]
    for other in dependant.dependencies:
        yield from _keys_of(other)


def _allowed(route: object, place: Sequence[int | str]) -> list[str]:
    """Return the keys that the object at a place may have."""
    if place[0] == "query":
        return _query_keys(route) or []
    found = [one for one in _follow(_of(route, place), place[1:]) if _is_model(one)]
    return [name for one in found[:1] for name in one.model_fields]


def _of(route: object, place: Sequence[int | str]) -> Any:
    """Return the type of a route's body."""
    body = route.body_field if isinstance(route, APIRoute) and place[0] == "body" else None
    return None if body is None else body.field_info.annotation


def _follow(annotation: Any, place: Sequence[int | str]) -> list[Any]:
    """Return the types that may stand at a place of a type; a union's tag is a part of it."""
    found = list(_members(annotation))
    for part in place:
        models = [one for one in found if _is_model(one)]
        if len(models) > 1:
            found = [one for one in models if part in _literals(one)]
        else:
            fields = [one.model_fields.get(str(part)) for one in models]
            found = [t for field in fields if field for t in _members(field.annotation)]
    return found


def _tags(models: Sequence[Any], name: str) -> list[str]:
    fields = [one.model_fields[name] for one in models if _is_model(one)]
    return [str(tag) for field in fields for tag in get_args(field.annotation)]


def _literals(model: type[BaseModel]) -> set[Any]:
    annotations = (field.annotation for field in model.model_fields.values())
    return {tag for one in annotations if get_origin(one) is Literal for tag in get_args(one)}


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the types that a type is one of."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _members(one)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
