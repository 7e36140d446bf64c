"""Hold the right to run the queued jobs of a database: one process, until it is dead."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from pipeline.results.database import Repository
from pipeline.results.models import DispatcherRow
from pipeline.results.ownership import cause_of_death, this_process
from pipeline.results.records import utc_now

#: A dispatcher on another host that has been silent for so long is taken for dead.
SILENCE = timedelta(minutes=1)


def lives(repository: Repository) -> bool:
    """Tell whether a dispatcher runs."""
    with repository.session() as session:
        row = session.get(DispatcherRow, 1)
        return row is not None and cause_of_death(row, SILENCE) is None


def claim(repository: Repository) -> bool:
    """Make this process the dispatcher, unless another lives."""
    now, row = utc_now(), DispatcherRow
    try:
        with repository.session() as session, session.begin():
            last = session.get(row, 1)
            if last is None:
                session.add(row(id=1, heartbeat_at=now, **this_process()))
                return True
            if cause_of_death(last, SILENCE) is None:
                return False
            taken = (
                update(row)
                .where(row.heartbeat_at == last.heartbeat_at)
                .filter_by(
                    pid=last.pid,
                    process_started=last.process_started,
                    host=last.host,
                )
                .values(heartbeat_at=now, **this_process())
                .returning(row.id)
            )
            return session.scalar(taken) is not None
    except IntegrityError:
        return False


def heartbeat(repository: Repository) -> bool:
    """Say that this dispatcher lives; False: another has taken its place."""
    row = DispatcherRow
    beat = update(row).filter_by(**this_process()).values(heartbeat_at=utc_now()).returning(row.id)
    with repository.session() as session, session.begin():
        return session.scalar(beat) is not None


def release(repository: Repository) -> None:
    """Leave the place to another."""
    with repository.session() as session, session.begin():
        session.execute(delete(DispatcherRow).filter_by(**this_process()))
