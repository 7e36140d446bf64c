"""Serve what is switched on, and its newest signals as they are now.

Nothing is served that is not what was stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from pipeline.config import StorageConfig
from pipeline.errors import ConflictError
from pipeline.live.signal import signal_now
from pipeline.results.artifacts.digests import Cache
from pipeline.results.database import Repository
from pipeline.results.document.signal_models import Signal
from pipeline.results.records import Configuration, utc_now
from pipeline.results.rows.checks import Checked
from pipeline.review.integrity import artifact_clauses
from pipeline.web.service import answers
from pipeline.web.service.answers import ActiveConfigurations, RefusedRow, SignalPage


class ActiveRows(NamedTuple):
    """What is switched on: configurations that are what was stored, and those that are not."""

    served: list[Configuration]
    refused: list[RefusedRow]


class ActiveList:
    """Answers what live traders poll, again and again.

    Every answer checks the audit trail and the artifacts of all that is in it. A row that was
    edited after it was served does not change the tag: whoever shows the tag keeps what was true.
    """

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository, self._storage = repository, storage
        self._files: Cache = {}
        self._refused: list[str] = []

    def tag(self) -> str:
        """Return what changes whenever an active configuration comes, goes or has a new event.

        Also when one that was refused at the last answer is so no more, or for another reason.
        """
        version = self._repository.configurations.active_version()
        refused = list(self._repository.checks.stored_of(self._refused))
        return _tag(version, self._refusals(refused))

    def read(self) -> ActiveConfigurations:
        """Read what is switched on, and a tag that changes whenever it does."""
        # The version first: what changes in between has another one at the next look.
        version = self._repository.configurations.active_version()
        served, refused = self.look()
        self._refused = [one.id for one in refused]
        return ActiveConfigurations(
            etag=_tag(version, refused),
            configurations=[answers.active(one) for one in served],
            refused=refused,
        )

    def look(self) -> ActiveRows:
        """Read what is switched on, newest first, and check each."""
        active = self._repository.checks.active()
        refused = self._refusals(active)
        ids = {one.id for one in refused}
        served = [one.configuration for one in active if one.id not in ids]
        return ActiveRows([one for one in served if one is not None], refused)

    def _refusals(self, active: Sequence[Checked]) -> list[RefusedRow]:
        refused = []
        for one in active:
            files = artifact_clauses(self._storage, one.configuration, self._files)
            if objections := replace(one, clauses=(*one.clauses, *files)).objections:
                refused.append(RefusedRow(id=one.id, reason="; ".join(objections)))
        return refused


def _tag(version: str, refused: Sequence[RefusedRow]) -> str:
    if not refused:
        return version
    text = ";".join([version, *(f"{one.id} {one.reason}" for one in refused)])
    return _hash(text)


#: How long a board is taken for true: whether files and rows are what was stored has no version.
TRUE_FOR = timedelta(seconds=10)
_OFF = "no configuration with this id is switched on"


@dataclass(frozen=True)
class Board:
    """The signals of all that is switched on, at one moment.

    Attributes
    ----------
    version : str
        Of the tables that they come from.
    until : datetime
        When they are to be looked at anew, whatever the version says.
    signals : dict of str to Signal
        By the id of the configuration, newest first.
    refused : dict of str to RefusedRow
        What is switched on and is not what was stored, by id.
    digests : dict of str to str
        A hash of what is said of each id, without the moment at which it was said.
    """

    version: str
    until: datetime
    signals: dict[str, Signal]
    refused: dict[str, RefusedRow]
    digests: dict[str, str]

    @classmethod
    def made(
        cls,
        version: str,
        until: datetime,
        signals: dict[str, Signal],
        refused: dict[str, RefusedRow],
    ) -> Board:
        """Make a board, and hash what it says."""
        said = {
            name: one.model_dump_json(exclude={"made", "ahead"}) for name, one in signals.items()
        }
        said |= {name: one.model_dump_json() for name, one in refused.items()}
        digests = {name: _hash(text) for name, text in said.items()}
        return cls(version, until, signals, refused, digests)

    def of(self, ids: Sequence[str]) -> Board:
        """Return what it says of some ids; of all that is switched on where there is none."""
        if not ids:
            return self
        signals = {name: self.signals[name] for name in ids if name in self.signals}
        others = {name for name in ids if name not in signals}
        refused = {
            name: self.refused.get(name) or RefusedRow(id=name, reason=_OFF)
            for name in sorted(others)
        }
        digests = {name: self.digests.get(name, "off") for name in ids}
        return Board(self.version, self.until, signals, refused, digests)

    @cached_property
    def tag(self) -> str:
        """What changes whenever it says something else."""
        return _hash(";".join(f"{name} {digest}" for name, digest in sorted(self.digests.items())))

    def page(self, limit: int, offset: int) -> SignalPage:
        """Return a page of its signals, and all that is refused."""
        return SignalPage(
            etag=self.tag,
            signals=list(self.signals.values())[offset : offset + limit],
            refused=list(self.refused.values()),
            total=len(self.signals),
            limit=limit,
            offset=offset,
        )


class Signals:
    """Answers what live traders poll, again and again."""

    def __init__(self, repository: Repository, active: ActiveList) -> None:
        self._repository, self._active = repository, active
        self._seen: tuple[str, datetime, ActiveRows] | None = None

    def version(self) -> str:
        """Return what changes whenever a signal, a switch or a stage does."""
        active = self._repository.configurations.active_version()
        return f"{self._repository.live.signal_version()} {active}"

    def read(self) -> Board:
        """Read the signals of all that is switched on, and check each row and its files."""
        self._seen = None
        return self._read()

    def newer(self, board: Board | None) -> Board | None:
        """Read them where a board is not true any more: another version, or too old.

        Rows and files that were checked less than `TRUE_FOR` ago, and have no new event since, are
        not checked again: a signal is heard of the sooner.
        """
        if board is None or utc_now() >= board.until or self.version() != board.version:
            return self._read()
        return None

    def _read(self) -> Board:
        # The versions first: what changes in between has others at the next look.
        version, now = self.version(), utc_now()
        active = version.partition(" ")[2]
        known = self._seen
        if known is None or known[0] != active or not now - TRUE_FOR < known[1] <= now:
            known = self._seen = active, now, self._active.look()
        _, looked, seen = known
        stored = {one.configuration_id: one for one in self._repository.live.signals()}
        is_here = self._repository.follower.state().is_here
        signals, until = dict[str, Signal](), looked + TRUE_FOR
        for configuration in seen.served:
            one = signal_now(configuration, stored.get(configuration.id), now, is_here)
            signals[configuration.id] = one.signal
            until = min(until, one.until or until)
        return Board.made(version, until, signals, {one.id: one for one in seen.refused})

    def one(self, configuration_id: str) -> Signal:
        """Return the signal of one configuration.

        Raises
        ------
        ConflictError
            When it is switched off, or is not what was stored.
        """
        board = self.read().of([configuration_id])
        for refused in board.refused.values():
            raise ConflictError(f"{configuration_id} has no signal: {refused.reason}.")
        return board.signals[configuration_id]


def changes(before: Board | None, after: Board) -> Iterator[tuple[str, str]]:
    """Yield what a reader of one board must hear to know the next: kind and JSON of each event.

    ``active`` names all that are spoken of, where those are others than before; ``signal`` and
    ``refused`` are one of them each. A reader that knows nothing hears everything. Of two boards
    with different tags there is something to hear.
    """
    known = {} if before is None else before.digests
    if before is None or known.keys() != after.digests.keys():
        yield "active", json.dumps({"ids": list(after.digests)})
    for name, digest in after.digests.items():
        if known.get(name) != digest:
            if name in after.signals:
                yield "signal", after.signals[name].model_dump_json()
            else:
                yield "refused", after.refused[name].model_dump_json()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
