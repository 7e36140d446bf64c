"""Read the URL of a database, and tell its SQLite file from another of the same name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.errors import DatabaseGoneError, UserError, suggestion

_EXAMPLES = "sqlite:///var/results.db or postgresql://user:password@host/database"
_POSTGRESQL = "postgresql+psycopg2"
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    _POSTGRESQL: _POSTGRESQL,
}

#: All that follows is the path of a file, ``?`` and ``%`` too.
_SQLITE_FILE = re.compile(r"(sqlite(?:\+pysqlite)?):///(?!file:)(.+)", re.DOTALL)

#: Device and inode of a SQLite file, zeros of a server.
FileIdentity = tuple[int, int]


def parse_url(url: str) -> URL:
    """Read and normalise a database URL, or say what is wrong with it."""
    public = re.sub(r"(?<=//).*@", "***@", url)
    sqlite = _SQLITE_FILE.fullmatch(url)
    if sqlite is not None and re.search(r"\?\w+=[^/]*$", url):
        raise UserError(
            f"storage.url={url}: parameters of SQLite are none that this program takes. Leave"
            " what follows the ? out."
        )
    try:
        parsed = URL.create(sqlite[1], database=sqlite[2]) if sqlite else make_url(url)
    except (ArgumentError, ValueError):
        raise UserError(f"storage.url={public} is not a database URL. Write {_EXAMPLES}.") from None
    if parsed.drivername not in _DRIVERS:
        raise UserError(
            f"storage.url={public} asks for {parsed.drivername}; results go to sqlite or postgresql"
            f".{suggestion(parsed.drivername, ('sqlite', 'postgresql'))} Write {_EXAMPLES}."
        )
    parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    if parsed.drivername == "sqlite" and not _names_a_file(parsed):
        raise UserError(
            f"storage.url={public} names no file, but results must outlive the run."
            " Write sqlite:///var/results.db."
        )
    if "@" in (parsed.host or ""):
        raise UserError(
            "storage.url has an @ in its user name or password. Write it as %40 there, so that"
            " the host can be told apart."
        )
    return parsed


def _names_a_file(url: URL) -> bool:
    path = url.database or ""
    return path not in ("", ":memory:") and not path.startswith("file:")


def public_name(url: URL) -> str:
    """Return ``url`` as a person may see it: no password, not even as a query parameter."""
    if url.drivername == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host", "localhost")
    return f"{host}:{url.port or 5432}/{url.database or url.username}"


def identity_of(url: URL) -> FileIdentity | None:
    """Return what tells a SQLite file from another of its name; None of one that is not there.

    A process that has it open goes on in the old file when it is deleted or replaced.
    """
    if url.get_backend_name() != "sqlite" or not url.database:
        return (0, 0)
    try:
        status = Path(url.database).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def guard(engine: Engine, identity: FileIdentity | None) -> Callable[[], None]:
    """Have every connection and transaction refused when the file is another; return the check."""

    def check(*_: object) -> None:
        if identity_of(engine.url) != identity:
            raise gone(engine.url)

    event.listen(engine, "do_connect", check)  # it would make a file where there is none
    event.listen(engine, "begin", check)
    return check


def gone(url: URL) -> DatabaseGoneError:
    """Return the error that says so of a database."""
    return DatabaseGoneError(
        f"The database {public_name(url)} was deleted, moved or replaced under this command."
    )
