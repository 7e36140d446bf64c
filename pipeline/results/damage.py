"""Read rows of which some may be damaged: each of those is named, all others are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from sqlalchemy import Row, Select, inspect, select
from sqlalchemy.orm import DeclarativeBase, Session

from pipeline.errors import ConflictError, in_one_line

#: Characters of a reason that are shown: it may repeat what is stored.
_LONGEST = 200

#: What mends a configuration. The row alone does not do: what was written since is in the events.
RESTORE = (
    "Put back what is named here, or restore its row together with its events from one copy of the"
    " database, or train the market again. If it is switched on, it can be switched off all the"
    " same."
)
_OF_CONFIGURATIONS = ("trained_configurations", "configuration_events")

T = TypeVar("T")
Model = TypeVar("Model", bound=DeclarativeBase)


def reason_of(error: BaseException) -> str:
    """Say in one line, which is not too long, why something cannot be read."""
    return in_one_line(error, _LONGEST)


class DamagedRowError(ConflictError):
    """A row is there and cannot be read.

    Attributes
    ----------
    identity : str
        The row's key, or that of the configuration whose event it is.
    reason : str
        Why; it names the column where that is known.
    """

    status = 1

    def __init__(self, table: str, identity: str, error: BaseException) -> None:
        self.identity = str(identity)  # SQLite takes any value for an id
        self.reason = reason_of(error)
        advice = RESTORE if table in _OF_CONFIGURATIONS else "Restore the database from a copy."
        super().__init__(
            f"The row of {' '.join(self.identity.split())} in {table} cannot be read:"
            f" {self.reason}. {advice}"
        )


#: What a row raises that holds another kind of value than its columns, or deeper ones.
UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    DamagedRowError,
)


@contextmanager
def naming(table: str, identity: str) -> Iterator[None]:
    """Raise `DamagedRowError` for a row that cannot be read in this context."""
    try:
        yield
    except DamagedRowError:
        raise
    except UNREADABLE as error:
        raise DamagedRowError(table, identity, error) from None


def from_row(kind: type[T], row: Any) -> T:
    """Make a record from the columns of a row that have its fields' names.

    Raises
    ------
    DamagedRowError
        When one holds a value of another kind: SQLite takes any for any column, and JSON may be
        anything.
    """
    hashable: Any = kind  # mypy takes no class of a dataclass for one
    kinds = _kinds(hashable)
    values = {name: getattr(row, name) for name in kinds}
    for name, value in values.items():
        if not isinstance(value, kinds[name]):
            key = ", ".join(map(str, inspect(row).identity))
            error = TypeError(f"column {name} is of type {type(value).__name__}")
            raise DamagedRowError(row.__tablename__, key, error)
    return kind(**values)


@cache
def _kinds(record: type[Any]) -> dict[str, tuple[type, ...]]:
    """Return the types that the values of a record's fields may have."""
    return {field.name: tuple(_types(field.type)) for field in fields(record)}


def _types(annotation: Any) -> Iterator[type]:
    if annotation is Any:
        yield object
    elif isinstance(annotation, UnionType):
        for one in get_args(annotation):
            yield from _types(one)
    elif get_origin(annotation) is Literal:
        yield str
    else:
        yield get_origin(annotation) or annotation


def read_whole(session: Session, model: type[Model], key: str, options: Any = ()) -> Model | None:
    """Read a row by its key, None where there is none.

    Raises
    ------
    DamagedRowError
        It names the column that cannot be read.
    """
    with naming(model.__tablename__, key):
        try:
            return session.get(model, key, options=options)
        except UNREADABLE:
            (own,) = inspect(model).primary_key
            for column in model.__table__.columns:
                with _named(f"column {column.name} of {model.__tablename__}"):
                    session.execute(select(column).where(own == key)).all()
            raise


@contextmanager
def _named(column: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise ValueError(f"{column}: {error}") from None


class Rows(list[T]):
    """Records of a query; ``damaged`` are the rows that could not be made into one."""

    def __init__(self, records: Any = (), damaged: tuple[DamagedRowError, ...] = ()) -> None:
        super().__init__(records)
        self.damaged = damaged


def read_rows(
    session: Session, query: Select[Any], model: Any, make: Callable[[Row[Any]], T]
) -> Rows[T]:
    """Make a record of every row of a query on ``model``, whose key is one column.

    Only where one cannot be read are they read one by one.
    """
    (key,) = inspect(model).primary_key
    try:
        return Rows([make(row) for row in session.execute(query)])
    except UNREADABLE:
        ids = session.scalars(query.with_only_columns(key)).all()
    records, damaged = list[T](), list[DamagedRowError]()
    for identity in ids:
        one = query.limit(None).offset(None).where(key == identity)
        try:
            with naming(model.__tablename__, identity):
                records += [make(row) for row in session.execute(one)]
        except DamagedRowError as error:
            damaged.append(error)
    return Rows(records, tuple(damaged))


def read_records(session: Session, query: Select[Any], model: Any, kind: type[T]) -> Rows[T]:
    """Make a record of every row as `read_rows` does, from the columns of its fields' names."""
    return read_rows(session, query, model, lambda row: from_row(kind, row[0]))
