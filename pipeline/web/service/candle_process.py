"""Import or fetch candles in a process of its own, which ends when nobody listens any more.

The server stays as quick and as small as it is: files of millions of rows and the client of an
exchange are read elsewhere. The task comes pickled on standard input, which stays open as long as
the work is wanted; what is said goes out on standard output, a line of JSON each.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Any, Protocol

from pipeline.config import FetchConfig
from pipeline.errors import BannedError, ConflictError, ReadOnlyError, UnreachableError, UserError
from pipeline.market_data.files.importing import (
    MergeResult,
    Truth,
    preview_import,
    read_import,
    store_import,
)
from pipeline.market_data.sources import fetch_candles, quality_row

#: The process that is started.
COMMAND = (sys.executable, "-m", "pipeline.web.service.candle_process")

#: What may be said of a failure, by its name; any other is a fault, and is in the server's log.
_ERRORS: dict[str, type[UserError]] = {
    kind.__name__: kind
    for kind in (UserError, UnreachableError, BannedError, ConflictError, ReadOnlyError)
}


class Say(Protocol):
    """Writes a message for who has started the process."""

    def __call__(self, kind: str, **values: Any) -> None:
        """Write it."""


class FaultError(Exception):
    """The process failed for no reason that a user can mend."""


@dataclass(frozen=True)
class Import:
    """An import: ``write`` it, or say what it would do; ``truth`` None refuses what contradicts."""

    config: FetchConfig
    write: bool
    truth: Truth | None

    def run(self, say: Say, stop: Event) -> dict[str, Any]:
        """Do it; return the figures of `pipeline.web.service.candle_models.ImportAnswer`.

        Nothing is written once nobody wants it any more.
        """
        imported = read_import(self.config)

        def note(text: str) -> None:
            say("note", text=text)

        for sentence in imported.notes:
            note(sentence)
        if self.write:
            truth = self.truth or "stored"
            merged = store_import(imported, truth, note, partial(self._agree, stop), self._held)
        else:
            merged = preview_import(imported)
        first, after = imported.span
        times = len(imported.raw)
        return {
            "first": first,
            "last": after - imported.step,
            "candles": times,
            "new": times - merged.compared - len(merged.only_theirs),
            "same": merged.compared - len(merged.ours),
            "different": len(merged.ours),
            "only_stored": len(merged.only_ours),
            "only_imported": len(merged.only_theirs),
            "examples": merged.differences(),
            "written": self.write,
        }

    def _held(self, _: str) -> None:
        """Refuse to wait for a fetch, which may take hours, while other files wait for this one."""
        raise ConflictError(
            f"Nothing was written: candles of {self.config.market.id} are being fetched or imported"
            " at the moment. Try again when that has ended, or cancel the fetch."
        )

    def _agree(self, stop: Event, merged: MergeResult) -> None:
        """Refuse what contradicts the store, where nobody has said whose candles count."""
        if stop.is_set():
            raise KeyboardInterrupt
        counts = (
            (len(merged.ours), "have other figures than the stored ones"),
            (len(merged.only_ours), "are stored, and the file says that there is none"),
            (len(merged.only_theirs), "are imported, and the store says that there is none"),
        )
        said = [f"{count:,} candles {what}" for count, what in counts if count]
        if said and self.truth is None:
            raise ConflictError(
                f"Nothing was written: {'; '.join(said)}. Say whose candles are kept: truth=stored"
                " or truth=imported."
            )


@dataclass(frozen=True)
class Fetch:
    """A fetch of what the store lacks of one market."""

    config: FetchConfig

    def run(self, say: Say, stop: Event) -> dict[str, Any]:
        """Do it, as `scripts/fetch`; return how many candles there are, and how good they are."""
        market, data = self.config.market, self.config.data

        def note(text: str) -> None:
            say("note", text=text)

        fetched = fetch_candles(
            market, data, lambda done, total: say("progress", done=done, total=total), note, stop
        )
        for warning in fetched.warnings:
            note(warning)
        *_, quality = quality_row(market, data, fetched.raw, note)
        return {"candles": len(fetched.raw), "quality": quality}


class CandleProcess:
    """A task that runs in a process of its own, and what it says."""

    def __init__(self, task: Import | Fetch) -> None:
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        with suppress(BrokenPipeError):  # it ended at once: who reads it is told
            pickle.dump(task, self._in)
            self._in.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what it says until it has ended; the last one is of the kind ``end``.

        Raises
        ------
        UserError
            As the task.
        KeyboardInterrupt
            When it was stopped.
        FaultError
            When it failed for another reason.
        """
        try:
            for line in self._out:
                message: dict[str, Any] = json.loads(line)
                if message["kind"] == "error":
                    raise _ERRORS.get(message["error"], UserError)(message["text"])
                if message["kind"] == "stopped":
                    raise KeyboardInterrupt
                yield message
                if message["kind"] == "end":
                    return
            raise FaultError("Something went wrong here; the server's log tells what.")
        finally:
            self.stop()
            self._process.wait()
            self._out.close()

    def stop(self) -> None:
        """Have it end soon; what has come is stored first."""
        with suppress(OSError):
            self._in.close()


def main() -> None:
    """Do the task of standard input."""
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no message
    stop = Event()

    def say(kind: str, **values: Any) -> None:
        try:
            print(json.dumps({"kind": kind} | values), file=out, flush=True)
        except BrokenPipeError:
            stop.set()

    task = pickle.load(sys.stdin.buffer)
    Thread(target=_listen, args=(stop,), daemon=True).start()
    try:
        say("end", **task.run(say, stop))
    except KeyboardInterrupt:
        say("stopped")
    except UserError as error:
        known = next(name for name, kind in reversed(_ERRORS.items()) if isinstance(error, kind))
        say("error", error=known, text=str(error))


def _listen(stop: Event) -> None:
    """Wait until nobody wants the work any more; a lock of Python's would outlive the thread."""
    os.read(sys.stdin.fileno(), 1)
    stop.set()


if __name__ == "__main__":
    main()
