"""Tell whether a server works: its database answers, its dispatcher lives, its threads go on."""

from dataclasses import dataclass

from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import UnreachableError
from pipeline.queue.supervisor import Supervisor
from pipeline.results.database import Repository
from pipeline.web.service.follower import Follower, follower_of

_LOCKED = (
    "The database can be read, and takes no writes at the moment: another program has locked it."
)


class Health(BaseModel):
    """What a server knows of itself."""

    healthy: bool
    reason: str | None = Field(description="A sentence: what is wrong; null where nothing is.")
    database_answers: bool = Field(description="Whether it can be read.")
    database_takes_writes: bool = Field(
        description="Whether it can be written to now; false where this server only reads."
    )
    dispatcher_beat_age: float | None = Field(
        description="Seconds since the dispatcher's last sign of life; null where none lives."
    )
    threads: dict[str, bool] = Field(description="Which threads of the server go on.")
    follower: Follower | None = Field(
        description="Whether scripts/paper follows what is switched on; null where the database"
        " does not answer. It has no part in ``healthy``: not everybody trades on paper."
    )


@dataclass(frozen=True)
class Queue:
    """The queue of jobs as a server sees it; ``supervisor`` keeps its dispatcher alive."""

    repository: Repository
    supervisor: Supervisor | None = None

    def check(self) -> None:
        """Refuse to queue what nobody would run.

        Raises
        ------
        UnreachableError
            Where no dispatcher lives and none can be started.
        """
        if self.supervisor is not None and (trouble := self.supervisor.trouble):
            raise UnreachableError(f"Nothing can be started at the moment. {trouble}")

    def trouble(self) -> str | None:
        """Say what is wrong; None where nothing is."""
        return self.health().reason

    def health(self, streams: bool = True) -> Health:
        """Look at everything; ``streams`` tells whether the streams of events go on."""
        threads = {"event streams": streams}
        trouble = None
        if self.supervisor is not None:
            trouble = self.supervisor.trouble
            threads["supervisor"] = self.supervisor.is_alive
        answers, writes, age, follower = True, False, None, None
        try:
            owner, _ = self.repository.dispatcher.look()
            age = None if owner is None else owner.age
            follower = follower_of(self.repository)
            if not self.repository.read_only:
                writes = self.repository.takes_writes
                trouble = trouble or (None if writes else _LOCKED)
        except (SQLAlchemyError, UnreachableError):
            answers, trouble = False, trouble or "The database does not answer."
        dead = [name for name, lives in threads.items() if not lives]
        if dead and trouble is None:
            trouble = f"A thread of the server has ended: {', '.join(dead)}."
        return Health(
            healthy=trouble is None,
            reason=trouble,
            database_answers=answers,
            database_takes_writes=writes,
            dispatcher_beat_age=age,
            threads=threads,
            follower=follower,
        )
