"""A queued sweep from its start to its q, by dispatchers that are processes of their own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import StorageConfig, TrainConfig, load
from pipeline.results.database import Repository
from pipeline.sweeps.manifest import queue_sweep
from support.serving import PATIENCE, until

Start = Callable[..., "subprocess.Popen[bytes]"]

#: A second a market, whose out-of-sample days have a p.
SMALL = (
    "market=demo",
    "market.timeframe=1h",
    "data.days=60",
    "optimizer=random",
    "optimizer.samples=20",
    "validation=train_test_split",
    "validation.test=10",
    "validation.evidence=deciding",
    "min_trades=1",
)


@pytest.fixture
def queue(repository: Repository, storage: StorageConfig) -> Callable[[], str]:
    """Queue a sweep of two markets."""

    def queue() -> str:
        configs = {
            f"market_{seed}": load([*SMALL, f"data.seed={seed}"], TrainConfig, "train")
            for seed in (1, 3)
        }
        return queue_sweep(repository.sweeps, configs, {"seed": 0}, Path(storage.artifacts))

    return queue


def check_judged(repository: Repository, sweep_id: str, status: str = "done") -> None:
    """Check that both markets ended so, have a q, and are pooled."""
    sweep, rows = repository.sweeps.whole(sweep_id), repository.sweeps.markets(sweep_id)
    assert [sweep.status, *(row.status for row in rows)] == ["completed", status, status]
    assert [pool.markets for pool in sweep.pooled or ()] == [2]
    assert None not in [row.fdr_q_value for row in rows]


def test_a_sweep_is_judged_when_its_jobs_have_ended(
    repository: Repository, queue: Callable[[], str], start: Start
) -> None:
    sweep_id = queue()
    assert start().wait(PATIENCE) == 0
    check_judged(repository, sweep_id)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_another_dispatcher_goes_on_and_what_was_trained_is_not_trained_again(
    repository: Repository, queue: Callable[[], str], start: Start, sent: int
) -> None:
    sweep_id = queue()
    first = start("concurrent=1")
    until(lambda: repository.jobs.find("completed"))
    first.send_signal(sent)
    first.wait(PATIENCE)
    assert start().wait(PATIENCE) == 0
    for row in repository.sweeps.markets(sweep_id):
        if row.status == "failed":  # it ran when its dispatcher was killed
            repository.sweeps.restart_market(row.job_id)
    start().wait(PATIENCE)
    check_judged(repository, sweep_id)
    again = queue()
    assert start().wait(PATIENCE) == 0
    check_judged(repository, again, "skipped")
