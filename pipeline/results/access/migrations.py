"""Migrate a database when it is opened, with Alembic and without its command line.

One transaction holds the lock, the question which revision the database has and the upgrade
itself, so of several processes that open a fresh database at once one creates the tables and the
others find them there, and a migration that fails leaves nothing behind. Alembic takes longer to
import than a database that is up to date takes to open, so it is imported where there is work.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

import sql

if TYPE_CHECKING:
    from alembic.config import Config

#: Key of PostgreSQL's advisory lock; any number that no other user of the server has taken.
_LOCK_KEY = 5_113_972_040_231


class UnknownRevisionError(Exception):
    """The database has the ``revision`` of another version; the newest here is ``head``."""

    def __init__(self, revision: str, head: str) -> None:
        super().__init__(f"revision {revision} is unknown here, where the newest is {head}")
        self.revision, self.head = revision, head
        #: Whether opening it for writing brings it to the newest.
        self.is_upgraded = revision in _revisions()


def alembic_config() -> Config:
    """Build the configuration that an ``alembic.ini`` would hold: where the scripts are."""
    from alembic.config import Config

    config = Config()
    folder = Path(sql.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest revision, inside ``connection``'s open transaction.

    Raises
    ------
    UnknownRevisionError
        When a later version of this code wrote the database, or a build before the first release.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    revisions, current = _revisions(), _revision(connection)
    if current == revisions[-1]:
        return
    if current is not None and current not in revisions:
        raise UnknownRevisionError(current, revisions[-1])
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the tables are of the newest revision, which asks for no lock."""
    return _revision(connection) == _revisions()[-1]


def check_revision(connection: Connection) -> bool:
    """Tell whether the database has tables, and change nothing.

    Raises
    ------
    UnknownRevisionError
        When the tables are of any revision but the newest.
    """
    newest, current = _revisions()[-1], _revision(connection)
    if current is not None and current != newest:
        raise UnknownRevisionError(current, newest)
    return current is not None


def _revisions() -> list[str]:
    """Return all revisions, the newest last: each begins the name of its script."""
    scripts = (Path(sql.__file__).parent / "versions").glob("[0-9]*.py")
    return sorted(script.name.partition("_")[0] for script in scripts)


def _revision(connection: Connection) -> str | None:
    """Return the revision that the database has, None where it has no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def postgresql_script() -> str:
    """Write the whole schema as SQL for ``psql -f``, without a server (Alembic's offline mode)."""
    from alembic import command

    config = alembic_config()
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return config.output_buffer.getvalue()
