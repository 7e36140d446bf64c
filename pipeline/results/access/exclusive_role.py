"""Hold a role of a database: what one process alone does, until it is dead."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.results.access.leases import (
    Lease,
    Owner,
    Watch,
    cause_of_death,
    place,
    read_owners,
)
from pipeline.results.access.outages import Sessions, Tables, waits
from pipeline.results.records import utc_now


class Role(Tables):
    """One role; `pipeline.results.database.Repository` makes it.

    Parameters
    ----------
    sessions : Sessions
    lease : Lease
        Of this process.
    table : type
        Its one row, of id 1, names the owner.
    """

    def __init__(self, sessions: Sessions, lease: Lease, table: Any) -> None:
        super().__init__(sessions)
        self._lease, self._table = lease, table

    @waits
    def look(self, watch: Watch | None = None) -> tuple[Owner | None, str | None]:
        """Read who has the role, and what shows that it is dead; None where nothing does.

        ``watch`` belongs to whoever looks again and again. Where nobody has the role both are None.
        """
        with self._sessions() as session:
            row = session.get(self._table, 1)
            owner = None if row is None else read_owners(session).get(row.owner)
        return owner, None if owner is None else cause_of_death(owner, watch)

    @waits
    def claim(self) -> bool:
        """Give this process the role, unless another that has it lives."""
        table = self._table
        try:
            with self._sessions.begin() as session:
                owner = self._lease.hold(session)
                last = session.get(table, 1)
                values = {"owner": owner, **self._begun()}
                if last is None:
                    session.add(table(id=1, **values))
                    return True
                if cause_of_death(read_owners(session, once=True).get(last.owner)) is None:
                    return False
                taken = update(table).where(table.owner == last.owner)
                return session.scalar(taken.values(**values).returning(table.id)) is not None
        except IntegrityError:
            return False

    def _begun(self) -> dict[str, Any]:
        """Return what the row says more of an owner that has just taken the role."""
        return {}

    @waits
    def is_held(self) -> bool:
        """Tell whether this process has the role still; False: another has taken it."""
        query = select(self._table.id).where(self._table.owner == self._lease.identity)
        with self._sessions() as session:
            return session.scalar(query) is not None

    @waits
    def release(self, identity: str | None = None) -> None:
        """Leave the role to another: this process's own, or that of one that was seen dead."""
        owner = identity or self._lease.identity
        with self._sessions.begin() as session:
            session.execute(delete(self._table).where(self._table.owner == owner))


class FollowerState(NamedTuple):
    """Who follows, what shows that it is dead, since when it does, and when it looked last."""

    owner: Owner | None = None
    dead: str | None = None
    since: datetime | None = None
    looked_at: datetime | None = None

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, by the same clock."""
        return self.owner is not None and self.owner.place == place()


class FollowerRole(Role):
    """The role of who follows configurations; its row tells since when, and of the last look."""

    def _begun(self) -> dict[str, Any]:
        now = utc_now()
        return {"since": now, "looked_at": now}

    @waits
    def go_on(self) -> bool:
        """Say that this process looks now; False: another has taken the role."""
        mine = update(self._table).where(self._table.owner == self._lease.identity)
        with self._sessions.begin() as session:
            looked = mine.values(looked_at=utc_now()).returning(self._table.id)
            return session.scalar(looked) is not None

    @waits
    def state(self) -> FollowerState:
        """Read who has the role, and how it is."""
        with self._sessions() as session:
            row = session.get(self._table, 1)
            if row is None:
                return FollowerState()
            owner = read_owners(session).get(row.owner)
            dead = "its lease is gone" if owner is None else cause_of_death(owner)
            return FollowerState(owner, dead, row.since, row.looked_at)
