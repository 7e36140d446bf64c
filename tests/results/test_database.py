from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

from pipeline.errors import UserError
from pipeline.results.access.address import parse_url
from pipeline.results.database import open_database

if TYPE_CHECKING:
    from support.postgresql import Server


def refusal(url: str) -> str:
    with pytest.raises(UserError) as caught:
        open_database(url)
    return str(caught.value)


TABLES = {
    "alembic_version",
    "configuration_events",
    "deliveries",
    "dispatcher",
    "follower",
    "job_events",
    "leases",
    "live_events",
    "notice_marks",
    "notice_targets",
    "paper_accounts",
    "paper_days",
    "paper_trades",
    "signals",
    "sweep_markets",
    "sweeps",
    "trained_configurations",
    "training_jobs",
}


def test_opening_creates_the_tables_and_opening_again_nothing(empty_url: str) -> None:
    for _ in range(2):
        with open_database(empty_url) as repository:
            assert set(inspect(repository.engine).get_table_names()) == TABLES


@pytest.mark.parametrize("given", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_always_goes_through_psycopg2(given: str) -> None:
    assert parse_url(f"{given}://u@h/d").drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("busy_timeout", 5_000), ("synchronous", 1), ("foreign_keys", 1)],
)
def test_sqlite_pragmas_hold_on_every_connection(
    tmp_path: Path, pragma: str, value: object
) -> None:
    repository = open_database(f"sqlite:///{tmp_path}/results.db")
    engine = repository.engine
    with engine.connect() as one, engine.connect() as two:
        for connection in (one, two):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


@pytest.mark.parametrize("url", ["", "var/results.db", "postgresql://u:hush@h:port/d", "://x"])
def test_a_url_that_cannot_be_read_is_refused_with_examples(url: str) -> None:
    message = refusal(url)
    assert "is not a database URL. Write sqlite:///var/results.db or postgresql://" in message
    assert "hush" not in message


def test_another_dialect_is_refused_with_a_suggestion() -> None:
    message = refusal("postgre://u:hush@h/d")
    assert "asks for postgre; results go to sqlite or postgresql" in message
    assert "Did you mean 'postgresql'?" in message
    assert "hush" not in message


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:a.db?mode=ro&uri=true"]
)
def test_a_database_without_a_file_is_refused(url: str) -> None:
    assert "names no file" in refusal(url)


def test_an_unescaped_at_sign_does_not_give_the_password_away() -> None:
    message = refusal("postgresql://u:hu@sh@host/d")
    assert "%40" in message
    assert "sh@host" not in message


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert f"{tmp_path}/taken" in refusal(f"sqlite:///{tmp_path}/taken/results.db")


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(f"sqlite:///{tmp_path}")


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database at all")
    assert "notes.txt is not an SQLite database" in refusal(f"sqlite:///{notes}")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert notes.read_text() == "not a database at all"


def take_away(path: Path, mode: int) -> None:
    path.chmod(mode)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everywhere, as root may")


def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    take_away(tmp_path / "closed", 0o500)
    assert "Permission denied" in refusal(f"sqlite:///{tmp_path}/closed/results.db")


def test_a_read_only_database_is_refused_before_the_training(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    open_database(f"sqlite:///{path}").close()
    take_away(path, 0o400)
    assert "Permission denied" in refusal(f"sqlite:///{path}")


def test_a_server_that_is_not_there() -> None:
    message = refusal("postgresql://u:hush@127.0.0.1:1/results")
    assert "PostgreSQL at 127.0.0.1:1/results as user u" in message
    assert "Connection refused" in message
    assert "hush" not in message


def test_a_wrong_password_is_not_repeated(server: Server) -> None:
    message = refusal(server.url("postgres", password="hush"))
    assert 'password authentication failed for user "postgres"' in message
    assert "hush" not in message


def test_a_database_that_does_not_exist(server: Server) -> None:
    message = refusal(server.url("nowhere"))
    assert 'database "nowhere" does not exist' in message
    assert "hush" not in message


@pytest.mark.parametrize(
    ("revision", "reason"),
    [
        ("9999", "belongs to a later version of this program (schema 9999, here 0013)"),
        ("0008", "was made before the first release (schema 0008, here 0013)"),
    ],
)
def test_a_database_of_another_version_is_refused_and_left_alone(
    empty_url: str, revision: str, reason: str
) -> None:
    with open_database(empty_url) as repository, repository.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    message = refusal(empty_url)
    assert reason in message
    assert "choose another storage.url" in message
    assert "hush" not in message
    engine = create_engine(parse_url(empty_url))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == revision
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE trained_configurations (mine INTEGER)")
    message = refusal(f"sqlite:///{path}")
    assert "table trained_configurations already exists" in message
    with closing(sqlite3.connect(path)) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("trained_configurations",)]


def test_opening_once_more_leaves_the_log_under_the_feet_of_the_first(tmp_path: Path) -> None:
    """Another process that ends would delete it, were this one's locks gone (SQLite, 2.2)."""
    path = tmp_path / "results.db"
    first = open_database(f"sqlite:///{path}")
    with first.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (value INTEGER)")
        connection.commit()
        log = Path(f"{path}-wal")
        before = log.stat().st_ino
        open_database(f"sqlite:///{path}").close()
        other = (
            f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT * FROM mine')"
        )
        subprocess.run([sys.executable, "-c", f"{other}.fetchall(); c.close()"], check=True)
        assert log.stat().st_ino == before
    first.close()
