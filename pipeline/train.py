"""Train one market: `python -m pipeline.train market=... optimizer=...` (docs/training.md)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pipeline import cli
from pipeline.config import TrainConfig
from pipeline.console import Advance, Console
from pipeline.errors import UserError
from pipeline.provenance import config_hash
from pipeline.results.artifacts import check_root
from pipeline.results.database import open_database
from pipeline.results.jsonable import dumps
from pipeline.results.repository import IllegalTransitionError, Repository
from pipeline.storing import result_json, store
from pipeline.summary import show_candles, show_result
from pipeline.training import train

#: Seconds between two writes of a job's progress to the database.
HEARTBEAT_EVERY = 2.0


def main(config: TrainConfig) -> None:
    """Run one training job and store what it found."""
    console = Console()
    repository = Repository(open_database(config.storage.url))
    check_root(Path(config.storage.artifacts))
    for dead in repository.reap_dead_jobs():
        console.note(f"job {dead.id} ({dead.market}) marked failed: {dead.error}")
    with _job(config, repository) as job_id:
        progress = _Progress(console, repository, job_id)
        trained = train(config, progress, console.note, partial(show_candles, console))
        with progress("storing", 0):
            configuration_id = store(trained, repository, job_id)
    result = cli.run_directory() / "result.json"
    result.write_text(dumps(result_json(trained, job_id, configuration_id)), "utf-8")
    show_result(console, trained, configuration_id)
    console.print(f"Result file: {cli.shown(result)}")


@contextmanager
def _job(config: TrainConfig, repository: Repository) -> Iterator[str]:
    """Keep a job's row true whatever happens: failed with its reason, or cancelled by Ctrl-C."""
    job_id = repository.create_job(
        exchange=config.market.exchange.name,
        pair=config.market.pair,
        timeframe=config.market.timeframe,
        strategy=config.strategy.name,
        optimizer=config.optimizer.name,
        config=config.model_dump(mode="json", exclude={"storage"}),
        config_hash=config_hash(config),
        seed=config.seed,
    )
    try:
        repository.start_job(job_id)
        yield job_id
    except KeyboardInterrupt:
        with suppress(IllegalTransitionError):  # it had ended when the interrupt came
            repository.cancel_job(job_id)
        raise
    except UserError as error:
        repository.fail_job(job_id, str(error))
        raise
    except BaseException as error:  # SystemExit too: what Rich raises when its reader has gone
        with suppress(IllegalTransitionError):
            repository.fail_job(job_id, f"{type(error).__name__}: {error}")
        raise


class _Progress:
    """Progress on the screen, and every few seconds in the job's row."""

    def __init__(self, console: Console, repository: Repository, job_id: str) -> None:
        self._console, self._repository, self._job_id = console, repository, job_id
        self._written = 0.0

    @contextmanager
    def __call__(self, stage: str, total: int) -> Iterator[Advance]:
        done = 0
        with self._console.progress(stage, total) as bar:

            def advance(n: int) -> None:
                nonlocal done
                done += n
                bar(n)
                if time.monotonic() - self._written >= HEARTBEAT_EVERY:
                    self._written = time.monotonic()
                    self._repository.progress(self._job_id, done / max(total, 1), stage)

            self._repository.progress(self._job_id, 0.0, stage)
            yield advance


if __name__ == "__main__":
    cli.run(main, TrainConfig, "train")
