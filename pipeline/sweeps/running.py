"""Run a sweep from its manifest to its table: workers train, this process keeps the rows."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from gpu_engine import Advance
from pipeline.cli.console import LINE_EVERY, Console
from pipeline.config import StorageConfig, SweepConfig, TrainConfig, typed
from pipeline.errors import (
    ConflictError,
    DatabaseAwayError,
    DiskFullError,
    SweepTakenError,
    UnreachableError,
    UserError,
)
from pipeline.executors import make_executor
from pipeline.executors.background import repeated
from pipeline.results.access.address import FileIdentity
from pipeline.results.artifacts.artifact_set import check_root
from pipeline.results.database import Repository, open_database
from pipeline.results.records import MARKET_STATUSES, MarketStatus, SweepMarket
from pipeline.results.rows.sweeps import Claim, Sweeps
from pipeline.sweeps.judging import judge_sweep
from pipeline.sweeps.manifest import SweepRequest, SweepRun, open_sweep
from pipeline.sweeps.table import MarketRow, noun, show
from pipeline.training import job
from pipeline.training.run import Reporter
from pipeline.training.storing import HURRY, UNSTORED
from pipeline.validation.wording import duration, plural

#: Seconds between two looks whether the database answers.
LOOK_EVERY = 10.0

#: What the table says of markets that were not trained again.
KEPT: dict[MarketStatus, str] = {"done": "kept", "failed": "kept; retry_failed=true tries again"}


@dataclass(frozen=True)
class Shared:
    """What all workers of a sweep share.

    ``folder`` is where the sweep was started: paths of a configuration are relative to it.
    ``database`` tells the file of results from another of its name.
    """

    storage: StorageConfig
    folder: str
    database: FileIdentity | None
    claim: Claim


@dataclass(frozen=True)
class Task:
    """A market of the sweep by its position, and its configuration."""

    position: int
    market: str
    config: TrainConfig


@dataclass(frozen=True)
class Answer:
    """What a person should know of a run, and what went wrong, which its job's row may lack."""

    notes: tuple[str, ...]
    error: str | None


def sweep(console: Console, config: SweepConfig, request: SweepRequest) -> bool:
    """Train what is not trained yet, judge all markets together, show them.

    Returns
    -------
    bool
        Whether no market failed.

    Raises
    ------
    UserError
        When another process runs the same sweep, or takes it over.
    """
    storage = config.storage
    with (
        open_database(storage.url, storage.patience, console.note) as repository,
        repository.sweeps.advising(),
        _released(console, repository),
    ):
        try:
            artifacts = Path(storage.artifacts)
            check_root(artifacts)
            sweeps = repository.sweeps
            run = open_sweep(
                sweeps, request, artifacts, resume=config.resume, retry_failed=config.retry_failed
            )
            kept = {
                r.market: KEPT[r.status] for r in sweeps.markets(run.sweep.id) if r.status in KEPT
            }
            if run.claim is None:
                sweeps.whole(run.sweep.id)
                console.note(
                    f"This sweep was completed at {run.sweep.finished_at:%Y-%m-%d %H:%M} UTC,"
                    " by this command and this code: resume=false begins a new one."
                )
            else:
                for dead in repository.jobs.reap():
                    console.note(f"job {dead.id} ({dead.market}) marked failed: {dead.error}")
                _run(console, config, run, run.claim, repository)
                sweeps.whole(run.sweep.id)
            rows = sweeps.markets(run.sweep.id)
            shown = [_shown(repository, row, kept.get(row.market, "")) for row in rows]
            show(console, shown, sweeps.sweep(run.sweep.id).pooled or ())
            whole = [row for row, one in zip(rows, shown, strict=True) if one.edit is None]
            _say_where(console, config, run.sweep.id, whole)
            return len(whole) == len(rows) and not any(
                row.status in ("failed", "cancelled") for row in rows
            )
        except SweepTakenError as taken:
            raise UserError(f"Nothing more is written here: {taken}.") from None


def _run(
    console: Console, config: SweepConfig, run: SweepRun, claim: Claim, repository: Repository
) -> None:
    """Train the pending markets, judge all, end the sweep."""
    sweeps = repository.sweeps
    rows = sweeps.markets(claim.sweep_id)
    shared = Shared(config.storage, str(Path.cwd()), repository.identity, claim)
    tasks = [
        Task(row.position, row.market, run.configs[row.market])
        for row in rows
        if row.status == "pending"
    ]

    def look() -> float | None:
        """Have somebody say that the database takes nothing while all workers wait for it."""
        try:
            sweeps.hold(claim)
        except (SQLAlchemyError, UnreachableError, SweepTakenError):  # the next result will tell
            return None
        return LOOK_EVERY

    unit, before = noun(row.market for row in rows), len(rows) - len(tasks)
    tally = _Tally(console, sweeps, claim.sweep_id)
    try:
        with repeated(look, LOOK_EVERY, "look at the database"):
            executor = make_executor(config.executor)
            console.note(
                f"Sweep {claim.sweep_id}, begun {run.sweep.created_at:%Y-%m-%d %H:%M} UTC:"
                f" {plural(len(tasks), unit)} to train,"
                f" {executor.slots} at a time; {before} ended before"
            )
            with closing(executor.run(train_market, shared, tasks)) as results:
                for ended in results:
                    tally.settle(claim, ended.task, ended.result or Answer((), ended.error))
            judge_sweep(repository, Path(config.storage.artifacts), claim, console.note)
    except DatabaseAwayError as error:
        raise DatabaseAwayError(
            f"{error} Sweep {claim.sweep_id}: {before + tally.ended} of"
            f" {plural(len(rows), unit)} had ended, and are kept. Run the same command when the"
            " database answers: it goes on with the others."
        ) from None


@contextmanager
def _released(console: Console, repository: Repository) -> Iterator[None]:
    """Release the sweep of this process when it is interrupted, however early, and say so."""
    try:
        yield
    except BaseException as error:
        repository.patience.shorten(0 if isinstance(error, UnreachableError) else HURRY)
        with suppress(SweepTakenError, *UNSTORED):
            for claim in repository.sweeps.owned():
                repository.sweeps.release(claim)
                counts = repository.sweeps.counts(claim.sweep_id)
                left, count = counts.get("pending", 0), sum(counts.values())
                console.note(
                    f"Sweep {claim.sweep_id}: {left} of {count} trainings are left; the same"
                    " command goes on with them"
                    if left
                    else f"Sweep {claim.sweep_id}: all {count} trainings have ended; the same"
                    " command judges them together"
                )
        raise


class _Tally:
    """Write a line every few seconds: what is done, what failed, how long the rest will take."""

    def __init__(self, console: Console, sweeps: Sweeps, sweep_id: str) -> None:
        self._console, self._sweeps, self._sweep_id = console, sweeps, sweep_id
        self.ended, self._start = 0, time.monotonic()
        self._written, self._notes = self._start, set[str]()

    def settle(self, claim: Claim, task: Task, answer: Answer) -> None:
        """Write down how a market ended, count it, and say what is known of it, each note once."""
        try:
            row = self._sweeps.settle(claim, task.position, answer.error)
        except (UnreachableError, DiskFullError) as error:
            said = answer.error or ""
            if said.startswith(str(error).partition(":")[0]):  # the reason is said once
                said = said.partition(". ")[2]  # where its result is kept
            if said:
                self._console.note(f"{task.market}: {said}")
            raise
        self._count(row)
        for note in answer.notes:
            if note not in self._notes and note != row.error:  # 24 markets say it once
                self._console.note(f"{row.market}: {note}")
            self._notes.add(note)

    def _count(self, row: SweepMarket) -> None:
        """Count a market that ended; write one that failed at once."""
        self.ended += 1
        if row.status == "failed":
            self._console.note(f"{row.market} failed: {row.error}")
        now = time.monotonic()
        if now - self._written < LINE_EVERY:
            return
        self._written = now
        counts = self._sweeps.counts(self._sweep_id)
        left = sum(counts.get(status, 0) for status in ("pending", "running"))
        seconds = (now - self._start) / self.ended * left
        states = ", ".join(f"{counts[s]} {s}" for s in MARKET_STATUSES if s in counts)
        self._console.note(f"trainings: {states}, about {duration(seconds)} left")


def _say_where(
    console: Console, config: SweepConfig, sweep_id: str, rows: Sequence[SweepMarket]
) -> None:
    """Say where the results are and which commands go on from them."""
    console.print(f"Sweep {sweep_id} in {config.storage.shown_url}")
    tested = [row for row in rows if row.configuration_id is not None]
    if tested:
        best = min(tested, key=_deciding)
        command = typed("scripts/explain", str(best.configuration_id), **config.storage.places)
        console.print(f"{_lowest(best)} {best.market}. To see why: {command}")
        if "storage.url=..." in command:
            console.print("The dots are the address given here.")


def _lowest(best: SweepMarket) -> str:
    """Name the figure by which a market comes first in `_deciding`."""
    if best.p_value is None:
        return "No market has a p. The first one is"
    if best.surrogate_p is None:
        none = "No market has a surrogate p, which decides the stage."
        return f"{none} The lowest p is {best.p_value:.3g}:"
    return f"The lowest surrogate p, which decides the stage, is {best.surrogate_p:.3g}:"


def _deciding(row: SweepMarket) -> tuple[float, float]:
    """Order markets by the surrogate p, those without one last, and then by p."""
    p = (None, None) if row.p_value is None else (row.surrogate_p, row.p_value)
    first, second = (math.inf if value is None else value for value in p)
    return first, second


def _shown(repository: Repository, row: SweepMarket, kept: str) -> MarketRow:
    """Join a market's row with the figures of its configuration, unless these were edited."""
    stored = edit = None
    if row.configuration_id is not None:
        try:
            with repository.sweeps.advising():
                stored = repository.checks.agreeing(row.configuration_id)
        except ConflictError as error:
            edit = str(error)
    metrics = stored.out_of_sample if stored else {}
    return MarketRow(
        market=row.market,
        stage=stored.lifecycle_stage if stored else None,
        synthetic=stored.synthetic if stored else False,
        oos_sharpe_ratio=metrics.get("sharpe_ratio"),
        trades=metrics.get("sample_size"),
        p_value=row.p_value,
        surrogate_p=row.surrogate_p,
        fdr_q_value=row.fdr_q_value,
        seconds=row.seconds,
        error=row.error,
        note="skipped" if row.status == "skipped" else kept,
        edit=edit,
    )


def train_market(shared: Shared, task: Task, advance: Advance) -> Answer:
    """Train one market and store its result.

    A training that fails says so in its job's row, where the sweep looks, if it can. A job that is
    complete already, because its worker died in the moment after, is left as it is.
    """
    notes, failure = list[str](), None
    storage = shared.storage
    with (
        chdir(shared.folder),
        open_database(storage.url, storage.patience, reopened=shared.database) as repository,
    ):
        try:
            job_id = repository.sweeps.claim_market(shared.claim, task.position)
            if job_id is not None:
                reporter = Reporter(note=notes.append)
                job.run_again(task.config, repository, job_id, reporter)
        except UnreachableError:  # no row says so: the sweep must
            raise
        except Exception as error:
            failure = job.sentence(error)
            notes.append(failure)
    return Answer(tuple(notes), failure)
