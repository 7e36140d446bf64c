"""Hold the right to run the queued jobs of a database: one process, until it is dead."""

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.results.database import Repository
from pipeline.results.leases import Owner, Watch, cause_of_death, read_owners
from pipeline.results.models import DispatcherRow
from pipeline.results.patience import waits


@waits
def look(repository: Repository, watch: Watch | None = None) -> tuple[Owner | None, str | None]:
    """Read who the dispatcher is, and what shows that it is dead; None where nothing does.

    ``watch`` belongs to whoever looks again and again. Where nobody has the place both are None.
    """
    with repository.session() as session:
        row = session.get(DispatcherRow, 1)
        owner = None if row is None else read_owners(session).get(row.owner)
    return owner, None if owner is None else cause_of_death(owner, watch)


@waits
def claim(repository: Repository) -> bool:
    """Make this process the dispatcher, unless another lives."""
    try:
        with repository.transaction() as session:
            owner = repository.lease.hold(session)
            last = session.get(DispatcherRow, 1)
            if last is None:
                session.add(DispatcherRow(id=1, owner=owner))
                return True
            if cause_of_death(read_owners(session, once=True).get(last.owner)) is None:
                return False
            taken = update(DispatcherRow).where(DispatcherRow.owner == last.owner)
            row = taken.values(owner=owner).returning(DispatcherRow.id)
            return session.scalar(row) is not None
    except IntegrityError:
        return False


@waits
def is_held(repository: Repository) -> bool:
    """Tell whether this process is the dispatcher still; False: another has taken its place."""
    query = select(DispatcherRow.id).where(DispatcherRow.owner == repository.lease.identity)
    with repository.session() as session:
        return session.scalar(query) is not None


@waits
def release(repository: Repository, identity: str | None = None) -> None:
    """Leave the place to another: this process's own, or of a dispatcher that was seen dead."""
    owner = identity or repository.lease.identity
    with repository.transaction() as session:
        session.execute(delete(DispatcherRow).where(DispatcherRow.owner == owner))
