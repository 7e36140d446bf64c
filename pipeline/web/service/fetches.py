"""Fetch candles, and import uploaded files of them: the state is the server's.

Markets are fetched one after the other, for whoever looks. Files are imported one at a time, out of
a folder that does not outlive it.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from filelock import FileLock, Timeout

from pipeline.config import FetchConfig, milliseconds, moment
from pipeline.errors import BannedError, ConflictError, NotFoundError, UserError
from pipeline.market_data.store.store import check_store
from pipeline.web.service.candle_models import (
    Difference,
    FetchPage,
    FetchRequest,
    FetchView,
    ImportAnswer,
    ImportQuery,
)
from pipeline.web.service.candle_process import CandleProcess, FaultError, Fetch, Import
from pipeline.web.service.composing import compose_fetch

#: Fetches that wait at most, and those that have ended and are still shown.
MOST_WAITING, KEPT = 256, 200

_LOG = logging.getLogger("pipeline.web.fetches")

Status = Literal["waiting", "running", "completed", "failed", "cancelled"]


@dataclass(eq=False)
class _Fetch:
    """A fetch of one market, as the thread that runs it leaves it."""

    market: str
    config: FetchConfig
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: Status = "waiting"
    done: int | None = None
    total: int | None = None
    begun: tuple[float, int] = (0.0, 0)
    quality: str | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    ended_at: datetime | None = None
    process: CandleProcess | None = None

    @property
    def waits(self) -> bool:
        return self.status in ("waiting", "running")

    def end(self, status: Status, error: str | None = None) -> None:
        self.status, self.error, self.process = status, error, None
        self.ended_at = datetime.now(UTC)

    def progress(self, done: int, total: int) -> None:
        if self.total is None:  # what the store has is no work
            self.begun = time.monotonic(), done
        self.done, self.total = done, total

    def view(self) -> FetchView:
        market = self.config.market
        since, until = self.config.data.span_ms(milliseconds(self.created_at))
        return FetchView.model_validate(
            vars(self)
            | {
                "candles_id": market.stored_id,
                "since": moment(since),
                "until": moment(until),
                "candles": self.done,
                "seconds_left": self._seconds_left(),
                "notes": list(self.notes),
            }
        )

    def _seconds_left(self) -> float | None:
        if self.status != "running" or self.done is None or self.total is None:
            return None
        start, before = self.begun
        came = self.done - before
        return (self.total - self.done) * (time.monotonic() - start) / came if came else None


class Fetches:
    """The fetches of a server; ``store`` is its folder of candles.

    Methods may be called by any thread. A server that ends stops what runs: what came is stored.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = Lock()
        self._all: dict[str, _Fetch] = {}
        self._worker: Thread | None = None

    def start(self, request: FetchRequest) -> FetchPage:
        """Put every market into the queue, all or none; return them.

        Raises
        ------
        UserError
            When there is no such market, or candles cannot be kept here.
        ConflictError
            When one of them waits or runs already, or too many do.
        """
        check_store(self._store)
        configs = {
            name: compose_fetch(name, str(self._store), request.history)
            for name in dict.fromkeys(request.markets)
        }
        with self._lock:
            waiting = {one.market for one in self._all.values() if one.waits}
            if double := sorted(waiting & set(configs)):
                raise ConflictError(
                    f"{', '.join(double)}: a fetch of it waits or runs already. Cancel that one, or"
                    " wait until it has ended."
                )
            if len(waiting) + len(configs) > MOST_WAITING:
                raise ConflictError(
                    f"{len(waiting)} fetches wait already, and at most {MOST_WAITING} do: wait"
                    " until some have ended, or cancel some."
                )
            fresh = [_Fetch(name, config) for name, config in configs.items()]
            self._all |= {one.id: one for one in fresh}
            ended = [one.id for one in self._all.values() if not one.waits]
            for identity in ended[: max(0, len(ended) - KEPT)]:
                del self._all[identity]
            if self._worker is None:
                self._worker = Thread(target=self._work, name="fetches", daemon=True)
                self._worker.start()
            views = [one.view() for one in fresh]
        return FetchPage(fetches=views, total=len(views), limit=len(views), offset=0)

    def page(self, limit: int = 50, offset: int = 0) -> FetchPage:
        """Read a page of all of them: what runs, what waits by its turn, then newest first."""
        with self._lock:
            every = list(self._all.values())
            ended = [one for one in reversed(every) if not one.waits]
            ordered = [one for one in every if one.waits] + ended
            views = [one.view() for one in ordered[offset : offset + limit]]
        return FetchPage(fetches=views, total=len(every), limit=limit, offset=offset)

    def one(self, identity: str) -> FetchView:
        """Read one of them."""
        with self._lock:
            return self._known(identity).view()

    def cancel(self, identity: str) -> FetchView:
        """Take one out of the queue, or stop it: what has come is stored.

        Raises
        ------
        ConflictError
            When it has ended.
        """
        with self._lock:
            fetch = self._known(identity)
            if not fetch.waits:
                raise ConflictError(
                    f"This fetch of {fetch.config.market.id} has ended already: {fetch.status}."
                )
            process = fetch.process
            fetch.end("cancelled")
            if process is not None:
                process.stop()
            return fetch.view()

    def _known(self, identity: str) -> _Fetch:
        if identity not in self._all:
            raise NotFoundError(
                f"No fetch has the id {identity}: a server that starts anew forgets them."
            )
        return self._all[identity]

    def _work(self) -> None:
        """Run what waits, until nothing does."""
        for fetch, process in self._turns():
            try:
                self._run(fetch, process)
            except UserError as error:
                self._fail(fetch, error)
            except FaultError as error:
                self._fail(fetch, UserError(str(error)))
            except KeyboardInterrupt:  # it was stopped
                pass
            except Exception:
                _LOG.exception("a fetch of %s failed", fetch.market)
                self._fail(fetch, UserError("Something went wrong; the server's log tells what."))

    def _turns(self) -> Iterator[tuple[_Fetch, CandleProcess]]:
        while True:
            with self._lock:
                waiting = (one for one in self._all.values() if one.status == "waiting")
                fetch = next(waiting, None)
                if fetch is None:
                    self._worker = None
                    return
                try:
                    process = CandleProcess(Fetch(fetch.config))
                except OSError as error:  # no memory, or too many files are open
                    fetch.end("failed", f"No process could be started for it: {error.strerror}.")
                    continue
                fetch.status, fetch.process = "running", process
            yield fetch, process

    def _run(self, fetch: _Fetch, process: CandleProcess) -> None:
        for message in process.messages():
            with self._lock:
                if fetch.status != "running":
                    continue
                match message["kind"]:
                    case "note":
                        fetch.notes.append(message["text"])
                    case "progress":
                        fetch.progress(message["done"], message["total"])
                    case _:
                        fetch.done = fetch.total = message["candles"]
                        fetch.quality = message["quality"]
                        fetch.end("completed")

    def _fail(self, fetch: _Fetch, error: UserError) -> None:
        """Note why it failed; an exchange that has banned this address is not asked again."""
        exchange = fetch.config.market.ccxt_id
        with self._lock:
            if fetch.status == "running":
                fetch.end("failed", str(error))
            if isinstance(error, BannedError):
                for other in self._all.values():
                    if other.waits and other.config.market.ccxt_id == exchange:
                        other.end("failed", str(error))


#: Bytes of an uploaded file, where the server's owner says nothing.
UPLOAD_LIMIT = 256 * 1024 * 1024


class Imports:
    """Imports files into the store; ``store`` is its folder."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / ".imports"
        self._process: CandleProcess | None = None

    def check(self, query: ImportQuery) -> FetchConfig:
        """Refuse what cannot be imported, before the file is sent.

        Raises
        ------
        UserError
            When there is no such market, or nothing can be written here.
        """
        config = compose_fetch(
            query.market, str(self._store), timezone=query.timezone, decimal=query.decimal
        )
        check_store(self._store)
        return config

    @contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """Yield where a file of a name may be written; it is removed at the end, whatever happens.

        Raises
        ------
        ConflictError
            When another file is imported at the moment, here or by another server.
        """
        lock = FileLock(self._folder.with_suffix(".lock"), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ConflictError(
                "Another file is being imported: try again when that has ended."
            ) from None
        try:
            self._remove()  # what a killed server left
            folder = self._folder / secrets.token_hex(8)
            folder.mkdir(parents=True)
            yield folder / name
        finally:
            self._remove()
            lock.release()

    def run(self, config: FetchConfig, query: ImportQuery, path: Path) -> ImportAnswer:
        """Read the file, and lay it over the store where that is asked for.

        Raises
        ------
        UserError
            When the file is none of this market's candles, with row and column.
        ConflictError
            When it is to be written, contradicts the store, and nobody said which of them counts.
        """
        config = config.model_copy(update={"import_path": str(path)})
        notes: list[str] = []
        answer: dict[str, Any] = {}
        try:
            self._process = CandleProcess(Import(config, query.write, query.truth))
            for message in self._process.messages():
                if message["kind"] == "note":
                    notes.append(self._shown(message["text"], path))
                else:
                    answer = message
        except UserError as error:
            raise type(error)(self._shown(str(error), path)) from None
        market = config.market
        return ImportAnswer.model_validate(
            answer
            | {
                "id": market.stored_id,
                "file": query.file,
                "first": moment(answer["first"]),
                "last": moment(answer["last"]),
                "examples": [
                    Difference(bar=moment(bar), figure=name, stored=ours, imported=theirs)
                    for bar, name, ours, theirs in answer["examples"]
                ],
                "notes": notes,
            }
        )

    def stop(self) -> None:
        """Have what runs end soon: of what is not being written yet nothing will be."""
        if self._process is not None:
            self._process.stop()

    def _shown(self, text: str, path: Path) -> str:
        """Name the file in a sentence as the user does."""
        return text.replace(f"{path.parent}/", "").replace(str(path.parent), path.name)

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
