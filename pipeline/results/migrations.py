"""Migrate a database when it is opened, with Alembic and without its command line.

One transaction holds the lock, the question which revision the database has and the upgrade
itself, so of several processes that open a fresh database at once one creates the tables and the
others find them there, and a migration that fails leaves nothing behind.
"""

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import sql

#: Key of PostgreSQL's advisory lock; any number that no other user of the server has taken.
_LOCK_KEY = 5_113_972_040_231


class UnknownRevisionError(Exception):
    """The database has the ``revision`` of another version; the newest here is ``head``."""

    def __init__(self, revision: str, head: str) -> None:
        super().__init__(f"revision {revision} is unknown here, where the newest is {head}")
        self.revision, self.head = revision, head


def alembic_config() -> Config:
    """Build the configuration that an ``alembic.ini`` would hold: where the scripts are."""
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
    config = alembic_config()
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head() or ""
    current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return
    revisions = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in revisions:
        raise UnknownRevisionError(current, head)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def postgresql_script() -> str:
    """Write the whole schema as SQL for ``psql -f``, without a server (Alembic's offline mode)."""
    config = alembic_config()
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return config.output_buffer.getvalue()
