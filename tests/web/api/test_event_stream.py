"""A job from its start to its results through a real server, dispatcher and worker."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime

import httpx2 as httpx
import pytest

from pipeline.executors.share import cores
from support.serving import served, until

pytestmark = pytest.mark.slow

#: Seconds from an event's row to each of its readers.
PROMPT = 2.0


async def read(client, job, after=0):
    """Return (id, kind, lag) of every event; lag is None of those before the connection."""
    seen = []
    headers = {"Last-Event-ID": str(after)}
    async with client.stream("GET", f"/api/training/jobs/{job}/events", headers=headers) as stream:
        began = datetime.now(UTC)
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                at, now = datetime.fromisoformat(event["at"]), datetime.now(UTC)
                lag = (now - at).total_seconds() if at > began else None
                seen.append((event["id"], event["kind"], lag))
    return seen


async def read_all(address, job, readers):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        return await asyncio.gather(*(read(client, job) for _ in range(readers)))


def test_two_hundred_readers_each_have_every_event_in_time(tmp_path):
    with served(tmp_path) as (_, address), httpx.Client(base_url=address) as client:
        job = client.post("/api/training/start", json={"markets": ["demo"]}).json()["job_ids"][0]
        seen = asyncio.run(read_all(address, job, 200))
        ids = [[one[0] for one in events] for events in seen]
        assert all(one == ids[0] for one in ids)
        assert ids[0] == sorted(set(ids[0]))
        assert max(lag for events in seen for *_, lag in events if lag is not None) <= PROMPT
        assert client.get(f"/api/training/jobs/{job}").json()["status"] == "completed"
        (rest,) = asyncio.run(read_rest(address, job, ids[0][4]))
        assert rest == ids[0][5:]
        found = client.get(f"/api/training/jobs/{job}/results").json()
        assert found["configurations"][0]["synthetic"] is True


async def read_rest(address, job, after):
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        return [[one[0] for one in await read(client, job, after)]]


@pytest.mark.skipif(
    os.getloadavg()[0] > cores(), reason="other work holds the cores: a time would say nothing"
)
def test_the_first_progress_comes_within_two_seconds(tmp_path):
    with served(tmp_path) as (_, address), httpx.Client(base_url=address) as client:
        time.sleep(3)  # a server that has just been started
        began = time.monotonic()
        (job,) = client.post("/api/training/start", json={"markets": ["demo"]}).json()["job_ids"]
        with client.stream("GET", f"/api/training/jobs/{job}/events") as stream:
            next(line for line in stream.iter_lines() if line == "event: progress")
            assert time.monotonic() - began <= PROMPT


def test_a_job_that_waits_or_runs_is_cancelled_and_restarted(tmp_path):
    with served(tmp_path) as (_, address), httpx.Client(base_url=address) as client:
        job = client.post("/api/training/start", json={"markets": ["demo"]}).json()["job_ids"][0]
        path = f"/api/training/jobs/{job}"
        assert client.post(f"{path}/restart").status_code == 409
        assert client.get(f"{path}/results").status_code == 409
        assert client.post(f"{path}/cancel").json()["status"] == "cancelled"
        assert client.post(f"{path}/cancel").status_code == 409
        assert client.post(f"{path}/restart").json()["status"] == "pending"
        until(lambda: client.get(path).json()["status"] == "completed")
