"""Tell whether somebody follows what is switched on, since when, and when it looked last."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from pydantic import BaseModel, Field

from pipeline.results.database import Repository
from pipeline.results.records import utc_now
from pipeline.validation.wording import duration

#: A follower looks every few seconds. One that has not for so long hangs.
HANGS_AFTER = timedelta(minutes=5)


class Follower(BaseModel):
    """What the database knows of `scripts/paper`."""

    running: bool
    reason: str | None = Field(description="A sentence: what to do; null while it runs.")
    since: datetime | None = Field(description="When it started; null where nobody has.")
    last_round: datetime | None = Field(description="When it looked last at what is due.")
    last_signal: datetime | None = Field(description="When the newest signal of all was made.")
    host: str | None
    pid: int | None


def follower_of(repository: Repository) -> Follower:
    """Look at who follows the configurations of a database."""
    state = repository.follower.state()
    reason = None
    if state.since is None or state.looked_at is None:
        reason = "Nobody follows what is switched on: start scripts/paper."
    elif state.dead is not None:
        reason = f"What followed is gone ({state.dead}): start scripts/paper again."
    elif (silent := utc_now() - state.looked_at) > HANGS_AFTER:
        reason = (
            f"scripts/paper runs, and has not looked for {duration(silent.total_seconds())}: end"
            " it, and start it again."
        )
    if reason is not None:
        count = partial(repository.configurations.page, limit=1, is_active=True)
        if count()[1] > 0 == count(synthetic=False)[1]:
            reason = (
                "Nothing that is switched on can be followed: its candles were invented. Switch it"
                " off, and switch on a configuration of a market's own candles."
            )
    return Follower(
        running=reason is None,
        reason=reason,
        since=state.since,
        last_round=state.looked_at,
        last_signal=repository.live.signalled_at(),
        host=None if state.owner is None else state.owner.host or None,
        pid=None if state.owner is None else state.owner.pid or None,
    )
