"""A database that is away under queued jobs: they end as ever, or wait again with the reason."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.config.commands import DispatchConfig
from pipeline.errors import DatabaseAwayError
from pipeline.queue.dispatcher import Dispatcher, _Ending
from pipeline.queue.task import run_job
from pipeline.results.artifacts.unstored_result import FOLDER
from pipeline.results.database import open_database
from pipeline.training import job
from pipeline.training.run import Reporter
from pipeline.web.api.app import create_app
from pipeline.web.service.jobs import Settings
from pipeline.web.service.service import Service
from support.serving import served, until
from support.sweeping import TINY

pytestmark = pytest.mark.drill


@pytest.fixture
def place(tmp_path, outage):
    """Where results of a test go."""
    return StorageConfig(url=outage.url, artifacts=f"{tmp_path}/artifacts", patience=60)


@pytest.fixture
def away_after_training(monkeypatch):
    """Have the database go away when a training has its result."""
    train = job.train
    with ExitStack() as until_the_end:

        def disturb(away):
            def disturbed(*arguments):
                trained = train(*arguments)
                until_the_end.enter_context(away())
                return trained

            monkeypatch.setattr(job, "train", disturbed)
            return until_the_end.close

        yield disturb


def queued(repository):
    """Queue a job of a moment; return its id."""
    description = job.description(load(["market=btc_binance_1h", *TINY], TrainConfig, "train"))
    return repository.jobs.queue([description])[0]


def figures(repository):
    """What jobs found, oldest first."""
    rows = reversed(repository.configurations.find())
    return [(row.parameters, row.out_of_sample, row.statistics["p_value"]) for row in rows]


def test_a_job_waits_for_its_database(place, outage, away_after_training):
    with open_database(place.url) as repository:
        run_job((place, repository.identity), queued(repository), print)
        away_after_training(outage.until_said)
        assert run_job((place, repository.identity), queued(repository), print) is None
        assert [one.status for one in repository.jobs.find()] == ["completed"] * 2
        first, second = figures(repository)
        assert first == second


@pytest.fixture
def trainings(monkeypatch):
    """The trainings that were made, one entry each."""
    made, train = [], job.train

    def counted(*arguments):
        made.append(arguments)
        return train(*arguments)

    monkeypatch.setattr(job, "train", counted)
    return made


def test_when_patience_ends_the_job_waits_again_and_is_stored_without_training(
    place, outage, trainings, away_after_training
):
    short = place.model_copy(update={"patience": 0.3})
    with open_database(place.url) as repository:
        run_job((short, repository.identity), queued(repository), print)
        comes_back = away_after_training(outage.away)
        job_id = queued(repository)
        dispatcher = Dispatcher(
            repository, DispatchConfig(storage=short, concurrent=1, idle=1.0, server=None)
        )
        reason = run_job((short, repository.identity), job_id, print)
        assert reason.startswith("The database did not answer for 0.3 s: ")
        comes_back()
        dispatcher._untold[job_id] = _Ending(reason, waits_again=True, pid=os.getpid())
        dispatcher._tell_rows()
        row = repository.jobs.read(job_id)
        assert (row.status, row.queued) == ("pending", True)
        told = [event.payload for event in repository.jobs.events() if event.kind == "status"]
        assert {"status": "failed", "error": reason} in told
        assert len(trainings) == 2
        assert run_job((short, repository.identity), job_id, print) is None
        assert len(trainings) == 2
        assert [one.status for one in repository.jobs.find()] == ["completed"] * 2
        first, second = figures(repository)
        assert first == second
        assert list((Path(place.artifacts) / FOLDER).iterdir()) == []


def test_what_was_kept_and_is_of_no_use_is_left(storage, repository, monkeypatch):
    config = load(["market=btc_binance_1h", *TINY], TrainConfig, "train")
    config = config.model_copy(update={"storage": storage})
    job_id, notes = queued(repository), []
    reporter = Reporter(note=notes.append)
    assert job._kept(config, job_id, reporter) is None
    assert notes == []
    assert repository.jobs.take(job_id)
    with monkeypatch.context() as away:
        away.setattr(repository.configurations, "save", refuse)
        with pytest.raises(DatabaseAwayError, match="The result is kept"):
            job.run(config, repository, job_id, Reporter())
    parcel = job._kept(config, job_id, reporter)
    assert parcel is not None
    assert job._kept(config.model_copy(update={"seed": 9}), job_id, reporter) is None
    with monkeypatch.context() as later:
        later.setattr(job, "engine_hash", lambda strategy: "another")
        assert job._kept(config, job_id, reporter) is None
    trades = parcel.artifacts / "trades.parquet"
    trades.write_bytes(trades.read_bytes()[:-1])
    assert job._kept(config, job_id, reporter) is None
    assert len(notes) == 3


def refuse(*_):
    raise DatabaseAwayError("The database did not answer.")


def test_a_request_does_not_wait(place, outage):
    said = []
    with open_database(place.url, tell=said.append) as repository:
        assert repository.dispatcher.claim()
        service = Service(repository, Settings(place, store="candles"))
        with TestClient(create_app(service), base_url="http://127.0.0.1:8080") as client:
            job_id = queued(repository)
            path = f"/api/training/jobs/{job_id}/cancel"
            with outage.away():
                began = time.monotonic()
                refused = client.post(path)
                assert refused.status_code == 503
                assert refused.headers["retry-after"].isdigit()
                assert "database does not answer" in refused.json()["detail"]
                assert time.monotonic() - began < 30  # and not as long as a job is patient
            until(lambda: client.post(path).status_code == 200)
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "The database does not answer",
        "The database answers again",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [60.0, *(2.0 + n / 2 for n in range(19))])
def test_a_served_job_ends_as_ever(tmp_path, outage, seconds):
    request = {
        "markets": ["demo"],
        "optimizer": {"method": "random", "samples": 20},
        "validation": {"method": "walk_forward", "evidence": "deciding"},
        "history": {"days": 170},
    }
    with served(tmp_path, url=outage.url) as (_, address), httpx.Client(base_url=address) as client:

        def trained(seconds):
            (job_id,) = client.post("/api/training/start", json=request).json()["job_ids"]
            path = f"/api/training/jobs/{job_id}"
            until(lambda: client.get(path).json()["status"] == "running")
            if seconds:
                with outage.away():
                    time.sleep(seconds)
            until(lambda: client.get(path).json().get("status") in ("completed", "failed"))
            return client.get(f"{path}/results").json()["configurations"]

        (first,), (second,) = trained(0), trained(seconds)
    with open_database(outage.url) as repository:
        assert [one.status for one in repository.jobs.find()] == ["completed"] * 2
        one, other = figures(repository)
        assert one == other
    assert first["id"] != second["id"]
