"""What a server says of itself, and what it refuses where nobody would run it."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event, Semaphore
from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from pipeline.results.access import engines
from pipeline.results.access.exclusive_role import Role
from pipeline.web.api.app import create_app
from pipeline.web.service import follower
from pipeline.web.service.service import Service
from support.outages import locked

HERE = "http://127.0.0.1:8080"
START = {"markets": ["demo"], "optimizer": {"method": "random", "samples": 10}}


@pytest.fixture
def supervisor():
    """What a server knows of its dispatcher."""
    return SimpleNamespace(trouble=None, is_alive=True)


@pytest.fixture
def supervised(service, supervisor):
    """A client of a server with that supervisor."""
    queue = Service(service.repository, service.settings, supervisor)
    with TestClient(create_app(queue), base_url=HERE) as client:
        yield client


def test_a_server_that_works_says_so(supervised):
    answer = supervised.get("/api/health")
    told = answer.json()
    assert answer.status_code == 200
    assert 0.0 <= told.pop("dispatcher_beat_age") < 60.0
    assert told.pop("follower")["running"] is False
    assert told == {
        "healthy": True,
        "reason": None,
        "database_answers": True,
        "database_takes_writes": True,
        "threads": {"supervisor": True, "event streams": True},
    }


def test_health_tells_who_follows(supervised, service, repository, monkeypatch):
    told = supervised.get("/api/health").json()["follower"]
    assert (told["running"], told["since"]) == (False, None)
    assert "scripts/paper" in told["reason"]
    assert repository.follower.claim()
    told = supervised.get("/api/health").json()["follower"]
    assert (told["running"], told["reason"], told["pid"]) == (True, None, os.getpid())
    assert told["since"] <= told["last_round"]
    monkeypatch.setattr(follower, "HANGS_AFTER", timedelta(seconds=-1))
    answer = supervised.get("/api/health")
    assert answer.status_code == 200  # the server works all the same
    told = answer.json()["follower"]
    assert not told["running"]
    assert service.following.look().trouble == told["reason"]
    repository.follower.release()


def test_without_a_dispatcher_nothing_is_queued(supervised, supervisor, repository):
    supervisor.trouble = "The dispatcher of queued jobs ended with exit status 3."
    answer = supervised.get("/api/health")
    assert (answer.status_code, answer.json()["reason"]) == (503, supervisor.trouble)
    refused = supervised.post("/api/training/start", json=START)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["detail"].endswith(supervisor.trouble)
    assert repository.jobs.find() == []
    supervisor.trouble = None
    (job_id,) = supervised.post("/api/training/start", json=START).json()["job_ids"]
    repository.jobs.cancel(job_id)
    supervisor.trouble = "It is gone."
    assert supervised.post(f"/api/training/jobs/{job_id}/restart").status_code == 503
    assert repository.jobs.read(job_id).status == "cancelled"


def test_health_waits_for_no_other_request(supervised):
    asked, over = Semaphore(0), Event()
    supervised.app.routes.insert(
        0, APIRoute("/wait", lambda: asked.release() or over.wait(600) or None)
    )
    with ThreadPoolExecutor(41) as others:
        try:
            waiting = [others.submit(supervised.get, "/wait") for _ in range(41)]
            for _ in range(40):  # all threads that requests have
                assert asked.acquire(timeout=120)
            began = time.monotonic()
            assert supervised.get("/api/health").json()["healthy"]
            assert time.monotonic() - began < 120
            assert not any(one.done() for one in waiting)
        finally:
            over.set()


def test_a_database_that_does_not_answer_is_told(supervised, monkeypatch):
    def away(*_):
        raise OperationalError("SELECT", {}, Exception("gone for lunch"))

    monkeypatch.setattr(Role, "look", away)
    answer = supervised.get("/api/health")
    assert answer.status_code == 503
    assert (answer.json()["database_answers"], answer.json()["dispatcher_beat_age"]) == (
        False,
        None,
    )
    assert answer.json()["reason"] == "The database does not answer."


def test_a_database_that_takes_no_writes_is_told_at_once(
    supervised, repository, service, monkeypatch
):
    monkeypatch.setattr(engines, "BUSY_MS", 100)
    said, patience = [], service.repository.patience
    monkeypatch.setattr(patience, "_tell", said.append)
    with locked(service.repository.engine.url.database):
        assert supervised.post("/api/training/start", json=START).status_code == 503
        monkeypatch.setattr(engines, "BUSY_MS", 120_000)
        began = time.monotonic()
        answer = supervised.get("/api/health")
        assert time.monotonic() - began < 60
        assert answer.status_code == 503
        told = answer.json()
        assert (told["database_answers"], told["database_takes_writes"]) == (True, False)
        assert "takes no writes" in told["reason"]
        assert supervised.get("/api/training/jobs").json()["jobs"] == []
        assert said == ["The database does not answer: database is locked."]
        assert patience.is_away
    assert supervised.get("/api/health").json()["database_takes_writes"]
    assert [line.partition(" after")[0] for line in said[1:]] == ["The database answers again"]
    assert supervised.post("/api/training/start", json=START).status_code == 202


def test_a_thread_that_has_ended_is_told(supervised, supervisor):
    supervisor.is_alive = False
    supervised.app.state.events._poller.cancel()
    supervised.portal.call(asyncio.sleep, 0.1)
    answer = supervised.get("/api/health")
    assert answer.status_code == 503
    assert answer.json()["threads"] == {"supervisor": False, "event streams": False}
    assert answer.json()["reason"].endswith("event streams, supervisor.")


def test_invented_candles_cannot_be_followed_and_what_to_do_is_said(
    supervised, repository, monkeypatch
):
    def page(_, **filters):
        return [], 0 if filters.get("synthetic") is False else 1

    monkeypatch.setattr(type(repository.configurations), "page", page)
    told = supervised.get("/api/health").json()["follower"]["reason"]
    assert "its candles were invented. Switch it off" in told
