"""Read sweeps and their markets, and tell whether they still are what was written.

A sweep's row holds a digest of it and of the rows of its markets, its seal, written by every
transaction that writes any of them: whenever a process is killed, they agree. There is one from the
first moment, so a seal that somebody took away is an edit too. A broken seal stays so: `sealing`
never mends it, and nobody goes on with such a sweep.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.errors import UnknownIdError
from pipeline.results import records
from pipeline.results.access import ownership
from pipeline.results.access.leases import Owner, read_owners
from pipeline.results.access.outages import Tables, waits
from pipeline.results.damage import UNREADABLE, from_row, naming, reason_of
from pipeline.results.rows import chain
from pipeline.results.tables.models import (
    ConfigurationEventRow,
    SweepMarketRow,
    SweepRow,
    TrainedConfiguration,
    TrainingJob,
)
from pipeline.validation.pooling import PooledVerdict
from pipeline.validation.wording import marked

_SWEEP = (*(field.name for field in fields(records.SweepView)), "key", "config", "started_at")
_ADVICE = (
    "Restore its row and those of its markets from one copy of the database, or begin a new one"
    " with resume=false."
)
_ANEW = (
    "Restore what is named here from one copy of the database, or begin a new sweep with"
    " resume=false."
)
_MARKET = (*(field.name for field in fields(records.SweepMarketView)), "position", "task_hash")


class SweepRows(Tables):
    """What is stored of the sweeps of one database, to be read."""

    @waits
    def newest(self, key: str) -> records.Sweep | None:
        """Read the sweep with this key that runs, or else began last.

        One whose time cannot be, because it was damaged, comes after all others.
        """
        row = SweepRow
        order = (row.status == "running").desc(), (row.created_at <= records.utc_now()).desc()
        query = select(row).where(row.key == key)
        query = query.order_by(*order, row.created_at.desc(), row.id).limit(1)
        with self._sessions() as session, _read(f"The newest sweep with key {key[:8]}"):
            newest = session.scalar(query)
            if newest is None:
                return None
            if session.scalar(select(row.id).where(row.id == newest.id)) is None:
                raise ValueError("its id is no text")
            return _sweep(newest)

    @waits
    def ids(self, limit: int = 50, offset: int = 0) -> list[str]:
        """Read a page of the ids of sweeps, newest first."""
        query = select(SweepRow.id).order_by(SweepRow.created_at.desc(), SweepRow.id)
        with self._sessions() as session:
            return list(map(str, session.scalars(query.limit(limit).offset(offset))))

    @waits
    def count(self) -> int:
        """Count all sweeps."""
        with self._sessions() as session:
            return session.scalar(select(func.count()).select_from(SweepRow)) or 0

    def recent(
        self, limit: int = 50, offset: int = 0
    ) -> tuple[list[records.Sweep], dict[str, str]]:
        """Read a page of sweeps, newest first, and why others are not what was written, by id."""
        sweeps, refused = list[records.Sweep](), dict[str, str]()
        for sweep_id in self.ids(limit, offset):
            try:
                sweeps.append(self.whole(sweep_id))
            except (chain.EditedError, UnknownIdError) as error:
                refused[sweep_id] = str(error)
        return sweeps, refused

    @waits
    def whole(self, sweep_id: str) -> records.Sweep:
        """Read one sweep as `sweep` does, and refuse it unless it is what was written."""
        with self._sessions() as session, _read(f"Sweep {sweep_id}"):
            check(session, sweep_id)
            return _sweep(ownership.get_row(session, SweepRow, sweep_id))

    @waits
    def sweep(self, sweep_id: str) -> records.Sweep:
        """Read one sweep, or raise `UnknownIdError`."""
        with self._sessions() as session, _read(f"Sweep {sweep_id}"):
            return _sweep(ownership.get_row(session, SweepRow, sweep_id))

    @waits
    def markets(self, sweep_id: str) -> list[records.SweepMarket]:
        """Read the markets of a sweep in their order."""
        with self._sessions() as session:
            return [from_row(records.SweepMarket, row) for row in rows_of(session, sweep_id)]

    @waits
    def running(self, owner: str) -> list[str]:
        """Read the ids of the sweeps of an owner that run, newest first."""
        query = select(SweepRow.id).where(SweepRow.status == "running", SweepRow.owner == owner)
        with self._sessions() as session:
            return list(session.scalars(query.order_by(SweepRow.created_at.desc(), SweepRow.id)))

    @waits
    def jobs_of(self, sweep_id: str) -> list[records.JobSummary]:
        """Read what the jobs of a sweep are and how far they have come, in their markets' order."""
        row, job = SweepMarketRow, TrainingJob
        query = select(*(getattr(job, field.name) for field in fields(records.JobSummary)))
        query = query.join(row, row.job_id == job.id).where(row.sweep_id == sweep_id)
        with self._sessions() as session:
            return [
                records.JobSummary(*one) for one in session.execute(query.order_by(row.position))
            ]

    @waits
    def of_job(self, job_id: str) -> list[str]:
        """Read the ids of the sweeps that a job's market is of, oldest first.

        There are several where later ones took what an earlier one had trained.
        """
        market = SweepMarketRow
        members = select(market.sweep_id).where(market.job_id == job_id)
        query = select(SweepRow.id).where(SweepRow.id.in_(members))
        with self._sessions() as session:
            return list(session.scalars(query.order_by(SweepRow.created_at, SweepRow.id)))

    @waits
    def outcomes(
        self, sweep_ids: Sequence[str]
    ) -> dict[str, list[tuple[str, records.MarketStatus, str | None]]]:
        """Read of every market of sweeps what it is, its status and its stage, by sweep.

        The stage is None where nothing is stored, and says SYNTHETIC of invented candles. Of what
        was stored with another stage, or is gone, it is `records.ALTERED`.
        """
        row, stored = SweepMarketRow, TrainedConfiguration
        job, columns = TrainingJob, (stored.lifecycle_stage, stored.synthetic)
        name = (job.exchange + ":" + job.pair + ":" + job.timeframe).label("market")
        query = select(row.sweep_id, name, row.status, row.configuration_id, *columns)
        query = query.join(job, job.id == row.job_id)
        query = query.outerjoin(stored, stored.id == row.configuration_id)
        query = query.where(row.sweep_id.in_(sweep_ids)).order_by(row.sweep_id, row.position)
        found: dict[str, list[tuple[str, records.MarketStatus, str | None]]] = {}
        with self._sessions() as session:
            rows = session.execute(query).all()
            ids = [one.configuration_id for one in rows if one.configuration_id]
            names = [column.name for column in columns]
            digests = chain.written(session, ids, names)
            for sweep_id, market, status, identity, stage, synthetic in rows:
                named = None
                if identity is not None:
                    same = dict(zip(names, map(chain.digest, (stage, synthetic)), strict=True))
                    whole = stage is not None and digests.get(identity) == same
                    named = marked(stage, synthetic) if whole else records.ALTERED
                found.setdefault(sweep_id, []).append((market, status, named))
        return found

    @waits
    def judged_with(self, configuration_id: str) -> list[str]:
        """Read the ids of the sweeps that judged a configuration, oldest first."""
        market = SweepMarketRow
        members = select(market.sweep_id).where(market.configuration_id == configuration_id)
        query = select(SweepRow.id).where(SweepRow.id.in_(members), SweepRow.status != "running")
        query = query.where(SweepRow.pooled.is_not(None)).order_by(SweepRow.created_at, SweepRow.id)
        with self._sessions() as session:
            return list(session.scalars(query))

    @waits
    def unstored(self, sweep_id: str) -> list[bool]:
        """Tell of every market that counts and stored nothing whether its candles are synthetic.

        One that another sweep had trained is among them, and one that was cancelled; one that
        failed is not (validation rules §3.2).
        """
        row = SweepMarketRow
        query = select(TrainingJob).join(row, row.job_id == TrainingJob.id)
        query = query.where(
            row.sweep_id == sweep_id, row.status.in_(("done", "skipped", "cancelled"))
        )
        query = query.where(row.configuration_id.is_(None)).order_by(row.position)
        jobs = f"the jobs of sweep {sweep_id}"
        with self._sessions() as session, naming(TrainingJob.__tablename__, jobs):
            return [from_row(records.Job, job).synthetic for job in session.scalars(query)]

    @waits
    def owner(self, sweep: records.Sweep) -> Owner | None:
        """Read the lease of a sweep's owner, for one look; None where it left none."""
        with self._sessions.begin() as session:
            return read_owners(session, once=True).get(sweep.owner)

    @waits
    def counts(self, sweep_id: str) -> dict[records.MarketStatus, int]:
        """Count the markets of a sweep in each state that any is in."""
        row = SweepMarketRow
        query = select(row.status, func.count().label("markets")).where(row.sweep_id == sweep_id)
        with self._sessions() as session:
            counts = session.execute(query.group_by(row.status))
            return {count.status: count.markets for count in counts}

    @staticmethod
    @contextmanager
    def advising() -> Iterator[None]:
        """Let whatever was changed that a sweep needs be refused with what its command can do.

        Raises
        ------
        EditedError
            For one, and for a row that is gone.
        """
        try:
            yield
        except chain.EditedError as error:
            if error.advice == _ADVICE:
                raise
            raise chain.EditedError(error.identity, error.clauses, _ANEW) from None
        except UnknownIdError as error:
            raise chain.EditedError("What this sweep needs", [str(error)], _ANEW) from None


def _sweep(row: SweepRow) -> records.Sweep:
    pooled = None if row.pooled is None else [PooledVerdict(**pool) for pool in row.pooled]
    return replace(from_row(records.Sweep, row), pooled=pooled)


def rows_of(session: Session, sweep_id: str) -> list[SweepMarketRow]:
    """Read the rows of a sweep's markets in their order."""
    query = select(SweepMarketRow).where(SweepMarketRow.sweep_id == sweep_id)
    with naming(SweepMarketRow.__tablename__, f"a market of sweep {sweep_id}"):
        return list(session.scalars(query.order_by(SweepMarketRow.position)))


def seal(session: Session, sweep_id: str) -> None:
    """Digest what a sweep says, as the last thing of a transaction that writes it."""
    session.flush()
    sweep, seal_of_rows = _look(session, sweep_id)
    sweep.seal = seal_of_rows


@contextmanager
def sealing(session: Session, sweep_id: str) -> Iterator[None]:
    """Seal a sweep anew after the context, unless its seal was broken before: then it stays so."""
    session.flush()
    whole = is_whole(session, sweep_id)
    yield
    if whole:
        seal(session, sweep_id)


def check(session: Session, sweep_id: str) -> None:
    """Refuse a sweep that is not what was written.

    Raises
    ------
    UnknownIdError
        When there is none.
    EditedError
        When its row was changed, or that of a market.
    """
    name = f"Sweep {sweep_id}"
    with _read(name):
        sweep, seal_of_rows = _look(session, sweep_id)
    if sweep.seal != seal_of_rows:
        clause = "the row of the sweep, or of one of its markets, was changed"
        raise chain.EditedError(name, [clause], _ADVICE)


def check_configuration(session: Session, configuration_id: str) -> None:
    """Refuse a market's configuration that is gone or not what was stored, as `check` does."""
    chain.agreeing(session, ownership.get_row(session, TrainedConfiguration, configuration_id))


def is_whole(session: Session, sweep_id: str) -> bool:
    """Tell whether a sweep is what was written."""
    return _objection(session, sweep_id) is None


def check_all(session: Session, configuration_id: str) -> list[str | None]:
    """Check every sweep of a configuration: what speaks against it, None for nothing.

    They are those that have it among their markets, and those that its events name: a market's row
    may have been removed.
    """
    market, event = SweepMarketRow, ConfigurationEventRow
    members = select(market.sweep_id).where(market.configuration_id == configuration_id)
    figures = select(event.figures).where(event.configuration_id == configuration_id)
    named = session.scalars(figures.where(event.kind == records.SWEEP))
    ids = {*session.scalars(members), *(f["sweep_id"] for f in named if "sweep_id" in f)}
    return [_objection(session, sweep_id) for sweep_id in sorted(ids)]


@contextmanager
def _read(name: str) -> Iterator[None]:
    """Say of a row that cannot be read that it was changed."""
    try:
        yield
    except UNREADABLE as error:
        reason = reason_of(error).rstrip(".")
        clause = f"the row of the sweep, or of one of its markets, cannot be read: {reason}"
        raise chain.EditedError(name, [clause], _ADVICE) from None


def _objection(session: Session, sweep_id: str) -> str | None:
    try:
        check(session, sweep_id)
    except UnknownIdError:
        return f"sweep {sweep_id} is gone"
    except chain.EditedError as error:
        return str(error).rstrip(".")
    return None


def _look(session: Session, sweep_id: str) -> tuple[SweepRow, str]:
    """Read a sweep, and the seal that it and its markets should have.

    One statement reads both: another transaction may write them, and PostgreSQL shows every
    statement of one that writes what was committed before it.
    """
    query = select(SweepRow, SweepMarketRow).outerjoin(SweepMarketRow)
    query = query.where(SweepRow.id == sweep_id).order_by(SweepMarketRow.position)
    rows = session.execute(query.execution_options(populate_existing=True)).all()
    if not rows:
        raise UnknownIdError(f"{SweepRow.__tablename__} has no row with id {sweep_id}")
    sweep, markets = rows[0][0], [market for _, market in rows if market is not None]
    said = [chain.named(sweep, _SWEEP), *(chain.named(market, _MARKET) for market in markets)]
    return sweep, chain.digest(said)
