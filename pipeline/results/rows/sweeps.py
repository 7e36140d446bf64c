"""Store the manifest of a sweep: its markets, how far each is, and who may write it.

A sweep belongs to one process, or to the queue (`pipeline.results.rows.queued_sweeps`). Every write
begins with an UPDATE of the sweep's row that names its owner, so a process whose sweep was taken
over writes nothing more, nor do the workers it left behind: `Sweeps.claim_market`, by which a
worker starts a market, names the owner too.

What became of a market is read from its job, never from what a worker says: a market whose job
completed in the moment when everything else was killed is done, and its result is there once.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipeline.errors import IllegalTransitionError, SweepTakenError
from pipeline.results.access import ownership
from pipeline.results.access.leases import Owner, read_owners
from pipeline.results.access.outages import waits
from pipeline.results.access.ownership import get_row, new_job
from pipeline.results.damage import from_row, naming
from pipeline.results.records import MarketStatus, Status, Sweep, SweepMarket, utc_now
from pipeline.results.rows import sweep_rows
from pipeline.results.rows.sweep_rows import SweepRows, rows_of
from pipeline.results.tables.models import (
    SweepMarketRow,
    SweepRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.validation.pooling import PooledVerdict

#: Owner of a sweep that the dispatcher runs: whoever dispatches may write it.
QUEUE = "queue"

#: What a market is whose job ended so; any other end is a failure.
ENDED: dict[Status, MarketStatus] = {"completed": "done", "cancelled": "cancelled"}

#: Tells whether the artifacts of a configuration are at hand; of none there is nothing to miss.
HasArtifacts = Callable[[str | None], bool]


@dataclass(frozen=True)
class Claim:
    """A sweep and the process that owns it; a worker shows it to write in the owner's name."""

    sweep_id: str
    owner: str


@dataclass(frozen=True)
class MarketSpec:
    """A market to be trained: ``job`` is what `pipeline.results.access.ownership.new_job` takes."""

    market: str
    task_hash: str
    job: Mapping[str, Any]


class Sweeps(SweepRows):
    """Sweeps of one database; `pipeline.results.database.Repository` makes it."""

    @waits
    def begin(
        self,
        *,
        key: str,
        strategy: str,
        optimizer: str,
        config: Mapping[str, Any],
        since: datetime | None,
        until: datetime,
        engine_version: str,
        markets: Sequence[MarketSpec],
        has_artifacts: HasArtifacts | None,
        queued: bool = False,
    ) -> Claim:
        """Store a running sweep of this process, with a pending job for every market.

        With ``queued`` nobody owns the jobs, which wait for a dispatcher, and `QUEUE` the sweep.

        With ``has_artifacts`` a market that another sweep has done, with the same hash, is skipped:
        its row points at that job and its configuration.

        Raises
        ------
        SweepTakenError
            When another process has begun a sweep with this key and not ended it.
        """
        now, sweep_id = utc_now(), uuid.uuid4().hex
        sweep = SweepRow(
            id=sweep_id,
            key=key,
            strategy=strategy,
            optimizer=optimizer,
            config=config,
            since=since,
            until=until,
            engine_version=engine_version,
            status="running",
            created_at=now,
            started_at=now,
            seal="",
        )
        taken = SweepTakenError("another command has begun the same sweep")
        with ownership.only_one(taken), self._sessions.begin() as session:
            owner = None if queued else ownership.lease(session).hold(session)
            claim = Claim(sweep_id, owner or QUEUE)
            sweep.owner = claim.owner
            session.add(sweep)
            session.flush()  # the lock, before anything is read
            for position, market in enumerate(markets):
                row = SweepMarketRow(sweep_id=sweep_id, position=position)
                row.market, row.task_hash = market.market, market.task_hash
                earlier = _done_elsewhere(session, market.task_hash, has_artifacts)
                if earlier is None:
                    _queue(session, row, market, owner=owner)
                else:
                    row.status, row.job_id = "skipped", earlier.job_id
                    row.configuration_id = earlier.configuration_id
                    row.p_value, row.surrogate_p = earlier.p_value, earlier.surrogate_p
                    row.seconds = earlier.seconds
                session.add(row)
            sweep_rows.seal(session, sweep_id)
        return claim

    @waits
    def take_over(self, sweep: Sweep) -> Claim:
        """Make a sweep this process's own, unless it has changed since ``sweep`` was read.

        Raises
        ------
        SweepTakenError
            When another process was faster.
        EditedError
            When it is not what was written.
        """
        one = update(SweepRow).where(SweepRow.id == sweep.id)
        present = select(SweepRow.status, SweepRow.owner).where(SweepRow.id == sweep.id)
        taken = SweepTakenError("another command goes on with the same sweep")
        with ownership.only_one(taken), self._sessions.begin() as session:
            owner = ownership.lease(session).hold(session)
            session.execute(one.values(id=sweep.id))  # a write that changes nothing
            sweep_rows.check(session, sweep.id)
            # Compared here: a text that is none is another in a statement.
            if session.execute(present).one() != (sweep.status, sweep.owner):
                raise taken
            with sweep_rows.sealing(session, sweep.id):
                session.execute(one.values(owner=owner, status="running", finished_at=None))
        return Claim(sweep.id, owner)

    @waits
    def reopen(
        self,
        claim: Claim,
        markets: Sequence[MarketSpec],
        has_artifacts: HasArtifacts,
        *,
        retry_failed: bool,
    ) -> None:
        """Prepare a sweep to go on: what is done and unchanged stays if it has its artifacts.

        The rest is pending.

        A market that failed is tried again where ``retry_failed`` says so, or where its hash is no
        longer what it was.

        Raises
        ------
        EditedError
            When the configuration of one that stays is not what was stored.
        """
        by_market = {spec.market: spec for spec in markets}
        with self._held(claim) as session, self.advising():
            for row in rows_of(session, claim.sweep_id):
                spec = by_market[row.market]
                unchanged = row.task_hash == spec.task_hash and has_artifacts(row.configuration_id)
                if unchanged and row.status in ("done", "skipped"):
                    if (stored := row.configuration_id) is not None:
                        sweep_rows.check_configuration(session, stored)
                    continue
                job = get_row(session, TrainingJob, row.job_id)
                if unchanged and job.status == "completed":  # by a worker, or stored afterwards
                    write_end(session, row, job)
                    continue
                if unchanged and row.status == "failed" and not retry_failed:
                    continue
                row.task_hash = spec.task_hash
                _queue(session, row, spec, job, owner=claim.owner)

    @waits
    def claim_market(self, claim: Claim, position: int) -> str | None:
        """Start a market's job in this process, whoever had it before; return the job's id.

        None when the job is complete: its worker died before it could say so.

        Raises
        ------
        SweepTakenError
            When the sweep has another owner now.
        """
        with self._held(claim) as session:
            row = _row(session, claim, position)
            try:
                ownership.requeue_job(session, row.job_id)
            except IllegalTransitionError:
                return None
            ownership.move_job(session, row.job_id, "running", started_at=utc_now())
            row.status = "running"
            return row.job_id

    @waits
    def hold(self, claim: Claim) -> None:
        """Do nothing but a write, which waits for a locked file: readers of it do not.

        Raises
        ------
        SweepTakenError
            When the sweep has another owner now.
        """
        with self._held(claim):
            pass

    @waits
    def settle(self, claim: Claim, position: int, error: str | None) -> SweepMarket:
        """Write down how a market's job ended; ``error`` is why, where its worker could not say.

        Raises
        ------
        SweepTakenError
            When the sweep has another owner now.
        """
        with self._held(claim) as session:
            row = _row(session, claim, position)
            job = get_row(session, TrainingJob, row.job_id)
            if job.status in ("pending", "running"):  # nobody is left to end it
                ownership.requeue_job(session, job.id)
                why = error or "its worker ended without an answer"
                ownership.move_job(session, job.id, "failed", finished_at=utc_now(), error=why)
                session.refresh(job)
            write_end(session, row, job)
            session.flush()
            return from_row(SweepMarket, row)

    @waits
    def write_judgement(
        self, claim: Claim, q_values: Mapping[str, float | None], pooled: Sequence[PooledVerdict]
    ) -> None:
        """Write how the markets were judged together: q-values by configuration id, and pools."""
        with self._held(claim) as session:
            for row in rows_of(session, claim.sweep_id):
                row.fdr_q_value = q_values.get(row.configuration_id or "")
            get_row(session, SweepRow, claim.sweep_id).pooled = [asdict(pool) for pool in pooled]

    @waits
    def owned(self) -> list[Claim]:
        """Return the running sweeps of this process."""
        with self._sessions() as session:
            owner = ownership.lease(session).identity
            own = select(SweepRow.id).where(SweepRow.owner == owner, SweepRow.status == "running")
            return [Claim(sweep_id, owner) for sweep_id in session.scalars(own)]

    @waits
    def release(self, claim: Claim) -> None:
        """Give a sweep up for later: what is not done is pending, its job cancelled.

        To be called when no worker is left.
        """
        with self._held(claim) as session:
            for row in rows_of(session, claim.sweep_id):
                if row.status not in ("pending", "running"):
                    continue
                job = get_row(session, TrainingJob, row.job_id)
                if job.status == "completed":
                    write_end(session, row, job)
                    continue
                row.status = "pending"
                if job.status in ("pending", "running"):
                    ownership.move_job(session, job.id, "cancelled", finished_at=utc_now())
            _end(session, claim, "cancelled")

    @waits
    def end(self, claim: Claim, status: Status) -> None:
        """End a sweep of this process."""
        with self._held(claim) as session:
            _end(session, claim, status)

    @waits
    def abandon(self, key: str, judge: Callable[[Owner | None], None]) -> None:
        """Cancel the sweep that runs with a key, so that another can begin.

        Nothing else of its row is read, which may be damaged. ``judge`` raises where the owner,
        read as by `owner`, lives.
        """
        running = update(SweepRow).where(SweepRow.key == key, SweepRow.status == "running")
        with self._sessions.begin() as session:
            lock = running.values(key=key).returning(SweepRow.id, SweepRow.owner)
            for sweep_id, owner in session.execute(lock).all():
                judge(read_owners(session, once=True).get(owner))
                with sweep_rows.sealing(session, sweep_id):
                    session.execute(running.values(status="cancelled", finished_at=utc_now()))

    @contextmanager
    def _held(self, claim: Claim) -> Iterator[Session]:
        """Open a transaction with the sweep's row locked, if it is still the claim's; seal it.

        Raises
        ------
        SweepTakenError
            When the sweep has another owner now.
        """
        statement = (
            update(SweepRow)
            .where(SweepRow.id == claim.sweep_id, SweepRow.status == "running")
            .where(SweepRow.owner == claim.owner)
            .values(owner=claim.owner)
            .returning(SweepRow.id)
        )
        with self._sessions.begin() as session:
            if session.scalar(statement) is None:
                raise SweepTakenError(f"sweep {claim.sweep_id} has another owner")
            with sweep_rows.sealing(session, claim.sweep_id):
                yield session


def _end(session: Session, claim: Claim, status: Status) -> None:
    ended = update(SweepRow).where(SweepRow.id == claim.sweep_id)
    session.execute(ended.values(status=status, finished_at=utc_now()))


def _queue(
    session: Session,
    row: SweepMarketRow,
    spec: MarketSpec,
    job: TrainingJob | None = None,
    *,
    owner: str | None,
) -> None:
    """Make a market pending, with the job it has where that did not complete."""
    fresh = new_job(**spec.job)
    if job is None or job.status == "completed":
        fresh.owner = owner
        session.add(fresh)
        session.flush()
        ownership.record_status(session, fresh.id, "pending")
        row.job_id = fresh.id
    else:
        ownership.requeue_job(session, job.id, market=fresh.market, **spec.job)
    empty(row)


def empty(row: SweepMarketRow) -> None:
    """Make a market pending, which has found nothing yet."""
    row.status = "pending"
    row.configuration_id = row.p_value = row.surrogate_p = row.fdr_q_value = None
    row.error = row.seconds = None


def write_end(session: Session, row: SweepMarketRow, job: TrainingJob) -> None:
    """Write what a market's finished job says into its row."""
    row.status = ENDED.get(job.status, "failed")
    row.error = None if row.status == "done" else job.error or f"its job was {job.status}"
    if job.started_at is not None and job.finished_at is not None:
        row.seconds = (job.finished_at - job.started_at).total_seconds()
    stored = select(TrainedConfiguration).where(TrainedConfiguration.job_id == job.id)
    configuration = session.scalar(stored)
    if configuration is not None:
        row.configuration_id, row.p_value = configuration.id, configuration.p_value
        row.surrogate_p = configuration.statistics.get("surrogate_p")


def _done_elsewhere(
    session: Session, task_hash: str, has_artifacts: HasArtifacts | None
) -> SweepMarketRow | None:
    """Read the row of the same market in a sweep that is what was written."""
    if has_artifacts is None:
        return None
    row = SweepMarketRow
    query = select(row.sweep_id, row.position, row.configuration_id)
    query = query.where(row.task_hash == task_hash, row.status == "done")
    for sweep_id, position, configuration_id in session.execute(query).all():
        if has_artifacts(configuration_id) and sweep_rows.is_whole(session, sweep_id):
            return session.get(row, (sweep_id, position))
    return None


def _row(session: Session, claim: Claim, position: int) -> SweepMarketRow:
    with naming(SweepMarketRow.__tablename__, f"{position} of sweep {claim.sweep_id}"):
        row = session.get(SweepMarketRow, (claim.sweep_id, position))
    assert row is not None, "a task names a market of its sweep"
    return row
