"""Starts of several markets are sweeps, and earlier searches of the same days are counted."""

import pytest

from pipeline.executors.base import ignore
from pipeline.queue.task import judge_queued
from pipeline.validation.multiple_testing import after_searches
from support.databases import JOB

START, ESTIMATE = "/api/training/start", "/api/training/estimate"
SMALL = {
    "optimizer": {"method": "random", "samples": 5},
    "validation": {"method": "train_test_split", "test": 10, "evidence": "deciding"},
    "history": {"days": 60},
    "min_trades": 1,
}
BOTH = SMALL | {"markets": ["demo", "demo_null"]}


@pytest.fixture
def started(client):
    """The answer to a start of two markets."""
    answer = client.post(START, json=BOTH)
    assert answer.status_code == 202, answer.text
    return answer.json()


def work(service, jobs):
    """End so many jobs that wait, which find nothing; have judged what a dispatcher would."""
    repository = service.repository
    for job_id in repository.jobs.waiting(jobs):
        assert repository.jobs.take(job_id)
        repository.jobs.complete(job_id)
    for sweep_id in (one for one, ended in repository.sweeps.follow().items() if ended):
        judge_queued((service.settings.storage, repository.identity), sweep_id, ignore)


def report(client, started):
    return client.get(f"/api/sweeps/{started['sweep_id']}").json()


def test_one_market_is_no_sweep(client):
    answer = client.post(START, json=SMALL | {"markets": ["demo"]}).json()
    assert (answer["sweep_id"], len(answer["job_ids"])) == (None, 1)
    assert client.get("/api/sweeps").json()["sweeps"] == []


def test_several_markets_are_one_sweep_from_their_start_to_their_q(client, service, started):
    none = {"failed": 0, "cancelled": 0}
    begun = report(client, started)
    assert [one["job_id"] for one in begun["markets"]] == started["job_ids"]
    assert [one["market"] for one in begun["markets"]] == ["demo", "demo_null"]
    assert begun["progress"] == none | {"ended": 0, "total": 2, "progress": 0, "seconds_left": None}
    work(service, 1)
    half = report(client, started)
    assert [one["status"] for one in half["markets"]] == ["done", "pending"]
    assert (half["progress"]["ended"], half["progress"]["progress"]) == (1, 0.5)
    assert half["progress"]["seconds_left"] > 0
    work(service, 1)
    done = report(client, started)
    assert done["sweep"]["status"] == "completed"
    assert done["progress"] == none | {"ended": 2, "total": 2, "progress": 1, "seconds_left": None}
    assert done["sweep"]["pooled"] == []


def test_cancelled_is_what_was_left_and_its_restart_opens_the_sweep_again(client, service, started):
    path = f"/api/sweeps/{started['sweep_id']}/cancel"
    work(service, 1)
    assert client.post(path).status_code == 200
    work(service, 0)
    ended = report(client, started)
    assert [one["status"] for one in ended["markets"]] == ["done", "cancelled"]
    assert ended["sweep"]["status"] == "cancelled"
    refused = client.post(path)
    assert refused.status_code == 409
    assert "there is nothing to cancel" in refused.json()["detail"]
    left = started["job_ids"][1]
    assert client.post(f"/api/training/jobs/{left}/restart").json()["queued"]
    assert report(client, started)["sweep"]["status"] == "running"
    work(service, 1)
    assert report(client, started)["sweep"]["status"] == "completed"


def test_earlier_searches_of_the_same_candles_are_counted_and_said(client, started):
    assert started["earlier"] == []
    again = client.post(ESTIMATE, json=BOTH).json()
    assert again["earlier"] == [], "the very same search is a repetition"
    other = client.post(START, json=BOTH | {"seed": 5}).json()
    assert [(e["market"], e["count"], e["same_strategy"]) for e in other["earlier"]] == [
        ("demo", 1, 1),
        ("demo_null", 1, 1),
    ]
    body = BOTH | {"strategy": "donchian_breakout", "markets": ["demo_null"]}
    (counted,) = client.post(ESTIMATE, json=body).json()["earlier"]
    assert (counted["count"], counted["same_strategy"]) == (2, 0)
    assert counted["worth"] == after_searches(0.05, 2)
    other_days = body | {"history": {"days": 90}}
    assert client.post(ESTIMATE, json=other_days).json()["earlier"] == []


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ({"since": "2024-03-01", "until": "2024-09-01"}, 1),
        ({"since": "2024-06-30"}, 1),
        ({"since": "2024-07-01"}, 0),
        ({"length": "1y", "until": "2024-02-01"}, 1),
        ({"length": "1y", "until": "2024-01-01"}, 0),
    ],
)
def test_real_days_overlap_or_not(client, history, count):
    first = {
        "markets": ["btc_binance_1h"],
        "history": {"since": "2024-01-01", "until": "2024-07-01"},
    }
    client.post(START, json=first)
    body = {"markets": ["btc_binance_1h"], "history": history}
    answer = client.post(ESTIMATE, json=body)
    assert answer.status_code == 200, answer.text
    assert [one["count"] for one in answer.json()["earlier"]] == [1] * count


FILE = {"source": "file", "path": "candles.csv"}
SUMMER = {"since": "2024-06-01T00:00:00Z", "until": "2024-08-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("data", "stored", "count"),
    [
        (FILE, ("2021-01-01", "2022-12-31"), 0),  # its candles count, not when it was asked for
        (FILE, ("2024-07-31", "2024-12-31"), 1),
        ({"source": "ccxt"}, ("2024-07-31", "2025-01-01"), 1),
        ({"source": "ccxt"} | SUMMER, ("2024-08-01", "2024-08-02"), 0),
        (FILE, None, 0),  # nobody knows what is in the file before it is read
        (FILE | SUMMER, None, 1),
        ({"source": "ccxt"}, None, 0),  # of the newest year
    ],
)
def test_a_search_counts_by_its_candles_as_its_result_would(
    client, repository, example, data, stored, count
):
    market = {"exchange": "binance", "pair": "BTC/USDT", "timeframe": "1h"}
    job = JOB | market | {"config": {"data": data}}
    job_id = repository.jobs.create(**job)
    if stored is not None:
        first, last = (f"{day}T00:00:00+00:00" for day in stored)
        found = {"config_hash": "c", "seed": 7, "data_hash": "d"}
        found |= {"first_candle": first, "last_candle": last}
        repository.jobs.start(job_id)
        repository.configurations.save(example(job_id, provenance=found, **market))
        asked = found | {"seed": 8, "first_candle": SUMMER["since"]}
        asked["last_candle"] = "2024-07-31T23:00:00Z"
        search = market | {"synthetic": False, "provenance": asked}
        assert repository.configurations.earlier_searches(**search).count == count
    days = {"since": "2024-06-01", "until": "2024-08-01"}
    body = SMALL | {"markets": ["btc_binance_1h"], "history": days, "seed": 8}
    answer = client.post(ESTIMATE, json=body).json()
    assert [one["count"] for one in answer["earlier"]] == [count] * (count > 0)


def test_what_runs_is_listed_first_and_all_that_waits_is_cancelled(client, service, started):
    alone = client.post(START, json=SMALL | {"markets": ["demo"], "seed": 8}).json()["job_ids"]
    first = service.repository.jobs.waiting(1)[0]
    assert service.repository.jobs.take(first)
    listed = [job.id for job in service.jobs(running_first=True).jobs]
    assert listed == [first, *alone, started["job_ids"][1]]
    ((sweep, progress),) = service.queued_sweeps()
    assert (sweep.id, progress.ended, progress.total) == (started["sweep_id"], 0, 2)
    assert service.cancel_waiting() == 2
    assert service.repository.jobs.waiting(9) == []
    assert service.job(first).status == "running"
    service.repository.jobs.complete(first)
    work(service, 0)
    assert service.queued_sweeps() == []
    assert report(client, started)["sweep"]["status"] == "cancelled"
