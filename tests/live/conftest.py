"""Run every test that takes a database twice: over SQLite and over a real PostgreSQL."""

from support.databases import empty_url, engine, example, example_job, repository, shared, url

__all__ = ["empty_url", "engine", "example", "example_job", "repository", "shared", "url"]
