from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect

import sql
from pipeline.results.access import migrations
from pipeline.results.database import open_database
from pipeline.results.schema import outdated
from pipeline.results.tables.models import Base

if TYPE_CHECKING:
    from support.postgresql import Server


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, Base.metadata))


# Of an index that only PostgreSQL has, over expressions, which SQLite cannot tell of.
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_models_and_migrations_agree(engine: Engine) -> None:
    assert differences(engine) == []


def test_checks_of_models_and_migrations_agree(engine: Engine) -> None:
    """Autogenerate does not compare CHECK constraints."""
    fresh = create_engine("sqlite://")
    Base.metadata.create_all(fresh)
    for table in Base.metadata.tables:
        made, migrated = (
            {check["name"] for check in inspect(one).get_check_constraints(table)}
            for one in (fresh, engine)
        )
        assert made == migrated
    fresh.dispose()


def test_scripts_are_numbered_as_alembic_orders_them() -> None:
    scripts = ScriptDirectory.from_config(migrations.alembic_config())
    ordered = [script.revision for script in scripts.walk_revisions()]
    assert ordered[::-1] == migrations._revisions()


def test_the_revision_is_the_one_alembic_reads(engine: Engine) -> None:
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
        assert migrations._revision(connection) == revision == migrations._revisions()[-1]


def test_a_database_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    open_database(url).close()
    program = (
        "import sys\n"
        "from pipeline.results.database import open_database\n"
        f"open_database({url!r}).close()\n"
        "print('alembic' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert answer.stdout.strip() == b"False"


def test_generated_files_are_current() -> None:
    assert outdated() == {}, "run scripts/schema"


def test_schema_sql_makes_the_database_that_the_migrations_make(
    server: Server,
) -> None:
    url = server.empty_database()
    script = Path(sql.__file__).with_name("schema.sql")
    subprocess.run(
        [server.psql, "-v", "ON_ERROR_STOP=1", "-q", "-f", script, url],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with open_database(url) as repository:
        assert differences(repository.engine) == []
