"""Pages of configurations are read from an index that covers them, whatever is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, event, select

from pipeline.results.database import Repository, open_database
from pipeline.results.rows import listing
from pipeline.results.rows.listing import SORT_KEYS, SortKey
from pipeline.results.tables.models import NULLABLE, SORTED_BY, TrainedConfiguration
from pipeline.studies.bench.repository import FILTERS, fill, measure
from support.databases import KINDS, new_url

TABLE = "trained_configurations"


@pytest.fixture(scope="module", params=KINDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Database of some hundred configurations, whose plans rest on its own statistics."""
    url = new_url(request.param, tmp_path_factory.mktemp("listing"), request)
    with open_database(url) as repository:
        fill(repository, 500)
        yield repository.engine


def explained(connection: Connection, query: Select[Any]) -> list[str]:
    """Lines of the database's plan of a query."""
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    if connection.dialect.name == "sqlite":
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
    for other in ("seqscan", "bitmapscan"):  # by which a small table is read
        connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
    told = connection.exec_driver_sql(f"EXPLAIN {str(compiled).replace('%', '%%')}")
    return [row[0] for row in told]


def plan(connection: Connection, query: Select[Any]) -> list[str]:
    """Lines of the plan that say how the table is read."""
    mark = TABLE if connection.dialect.name == "sqlite" else f" on {TABLE}"
    return [line for line in explained(connection, query) if mark in line]


def reads_rows(line: str) -> bool:
    """Whether a line of a plan opens rows other than by their id, of one job, or active."""
    by_few = (f"pk_{TABLE}", f"ix_{TABLE}_job_id", f"ix_{TABLE}_active")
    found = ("COVERING INDEX", "Index Only Scan", "autoindex", *by_few)
    return not any(one in line for one in found)


@pytest.mark.parametrize("order_by", SORT_KEYS)
@pytest.mark.parametrize("filters", FILTERS)
def test_a_page_and_its_count_open_no_other_rows(
    filled: Engine, filters: str, order_by: SortKey
) -> None:
    filters_ = FILTERS[filters]
    with filled.connect() as connection:
        queries = [listing.ids_query(filters_, order_by, way, 50, 0) for way in (True, False)]
        for query in (listing.count_query(filters_), *queries):
            lines = plan(connection, query)
            assert lines
            if filters == "nothing" or "market" in filters:
                # PostgreSQL knows that these are few, and looks at those rows alone.
                lines = [line for line in lines if not re.search(r"rows=\d ", line)]
            assert not [line for line in lines if reads_rows(line)]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order_by", SORT_KEYS)
def test_a_page_far_behind_is_read_in_order(
    filled: Engine, order_by: SortKey, descending: bool
) -> None:
    page = listing.ids_query({}, order_by, descending, 50, 50_000)
    with filled.connect() as connection:
        told = explained(connection, page)
    assert not [line for line in told if "Sort" in line or "TEMP B-TREE" in line]


@pytest.mark.slow
def test_pages_of_100_000_configurations_take_less_than_100_ms(empty_url: str) -> None:
    with open_database(empty_url) as repository:
        fill(repository, 100_000)
        medians = measure(repository)
    assert {page: s for page, s in medians.items() if s > 0.1} == {}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order_by", SORT_KEYS)
def test_what_has_no_figure_comes_last_both_ways_and_ties_go_by_id(
    filled: Engine, order_by: SortKey, descending: bool
) -> None:
    with filled.connect() as connection:
        columns = [getattr(TrainedConfiguration, name) for name in (order_by, "id")]
        rows = [tuple(row) for row in connection.execute(select(*columns))]
        page = list(connection.scalars(listing.ids_query({}, order_by, descending, 500, 0)))
    known = sorted((row for row in rows if None not in row), reverse=descending)
    unknown = sorted((row[-1] for row in rows if None in row), reverse=descending)
    assert page == [*(row[-1] for row in known), *unknown]
    assert bool(unknown) == (order_by in NULLABLE)
    assert order_by in SORTED_BY


def test_what_is_switched_on_is_found_by_its_own_index(repository: Repository) -> None:
    """SQLite: also where it has no statistics yet. PostgreSQL: by those of some hundred rows.

    Of an empty table PostgreSQL takes any index that has the column.
    """
    asked: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, values: Any, *rest: Any) -> None:
        asked.append((statement, values))

    event.listen(repository.engine, "before_cursor_execute", keep)
    repository.configurations.active_version()
    assert repository.configurations.find(is_active=True) == []
    assert repository.checks.active() == []
    assert repository.checks.due(datetime.now(UTC)) == []
    event.remove(repository.engine, "before_cursor_execute", keep)
    mine = [(text, values) for text, values in asked if "is_active" in text]
    assert len(mine) == 4
    sqlite = repository.engine.dialect.name == "sqlite"
    if not sqlite:
        fill(repository, 500)
    with repository.engine.connect() as connection:
        for text, values in mine:
            rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' * sqlite}{text}", values)
            assert f"ix_{TABLE}_active" in " ".join(str(row[-1]) for row in rows)
