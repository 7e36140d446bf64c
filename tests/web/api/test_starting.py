"""Starts, cancels and restarts as the queue sees them, while nobody runs anything."""

import pytest

from pipeline.results.rows import sweeps
from pipeline.results.rows.queued_sweeps import QueuedSweeps
from pipeline.web.service.requests import TrainingRequest
from support.runs import ask

START = "/api/training/start"
JOBS = "/api/training/jobs"


@pytest.fixture
def queued(client):
    """The path of a job that waits."""
    (job,) = client.post(START, json={"markets": ["demo"]}).json()["job_ids"]
    return f"{JOBS}/{job}"


def refused(answer):
    assert answer.status_code == 409, answer.text
    return answer.json()["detail"]


def test_a_start_queues_a_job_for_every_market_in_their_order(client, tmp_path):
    answer = client.post(START, json={"markets": ["demo_null", "demo"], "seed": 7})
    assert answer.status_code == 202
    ids = answer.json()["job_ids"]
    jobs = [client.get(f"{JOBS}/{one}").json() for one in ids]
    assert [(job["pair"], job["queued"], job["seed"]) for job in jobs] == [
        ("NOEDGE/USDT", True, 7),
        ("DEMO/USDT", True, 7),
    ]
    assert ask(tmp_path, lambda repository: repository.jobs.waiting(9)) == ids


def test_one_market_that_is_refused_stops_all(client):
    body = {"markets": ["btc_binance_1h", "demo"], "history": {"since": "2024-01-01"}}
    answer = client.post(START, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("demo: its candles are invented")
    assert client.get(JOBS).json()["jobs"] == []
    for advice in (
        {"markets": ["btc_binance_1h"], "history": {"since": "2024-01-01"}},
        {"markets": ["demo"], "history": {"days": 200}},
    ):
        assert client.post(START, json=advice).status_code == 202


def test_jobs_come_in_pages(client):
    ids = client.post(START, json={"markets": ["demo_null", "demo"]}).json()["job_ids"]
    ids += client.post(START, json={"markets": ["demo"]}).json()["job_ids"]
    client.post(f"{JOBS}/{ids[0]}/cancel")
    pages = [client.get(JOBS, params={"limit": 2, "offset": at}).json() for at in (0, 2, 4)]
    assert [(page["total"], len(page["jobs"])) for page in pages] == [(3, 2), (3, 1), (3, 0)]
    whole = client.get(JOBS).json()["jobs"]
    assert [job for page in pages for job in page["jobs"]] == whole
    assert {job["id"] for job in whole} == set(ids)
    waiting = client.get(JOBS, params={"status": ["pending", "running"]}).json()
    assert (waiting["total"], {job["id"] for job in waiting["jobs"]}) == (2, set(ids[1:]))


def test_jobs_are_stored_all_or_none(service, tmp_path, monkeypatch):
    made, new_job = [], sweeps.new_job

    def fails_the_second_time(**described):
        made.append(new_job(**described))
        if len(made) == 2:
            raise OSError("as a database may fail between two rows")
        return made[-1]

    monkeypatch.setattr(sweeps, "new_job", fails_the_second_time)
    with pytest.raises(OSError, match="between two rows"):
        service.start_training(TrainingRequest(markets=["demo", "demo_null"]))
    assert len(made) == 2
    assert ask(tmp_path, lambda repository: repository.jobs.find()) == []
    assert ask(tmp_path, lambda repository: repository.sweeps.ids()) == []


def test_a_job_that_was_cancelled_is_restarted(client, queued):
    assert "only what failed or was cancelled" in refused(client.post(f"{queued}/restart"))
    assert client.post(f"{queued}/cancel").json()["status"] == "cancelled"
    assert "there is nothing to cancel" in refused(client.post(f"{queued}/cancel"))
    again = client.post(f"{queued}/restart").json()
    assert (again["status"], again["queued"]) == ("pending", True)


@pytest.mark.parametrize("times", [1, 2])
def test_a_cancel_that_was_overtaken_and_undone_is_tried_once_more(
    client, queued, monkeypatch, times
):
    job_id, moved = queued.rpartition("/")[2], []
    cancel = QueuedSweeps.cancel_market

    def overtaken(sweeps, one):
        moved.append(one)
        if len(moved) <= times:
            cancel(sweeps, one)
            try:
                cancel(sweeps, one)
            finally:
                sweeps.restart_market(one)
        cancel(sweeps, one)

    monkeypatch.setattr(QueuedSweeps, "cancel_market", overtaken)
    answer = client.post(f"{queued}/cancel")
    assert moved == [job_id] * 2
    if times == 1:
        assert answer.json()["status"] == "cancelled"
    else:
        assert refused(answer) == f"Job {job_id} is cancelled: there is nothing to cancel."


def test_the_events_of_what_has_ended_are_all_there_and_resumed(client, queued):
    for change in ("cancel", "restart", "cancel"):
        client.post(f"{queued}/{change}")
    lines = client.get(f"{queued}/events").text.splitlines()
    ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
    assert len(ids) == 4
    rest = client.get(f"{queued}/events", headers={"Last-Event-ID": ids[2]}).text
    assert rest.startswith(f"id: {ids[3]}\nevent: status\n")
    assert '"status":"cancelled"' in rest
    beyond = client.get(f"{queued}/events", headers={"Last-Event-ID": str(2**63 - 1)}).text
    assert [line for line in beyond.splitlines() if line.startswith("id: ")] == [
        f"id: {one}" for one in ids
    ]


def test_a_job_that_failed_says_why_and_is_restarted(client, queued, tmp_path):
    def fail(repository):
        job = queued.rpartition("/")[2]
        assert repository.jobs.take(job)
        repository.jobs.fail(job, "The disk is full.")

    ask(tmp_path, fail)
    assert client.get(queued).json()["error"] == "The disk is full."
    said = refused(client.get(f"{queued}/results"))
    assert said.endswith("only a completed job has results. The disk is full.")
    again = client.post(f"{queued}/restart").json()
    assert (again["status"], again["error"]) == ("pending", None)


@pytest.mark.parametrize("markets", [["demo"], ["demo", "demo_null"]])
def test_the_very_same_start_is_refused_while_it_waits_or_runs(client, service, markets):
    first = client.post(START, json={"markets": markets}).json()
    refusal = client.post(START, json={"markets": list(reversed(markets))})
    found = first["sweep_id"] or first["job_ids"][0]
    assert found in refused(refusal)
    assert refusal.headers["location"].endswith(f"/{found}")
    assert client.get(refusal.headers["location"]).status_code == 200
    assert client.post(START, json={"markets": markets, "seed": 1}).status_code == 202
    for one in first["job_ids"]:
        service.repository.jobs.take(one)
    assert found in refused(client.post(START, json={"markets": markets}))
    for one in first["job_ids"]:
        service.cancel(one)
    for sweep_id, ended in service.repository.sweeps.follow().items():
        if ended:
            service.repository.sweeps.give_up(sweep_id, "cancelled")
    again = client.post(START, json={"markets": markets})
    assert again.status_code == 202
    assert "started again since" in refused(client.post(f"{JOBS}/{first['job_ids'][0]}/restart"))


def test_searches_that_wait_or_run_are_earlier_ones_and_what_found_nothing_is_none(client, service):
    ids = [
        client.post(START, json={"markets": ["demo"], "seed": seed}).json()["job_ids"][0]
        for seed in (1, 2, 3)
    ]
    for one in ids[:2]:
        service.repository.jobs.take(one)
    service.repository.jobs.complete(ids[0])
    (counted,) = client.post(START, json={"markets": ["demo"]}).json()["earlier"]
    assert (counted["count"], counted["waiting"]) == (2, 2)
    assert "2 times before on these days, which wait or run still." in counted["sentence"]
