"""Define what every part of the configuration has in common: closed, frozen, strictly typed.

A field's ``description`` is the one explanation of its key: `pipeline.cli.help` and the Strategy
Studio both show it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, overload

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")


class Section(BaseModel):
    """A part of the configuration: no unknown key, no later change, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def objections(self) -> Iterator[str]:
        """Yield sentences on what makes no sense; what was stored before they were made is read."""
        for _, part in self:
            if isinstance(part, Section):
                yield from part.objections()


def _as_tuple(value: Any) -> Any:
    """Take the lists that YAML has; leave anything else for the schema to refuse."""
    return tuple(value) if isinstance(value, list) else value


#: A list in YAML, a tuple here: a frozen section holds nothing that can change.
List = Annotated[tuple[Item, ...], BeforeValidator(_as_tuple)]


def is_none(value: object) -> bool:
    """Say what is left out of what is stored, so that all else keeps the hash that it had."""
    return value is None


#: The text of a file of the user's own. Where there is none it is left out of what is stored: what
#: needs no file keeps the hash that it had before files could be given.
OwnText = Annotated[str | None, Field(default=None, repr=False, exclude_if=is_none)]


def text_hash(text: str | None) -> str | None:
    """Return the SHA-256 of a file's text in UTF-8; None where there is no file."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


#: Fractions: 0.001 is a tenth of a percent.
Cost = Annotated[float, Field(ge=0, lt=1)]
#: A cost that may be a gain: a negative maker fee is a rebate.
CostOrRebate = Annotated[float, Field(ge=-0.01, lt=1)]

Days = Annotated[int, Field(ge=1, le=100_000)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: A database's integer holds it.
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _as_utc(value: Any) -> Any:
    """Read ``2023-01-31`` or an ISO 8601 time; a time without an offset is UTC."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return value


def _in_reach(moment: datetime) -> datetime:
    """Refuse what has no candles and, rounded to one, may leave the calendar."""
    if not 1970 <= moment.year < 3000:
        raise ValueError("must be from the years 1970 to 2999")
    return moment


#: A value of one parameter; None is off, as tables write it.
Setting = Annotated[float | None, BeforeValidator(lambda value: None if value == "off" else value)]

#: A moment in UTC, written as a date or an ISO 8601 time.
Moment = Annotated[datetime, BeforeValidator(_as_utc), AfterValidator(_in_reach)]


@overload
def milliseconds(moment: datetime) -> int: ...
@overload
def milliseconds(moment: datetime | None) -> int | None: ...
def milliseconds(moment: datetime | None) -> int | None:
    """Milliseconds since the epoch, the unit of every timestamp in this project."""
    return None if moment is None else round(moment.timestamp() * 1000)


def moment(milliseconds: int) -> datetime:
    """Return the moment, in UTC, of milliseconds since the epoch."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def listing(words: Sequence[object]) -> str:
    """Join words: ``a, b or c``."""
    *head, last = [str(word) for word in words]
    return f"{', '.join(head)} or {last}" if head else last


def sections(annotation: Any) -> list[type[Section]]:
    """Return the sections among the alternatives of an annotation."""
    alternatives = get_args(annotation) or (annotation,)
    if get_origin(annotation) is Annotated:
        return sections(alternatives[0])
    if get_origin(annotation) in (dict, tuple):
        return []
    return [a for a in alternatives if isinstance(a, type) and issubclass(a, Section)]


def meanings(choice: Any) -> dict[str, str]:
    """Return what each word of a choice means: of every alternative the field that names it.

    Parameters
    ----------
    choice : annotation
        Sections of which each has a field of one word, such as `OptimizerConfig`.
    """
    return {
        word: field.description or ""
        for section in sections(choice)
        for field in section.model_fields.values()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
        for word in get_args(field.annotation)
    }
