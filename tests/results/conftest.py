"""Run every test that takes a database twice: over SQLite and over a real PostgreSQL."""

from support.databases import (  # noqa: F401, fixtures
    empty_url,
    engine,
    example,
    example_job,
    repository,
    running_job,
    shared,
    url,
)
