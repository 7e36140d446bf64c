from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from pipeline.errors import IllegalTransitionError, UnknownIdError
from pipeline.results.database import Repository
from pipeline.results.records import STATUSES, TRANSITIONS, Configuration, Status

Make = Callable[..., Configuration]


def move(repository: Repository, job_id: str, wanted: Status) -> None:
    match wanted:
        case "running":
            repository.jobs.start(job_id)
        case "completed":
            repository.jobs.complete(job_id)
        case "failed":
            repository.jobs.fail(job_id, "because")
        case "cancelled":
            repository.jobs.cancel(job_id)


PATHS: dict[Status, list[Status]] = {
    "pending": [],
    "running": ["running"],
    "completed": ["running", "completed"],
    "failed": ["running", "failed"],
    "cancelled": ["running", "cancelled"],
}


@pytest.mark.parametrize("wanted", STATUSES[1:])
@pytest.mark.parametrize("present", STATUSES)
def test_only_the_transitions_of_the_table(
    repository: Repository, example_job: dict[str, Any], present: Status, wanted: Status
) -> None:
    job_id = repository.jobs.create(**example_job)
    for step in PATHS[present]:
        move(repository, job_id, step)
    if wanted in TRANSITIONS[present]:
        move(repository, job_id, wanted)
        assert repository.jobs.read(job_id).status == wanted
    else:
        with pytest.raises(
            IllegalTransitionError, match=f"is {present} and cannot become {wanted}"
        ):
            move(repository, job_id, wanted)
        assert repository.jobs.read(job_id).status == present


def test_a_job_is_read_back_as_it_was_written(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    job = repository.jobs.read(repository.jobs.create(**example_job))
    assert {name: getattr(job, name) for name in example_job} == example_job
    assert job.market == "binance:BTC/USDT:5m"
    assert (job.status, job.progress, job.error) == ("pending", 0.0, None)
    assert job.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - job.created_at) < timedelta(minutes=1)


def test_progress_is_a_heartbeat(repository: Repository, running_job: str) -> None:
    before = repository.jobs.read(running_job).heartbeat_at
    repository.jobs.progress(running_job, 0.25, "search")
    job = repository.jobs.read(running_job)
    assert (job.progress, job.stage_of_work, job.status) == (0.25, "search", "running")
    assert job.heartbeat_at > before


def test_a_cancelled_run_learns_it_at_its_next_progress(
    repository: Repository, running_job: str
) -> None:
    repository.jobs.cancel(running_job)
    with pytest.raises(IllegalTransitionError) as caught:
        repository.jobs.progress(running_job, 0.5, "search")
    assert caught.value.status == "cancelled"
    assert repository.jobs.read(running_job).progress == 0.0


def test_a_failure_keeps_its_reason(repository: Repository, running_job: str) -> None:
    repository.jobs.fail(running_job, "the exchange is gone\nfor good")
    job = repository.jobs.read(running_job)
    assert job.error == "the exchange is gone\nfor good"
    assert job.finished_at is not None


def test_jobs_are_listed_by_status_newest_first(
    repository: Repository, example_job: dict[str, Any]
) -> None:
    ids = [repository.jobs.create(**example_job) for _ in range(3)]
    repository.jobs.start(ids[1])
    assert [job.id for job in repository.jobs.find()] == ids[::-1]
    assert [job.id for job in repository.jobs.find("pending")] == [ids[2], ids[0]]
    assert [job.id for job in repository.jobs.find(limit=1, offset=1)] == [ids[1]]


def test_saving_stores_the_configuration_and_completes_the_job(
    repository: Repository, running_job: str, example: Make
) -> None:
    record = example(running_job)
    repository.configurations.save(record)
    assert repository.configurations.read(record.id) == record
    job = repository.jobs.read(running_job)
    assert (job.status, job.progress) == ("completed", 1.0)


def test_a_configuration_that_cannot_be_stored_leaves_the_job_running(
    repository: Repository, running_job: str, example: Make
) -> None:
    with pytest.raises(IntegrityError, match="lifecycle_stage"):
        repository.configurations.save(example(running_job, lifecycle_stage="BRILLIANT"))
    assert repository.jobs.read(running_job).status == "running"
    assert repository.configurations.find() == []


def test_a_job_that_was_cancelled_stores_nothing(
    repository: Repository, running_job: str, example: Make
) -> None:
    repository.jobs.cancel(running_job)
    with pytest.raises(IllegalTransitionError):
        repository.configurations.save(example(running_job))
    assert repository.configurations.find() == []


def test_what_is_not_finite_is_null_everywhere(
    repository: Repository, engine: Engine, running_job: str, example: Make
) -> None:
    record = example(
        running_job,
        statistics={"p_value": math.nan, "z_score": -math.inf},
        in_sample={"profit_factor": math.nan},
    )
    repository.configurations.save(record)
    stored = repository.configurations.read(record.id)
    assert stored.statistics == {"p_value": None, "z_score": None}
    assert stored.in_sample == {"profit_factor": None}
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM trained_configurations WHERE p_value IS NULL")
        assert connection.execute(query).scalar() == 1


def test_times_of_any_zone_come_back_in_utc(
    repository: Repository, running_job: str, example: Make
) -> None:
    moment = datetime(2023, 7, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    record = example(running_job, created_at=moment)
    repository.configurations.save(record)
    stored = repository.configurations.read(record.id).created_at
    assert stored == moment
    assert stored.tzinfo is UTC


def test_a_naive_time_is_refused(repository: Repository, running_job: str, example: Make) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        repository.configurations.save(example(running_job, created_at=datetime(2023, 7, 1)))


def test_a_configuration_without_its_job_is_refused_by_the_database(engine: Engine) -> None:
    columns = (
        "id, job_id, strategy, exchange, pair, timeframe, lifecycle_stage, synthetic, parameters,"
        " in_sample, out_of_sample, statistics, gates, circuit_breakers, provenance, document,"
        " artifact_digests, head, seal, oos_sharpe_ratio, oos_net_profit, sample_size, created_at"
    )
    texts = "'i', 'no job', 's', 'e', 'p', 't', 'PAPER', false"
    values = texts + ", '{}'" * 9 + ", '', '', 0, 0, 0"
    statement = f"INSERT INTO trained_configurations ({columns}) VALUES ({values}, '2023-01-01')"
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"), engine.begin() as connection:
        connection.execute(text(statement))


def test_unknown_ids(repository: Repository) -> None:
    with pytest.raises(UnknownIdError, match="training_jobs has no row with id nope"):
        repository.jobs.start("nope")
    with pytest.raises(UnknownIdError, match="trained_configurations has no row with id nope"):
        repository.configurations.read("nope")


@pytest.fixture
def three(repository: Repository, example_job: dict[str, Any], example: Make) -> list[str]:
    """Ids of three stored configurations, oldest first."""
    differences: list[dict[str, Any]] = [
        {"lifecycle_stage": "PAPER", "timeframe": "1h", "statistics": {"p_value": None}},
        {"lifecycle_stage": "MATURE", "pair": "ETH/USDT", "statistics": {"p_value": 0.5}},
        {"lifecycle_stage": "MATURE", "synthetic": True, "statistics": {"p_value": 0.01}},
    ]
    ids = []
    for number, changes in enumerate(differences):
        job_id = repository.jobs.create(**example_job)
        repository.jobs.start(job_id)
        metrics = {"net_profit": 0.1, "sharpe_ratio": [2.0, 3.0, 1.0][number], "sample_size": 40}
        record = example(
            job_id,
            id=f"LIQUIDITY_SWEEP_V3_20230131_235959_00000{number}",
            out_of_sample=metrics,
            created_at=datetime(2023, 1, 1 + number, tzinfo=UTC),
            **changes,
        )
        repository.configurations.save(record)
        ids.append(record.id)
    return ids


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"lifecycle_stage": "MATURE"}, [2, 1]),
        ({"lifecycle_stage": "MATURE", "pair": "BTC/USDT"}, [2]),
        ({"timeframe": "1h"}, [0]),
        ({"synthetic": False}, [1, 0]),
        ({"is_active": True}, []),
        ({"order_by": "oos_sharpe_ratio"}, [1, 0, 2]),
        ({"order_by": "p_value", "descending": False}, [2, 1, 0]),
        ({"order_by": "p_value"}, [1, 2, 0]),
        ({"limit": 1, "offset": 1}, [1]),
    ],
)
def test_configurations_are_filtered_sorted_and_paged(
    repository: Repository, three: list[str], filters: dict[str, Any], expected: list[int]
) -> None:
    ids, _ = repository.configurations.page(**filters)
    assert ids == [three[number] for number in expected]
    if not {"order_by", "offset"} & filters.keys():
        assert [record.id for record in repository.configurations.find(**filters)] == ids
