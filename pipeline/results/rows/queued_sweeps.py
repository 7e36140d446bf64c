"""Store the sweeps that wait in the queue: their jobs are anybody's, and the dispatcher's to judge.

The jobs of such a sweep lie in the queue among all others. Nobody but their rows says how they
ended; `QueuedSweeps.follow` writes it into the rows of the markets. So a server or a dispatcher
that is killed loses nothing: the next look finds what the last one would have.
"""

from collections import defaultdict
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipeline.results.access import ownership
from pipeline.results.access.outages import waits
from pipeline.results.access.ownership import get_row
from pipeline.results.records import utc_now
from pipeline.results.rows import sweep_rows
from pipeline.results.rows.sweep_rows import rows_of
from pipeline.results.rows.sweeps import QUEUE, Claim, Sweeps, empty, write_end
from pipeline.results.tables.models import SweepMarketRow, SweepRow, TrainingJob

_OPEN = ("pending", "running")
#: Where the configuration of a sweep holds the key that it gave free.
_KEY = "key"


class QueuedSweeps(Sweeps):
    """Sweeps of one database, with those of its queue."""

    def follow(self) -> dict[str, bool]:
        """Bring the markets of queued sweeps up to their jobs; return the sweeps that run.

        Each with whether it has ended: no job of it waits or runs, and it can be judged.
        """
        ended = {}
        for sweep_id, states in self._states().items():
            if any(job != market for market, job in states):
                self._bring_up(sweep_id)
            ended[sweep_id] = not any(job in _OPEN for _, job in states)
        return ended

    @waits
    def _states(self) -> dict[str, list[tuple[str, str]]]:
        """Read the states of the markets that are open, each with its job's, by running sweep."""
        row = SweepMarketRow
        query = (
            select(SweepRow.id, row.status, TrainingJob.status)
            .outerjoin(row, (row.sweep_id == SweepRow.id) & row.status.in_(_OPEN))
            .outerjoin(TrainingJob, TrainingJob.id == row.job_id)
            .where(SweepRow.status == "running", SweepRow.owner == QUEUE)
            .order_by(SweepRow.created_at, SweepRow.id)
        )
        states = defaultdict[str, list[tuple[str, str]]](list)
        with self._sessions() as session:
            for sweep_id, market, job in session.execute(query):
                markets = states[sweep_id]
                if market is not None:
                    markets.append((market, job))
        return states

    @waits
    def _bring_up(self, sweep_id: str) -> None:
        with self._held(Claim(sweep_id, QUEUE)) as session:
            for row in rows_of(session, sweep_id):
                if row.status not in _OPEN:
                    continue
                job = get_row(session, TrainingJob, row.job_id)
                if job.status not in _OPEN:
                    write_end(session, row, job)
                elif job.status == "running":
                    row.status = "running"
                else:
                    row.status = "pending"

    @waits
    def cancel_queued(self, sweep_id: str) -> int:
        """Cancel the jobs of a queued sweep that wait or run; return how many these were.

        What had ended stays, and is judged among all that were asked for. Meanwhile the same may be
        started again.

        Raises
        ------
        SweepTakenError
            When it is not running, or a process of its own runs it.
        """
        with self._held(Claim(sweep_id, QUEUE)) as session:
            jobs = [get_row(session, TrainingJob, row.job_id) for row in rows_of(session, sweep_id)]
            left = [job.id for job in jobs if job.status in _OPEN]
            for job_id in left:
                ownership.move_job(session, job_id, "cancelled", finished_at=utc_now())
            _let_go(session, sweep_id)
        return len(left)

    @waits
    def cancel_market(self, job_id: str) -> None:
        """Cancel a pending or running job, whoever owns it; with the last one its queued sweep.

        Raises
        ------
        IllegalTransitionError
            When it has ended.
        """
        row, sweep = SweepMarketRow, SweepRow
        of_job = select(row.sweep_id).where(row.job_id == job_id)
        lock = update(sweep).where(sweep.id.in_(of_job), sweep.status == "running")
        lock = lock.where(sweep.owner == QUEUE).values(owner=QUEUE).returning(sweep.id)
        jobs = select(TrainingJob.id).join(row, row.job_id == TrainingJob.id)
        still_open = jobs.where(TrainingJob.status.in_(_OPEN)).limit(1)
        with self._sessions.begin() as session:
            # Locked first: of two that cancel the last two jobs, one sees the other's.
            sweep_ids = session.scalars(lock).all()
            ownership.move_job(session, job_id, "cancelled", finished_at=utc_now())
            for sweep_id in sweep_ids:
                if session.scalar(still_open.where(row.sweep_id == sweep_id)) is None:
                    with sweep_rows.sealing(session, sweep_id):
                        _let_go(session, sweep_id)

    @waits
    def restart_market(self, job_id: str) -> bool:
        """Queue a job that failed or was cancelled again, and open its queued sweep again.

        False where it is of none.

        Raises
        ------
        IllegalTransitionError
            When the job is in another state.
        SameStartError
            When the same was started again since, and waits or runs.
        """
        row, sweep = SweepMarketRow, SweepRow
        of_queue = select(sweep.id).where(sweep.owner == QUEUE)
        query = select(row.sweep_id).where(row.job_id == job_id, row.sweep_id.in_(of_queue))
        with ownership.only_one(), self._sessions.begin() as session:
            ownership.requeue_job(session, job_id, ("failed", "cancelled"), owner=None)
            sweep_id = session.scalar(query.where(row.status != "skipped"))
            if sweep_id is None:
                return False
            with sweep_rows.sealing(session, sweep_id):
                key, config = _key_of(session, sweep_id)
                opened = update(sweep).where(sweep.id == sweep_id).values(key=config.get(_KEY, key))
                session.execute(opened.values(status="running", finished_at=None, pooled=None))
                for market in rows_of(session, sweep_id):
                    if market.job_id == job_id:
                        empty(market)
        return True

    @waits
    def give_up(self, sweep_id: str, reason: str) -> None:
        """End a queued sweep that cannot be judged, and say why in the rows of its markets."""
        claim = Claim(sweep_id, QUEUE)
        with self._held(claim) as session:
            for row in rows_of(session, sweep_id):
                row.error = row.error or f"not judged: {reason}"
        self.end(claim, "failed")


def _let_go(session: Session, sweep_id: str) -> None:
    """Give the key of a cancelled sweep free, which is not judged yet: the same may be started.

    Who restarts a job of it takes the key back, unless the same was started since.
    """
    key, config = _key_of(session, sweep_id)
    freed = update(SweepRow).where(SweepRow.id == sweep_id)
    session.execute(freed.values(key=sweep_id, config={_KEY: key} | config))


def _key_of(session: Session, sweep_id: str) -> Any:
    query = select(SweepRow.key, SweepRow.config).where(SweepRow.id == sweep_id)
    return session.execute(query).one()
