"""Train one market: `scripts/train market=... optimizer=...` (docs/training.md)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.console import Console
from pipeline.config import TrainConfig
from pipeline.errors import AND_AGAIN, DiskFullError, NotStoredError


def main(config: TrainConfig) -> None:
    """Run one training job and store what it found."""
    from pipeline.results.artifacts.artifact_set import check_root
    from pipeline.results.database import open_database
    from pipeline.training import job
    from pipeline.training.record import write_result
    from pipeline.training.run import Reporter
    from pipeline.training.summary import show_candles, show_result

    console = Console()
    storage = config.storage
    with open_database(storage.url, storage.patience, console.note) as repository:
        check_root(Path(storage.artifacts))
        for dead in repository.jobs.reap():
            console.note(f"job {dead.id} ({dead.market}) marked failed: {dead.error}")
        with job.started(config, repository) as job_id:
            trained, configuration_id = job.run(
                config,
                repository,
                job_id,
                Reporter(console.progress, console.note, partial(show_candles, console)),
                command.relative_path(command.run_directory()),
            )
    result, reason = command.run_directory() / "result.json", None
    try:
        write_result(result, trained, job_id, configuration_id)
    except (DiskFullError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).replace(AND_AGAIN, ".")
    show_result(console, trained, configuration_id)
    if reason is not None:
        shown = command.relative_path(result)
        raise NotStoredError(f"The verdict above is stored, the file {shown} is not: {reason}")
    console.print(f"Result file: {command.relative_path(result)}")


def finish(jobs: Sequence[command.Outcome]) -> None:
    """Judge the markets of a multirun together and show their table."""
    from pipeline.sweeps import multirun

    multirun.finish(jobs)


if __name__ == "__main__":
    usage = "scripts/train [-m] [CHOICE=NAME ...] [KEY=VALUE ...]"
    command.run(main, TrainConfig, "train", usage, finish)
