"""Sweeps whose jobs wait in the queue: followed, judged together, cancelled, opened again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import IllegalTransitionError, SameStartError, SweepTakenError
from pipeline.results.database import Repository, open_database
from pipeline.results.records import Configuration
from pipeline.results.rows.queued_sweeps import QueuedSweeps
from pipeline.results.rows.sweeps import QUEUE, Claim, MarketSpec
from pipeline.sweeps.judging import judge_sweep
from support.v3_document import document

P_VALUES = {"p_value": 0.03, "surrogate_p": 0.03}
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sweeps(repository: Repository) -> QueuedSweeps:
    return repository.sweeps


@pytest.fixture
def sweep_id(sweeps: QueuedSweeps, example_job: dict[str, Any]) -> str:
    """A queued sweep of three markets."""
    return begin(sweeps, example_job)


def begin(sweeps: QueuedSweeps, example_job: dict[str, Any]) -> str:
    """Queue the very same sweep; return its id."""
    names = ("btc_1h", "eth_1h", "sol_1h")
    return sweeps.begin(
        key="5eed" * 16,
        strategy="liquidity_sweep",
        optimizer="grid",
        config={"markets": names},
        since=None,
        until=UNTIL,
        engine_version="1",
        markets=[MarketSpec(name, name, example_job | {"pair": name[:3]}) for name in names],
        has_artifacts=lambda configuration_id: True,
        queued=True,
    ).sweep_id


@pytest.fixture
def work(repository: Repository, example: Callable[..., Configuration]) -> Callable[[int], None]:
    """Run so many of the waiting jobs as workers would: each stores what has a p."""

    def work(jobs: int) -> None:
        for job_id in repository.jobs.waiting(jobs):
            assert repository.jobs.take(job_id)
            found = example(job_id, document=document("VALIDATION"), statistics=P_VALUES)
            repository.configurations.save(found)

    return work


@pytest.fixture
def judge(repository: Repository, tmp_path: Path) -> Callable[[], list[str]]:
    """Judge what a dispatcher would have judged; return which sweeps."""

    def judge() -> list[str]:
        ended = [one for one, is_over in repository.sweeps.follow().items() if is_over]
        for sweep_id in ended:
            judge_sweep(repository, tmp_path, Claim(sweep_id, QUEUE), lambda sentence: None)
        return ended

    return judge


def states(sweeps: QueuedSweeps, sweep_id: str) -> list[str]:
    """The state of a sweep, and those of its markets."""
    markets = sweeps.markets(sweep_id)
    return [sweeps.whole(sweep_id).status, *(market.status for market in markets)]


def family(repository: Repository, sweep_id: str) -> list[int]:
    """Count the tests among which each market was judged last."""
    counts = []
    for row in repository.sweeps.markets(sweep_id):
        if row.configuration_id is not None:
            events = repository.configurations.events(row.configuration_id)
            (*_, judged) = [e.figures for e in events if e.kind == "sweep"]
            assert (judged["sweep_id"], judged["fdr_q_value"]) == (sweep_id, row.fdr_q_value)
            counts.append(judged["tests"])
    return counts


def test_a_sweep_is_judged_when_its_last_job_has_ended(
    repository: Repository, sweeps: QueuedSweeps, sweep_id: str, work: Any, judge: Any
) -> None:
    waiting = repository.jobs.waiting(9)
    assert waiting == [row.job_id for row in sweeps.markets(sweep_id)]
    work(1)
    assert repository.jobs.take(waiting[1])
    assert judge() == []
    assert states(sweeps, sweep_id) == ["running", "done", "running", "pending"]
    repository.jobs.complete(waiting[1])  # nothing was admissible
    work(1)
    assert judge() == [sweep_id]
    assert states(sweeps, sweep_id) == ["completed", "done", "done", "done"]
    assert family(repository, sweep_id) == [3, 3]
    assert judge() == []


def test_what_is_cancelled_counts_as_a_test(
    repository: Repository, sweeps: QueuedSweeps, sweep_id: str, work: Any, judge: Any
) -> None:
    work(1)
    judge()
    assert sweeps.cancel_queued(sweep_id) == 2
    assert sweeps.cancel_queued(sweep_id) == 0
    judge()
    assert states(sweeps, sweep_id) == ["cancelled", "done", "cancelled", "cancelled"]
    assert family(repository, sweep_id) == [3]
    with pytest.raises(SweepTakenError):
        sweeps.cancel_queued(sweep_id)


def test_what_failed_counts_once_it_was_restarted_and_is_done(
    repository: Repository, sweeps: QueuedSweeps, sweep_id: str, work: Any, judge: Any
) -> None:
    first = repository.jobs.waiting(1)[0]
    assert repository.jobs.take(first)
    repository.jobs.fail(first, "No candles.")
    work(2)
    judge()
    assert states(sweeps, sweep_id) == ["failed", "failed", "done", "done"]
    assert [row.error for row in sweeps.markets(sweep_id)] == ["No candles.", None, None]
    assert family(repository, sweep_id) == [2, 2]
    assert sweeps.restart_market(first)
    assert states(sweeps, sweep_id) == ["running", "pending", "done", "done"]
    assert judge() == []
    work(1)
    judge()
    assert states(sweeps, sweep_id) == ["completed", "done", "done", "done"]
    assert family(repository, sweep_id)[0] == 3  # the others' q is what it was
    with pytest.raises(IllegalTransitionError):
        sweeps.restart_market(first)


def test_a_job_of_no_sweep_is_restarted_alone(
    repository: Repository, sweeps: QueuedSweeps, example_job: dict[str, Any]
) -> None:
    (job_id,) = repository.jobs.queue([example_job])
    repository.jobs.cancel(job_id)
    assert not sweeps.restart_market(job_id)
    assert repository.jobs.read(job_id).queued


def test_a_sweep_that_cannot_be_judged_says_why(
    sweeps: QueuedSweeps, sweep_id: str, work: Any
) -> None:
    work(3)
    assert sweeps.follow() == {sweep_id: True}
    sweeps.give_up(sweep_id, "A row was edited.")
    assert states(sweeps, sweep_id) == ["failed", "done", "done", "done"]
    errors = {row.error for row in sweeps.markets(sweep_id)}
    assert errors == {"not judged: A row was edited."}
    assert sweeps.follow() == {}


def test_of_one_start_a_single_job_waits_or_runs_whoever_asks(
    repository: Repository, url: str, example_job: dict[str, Any]
) -> None:
    one, asked = repository, example_job | {"start_key": "a" * 64}
    with open_database(url) as other:
        (first,) = one.jobs.queue([asked])
        with pytest.raises(SameStartError):
            other.jobs.queue([asked])
        assert other.jobs.of_start("a" * 64) == first
        assert other.jobs.take(first)
        with pytest.raises(SameStartError):
            one.jobs.queue([asked])
        other.jobs.complete(first)
        (second,) = one.jobs.queue([asked])
        one.jobs.cancel(second)
        one.jobs.queue([asked])
        with pytest.raises(SameStartError):
            other.jobs.restart(second)
        assert len(one.jobs.find("pending")) == 1
        assert len(one.jobs.queue([example_job, example_job])) == 2, "a command may"


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_same_sweep_may_be_started_once_all_of_it_is_cancelled(
    repository: Repository,
    sweeps: QueuedSweeps,
    sweep_id: str,
    example_job: dict[str, Any],
    judge: Any,
    one_by_one: bool,
) -> None:
    """Nobody waits until what was cancelled is judged, and still no two of them run."""

    def cancel(one: str) -> None:
        if not one_by_one:
            sweeps.cancel_queued(one)
            return
        for job_id in [market.job_id for market in sweeps.markets(one)]:
            with pytest.raises(SweepTakenError):
                begin(sweeps, example_job)  # some of it waits still
            sweeps.cancel_market(job_id)

    assert repository.jobs.take(repository.jobs.waiting(1)[0])
    cancel(sweep_id)
    second = begin(sweeps, example_job)
    with pytest.raises(SweepTakenError):
        begin(sweeps, example_job)
    first_job = sweeps.markets(sweep_id)[0].job_id
    with pytest.raises(SameStartError):
        sweeps.restart_market(first_job)
    assert judge() == [sweep_id]
    assert states(sweeps, sweep_id) == ["cancelled"] * 4
    assert states(sweeps, second) == ["running"] + ["pending"] * 3
    cancel(second)
    assert sweeps.restart_market(first_job)
    with pytest.raises(SweepTakenError):
        begin(sweeps, example_job)
    assert sweeps.whole(second).config["markets"] == sweeps.whole(sweep_id).config["markets"]


def test_two_that_cancel_the_last_two_jobs_at_once_free_the_start(
    repository: Repository, sweeps: QueuedSweeps, sweep_id: str, example_job: dict[str, Any]
) -> None:
    first, *rest = [market.job_id for market in sweeps.markets(sweep_id)]
    sweeps.cancel_market(first)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sweeps.cancel_market, rest))
    assert begin(sweeps, example_job)
    with pytest.raises(IllegalTransitionError):
        sweeps.cancel_market(first)
