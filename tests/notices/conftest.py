"""Databases, a receiver, and what makes news."""

from __future__ import annotations

import pytest

from pipeline.config import NotifyConfig
from pipeline.notices import sender
from support.databases import empty_url, engine, example, example_job, repository, shared, url
from support.receiver import SECRET, receiver

__all__ = ["empty_url", "engine", "example", "example_job", "repository", "shared", "url"]

ALL = ("enter", "leave", "stage", "decay", "job", "sweep", "stale", "check", "alarm")


@pytest.fixture
def config():
    return NotifyConfig(events=list(ALL), secrets=None)


@pytest.fixture
def hook(monkeypatch):
    """Return a receiver that the environment names, and no waits between looks."""
    monkeypatch.setattr(sender, "LOOK_EVERY", 0.02)
    monkeypatch.delenv("NOTIFY_APPRISE", raising=False)
    with receiver() as taking:
        monkeypatch.setenv("NOTIFY_WEBHOOK", taking.url)
        monkeypatch.setenv("NOTIFY_SECRET", SECRET)
        yield taking
