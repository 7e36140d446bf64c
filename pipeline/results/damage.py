"""Read rows of which some may be damaged: each of those is named, all others are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Row, Select, inspect
from sqlalchemy.orm import Session

from pipeline.errors import ConflictError

#: Characters of a reason that are shown: it may repeat what is stored.
LONGEST = 200

T = TypeVar("T")


class DamagedRowError(ConflictError):
    """A row is there and cannot be read.

    Attributes
    ----------
    identity : str
        The row's key, or that of the configuration whose event it is.
    """

    status = 1

    def __init__(self, table: str, identity: str, error: BaseException) -> None:
        self.identity = str(identity)  # SQLite takes any value for an id
        reason = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        super().__init__(
            f"The row of {identity} in {table} cannot be read: {reason}. Restore the database from"
            " a copy."
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


def key_of(row: object) -> str:
    """Return the key of a row that was read, as a text."""
    return ", ".join(map(str, inspect(row).identity))


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
