"""Keep candles on disk: a folder a market, a file a month, and the spans that were answered.

A hole in the candles has two meanings: nobody asked, or the exchange had nothing. So the store
keeps the spans that were asked and answered, each part in the file of its month, where a rename
replaces it together with its candles (`market_data.store.month`). A month that was answered
without a candle has a file of no rows. Every step of a save therefore leads from one valid store
to another, wherever a kill falls.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Generic

import numpy as np
from filelock import FileLock, Timeout

from gpu_engine import Float
from pipeline.errors import Note, ReadOnlyError, UserError, denied, full_disk
from pipeline.market_data import raw
from pipeline.market_data.store import month
from pipeline.market_data.store.atomic_files import (
    MOVES,
    Put,
    all_or_none,
    finish,
    probe,
    set_aside,
    sweep,
)
from pipeline.market_data.store.month import (
    FORMER_MANIFEST,
    DamagedError,
    MonthRecord,
    empty_beginning,
    former_answers,
    save_beginning,
)

#: What one request brought: rows of shape (n, columns) in the order of their kind's columns, and
#: the span that they answer.
Page = tuple[Float, raw.Span]

MONTH_FILE = re.compile(r"\d{4}-(0[1-9]|1[0-2])\.parquet")

#: Seconds that another process may hold a market before a person is told of the wait.
QUIET_WAIT_S = 1.0

_UNFINISHED = (
    "{} cannot be followed and is {} now: a save of several months was killed, and some of them may"
    " be older than others. Import or fetch them again."
)

#: Seconds that who has no lock waits for the months that a save moves.
MOVES_WAIT_S = 1.0


@dataclass(frozen=True, eq=False)
class Stored(Generic[raw.R]):
    """Rows of one market by time, and the spans for which the exchange was asked.

    Attributes
    ----------
    rows : Rows
        Candles or funding, sorted, one row a time.
    answered : tuple of Span
        Sorted and disjoint. A time inside without a row is one the exchange does not have.
    notes : tuple of str
        Damage that `load` found and what became of it: sentences a person must read.
    """

    rows: raw.R
    answered: tuple[raw.Span, ...]
    notes: tuple[str, ...] = ()

    def missing(self, start: int, end: int) -> list[raw.Span]:
        """Return the parts of ``[start, end)`` that were never answered, oldest first."""
        return raw.uncovered((start, end), self.answered)

    def add(self, pages: Iterable[Page]) -> Stored[raw.R]:
        """Add the pages' rows; a row of a time that is already here replaces the old one."""
        pages = list(pages)
        rows = type(self.rows).of(np.concatenate([rows for rows, _ in pages]))
        return self.overlay(rows, (span for _, span in pages))

    def overlay(self, rows: raw.R, answered: Iterable[raw.Span]) -> Stored[raw.R]:
        """Put ``rows``, which answer for ``answered``, in the place of those of their time.

        Of those of one time in ``rows`` the first counts.
        """
        both = raw.first_of_each(raw.concatenate([rows, self.rows], type(rows)))
        return replace(self, rows=both, answered=raw.united((*self.answered, *answered)))

    def between(self, start: int, end: int) -> raw.R:
        """Return the rows of ``[start, end)``."""
        first, after = np.searchsorted(self.rows.timestamp, (start, end))
        return self.rows.take(slice(first, after))


StoredCandles = Stored[raw.RawCandles]

EMPTY = StoredCandles(raw.empty(raw.RawCandles), ())


def candle_path(store_dir: Path, exchange: str, symbol: str, timeframe: str) -> Path:
    """Return the folder of a market: ``<store>/<exchange>/<BASE>_<QUOTE>/<timeframe>``."""
    pair = symbol.replace("/", "_").replace(":", "_")
    return Path(store_dir) / exchange / pair / timeframe


@contextmanager
def locked(path: Path, note: Note | None = None, stop: Event | None = None) -> Iterator[bool]:
    """Hold the market's lock, so that of two runs one fetches and the other finds it done.

    Yields whether the store may be written to. Where it may only be read there is no lock, and no
    need of one: every month is replaced in one step, so each is read whole.

    Parameters
    ----------
    path : Path
        The market's folder (`candle_path`).
    note : callable, optional
        Called once for a wait that is longer than `QUIET_WAIT_S`.
    stop : Event, optional
        Set by another thread it ends such a wait as Ctrl-C does.

    Raises
    ------
    UserError
        If the folder cannot be made, or its disk is full.
    """
    try:
        lock = _acquired(path, note, stop)
    except ReadOnlyError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquired(path: Path, note: Note | None, stop: Event | None) -> FileLock:
    with _writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=QUIET_WAIT_S if note else -1)
        except Timeout:
            assert note is not None, "without one the wait has no end"
            note(f"{path} is held by another process: waiting until it is done.")
            while stop is not None and not lock.is_locked:
                if stop.is_set():
                    raise KeyboardInterrupt from None
                with suppress(Timeout):
                    lock.acquire(timeout=QUIET_WAIT_S)
            if stop is None:
                lock.acquire()
    return lock


def check_store(store_dir: Path) -> None:
    """Make sure that candles can be kept, before they are fetched.

    Raises
    ------
    ReadOnlyError
        When the folder may only be read.
    UserError
        When it cannot be made, or its disk is full.
    """
    with _writable(store_dir):
        probe(store_dir)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into a sentence."""
    try:
        yield
    except OSError as error:
        if (full := full_disk(error, folder)) is not None:
            raise full from error
        if (reason := denied(error)) is not None:
            raise ReadOnlyError(
                f"Candles cannot be kept in {folder}, which may only be read here ({reason})."
                " Trainings still use those that it has. To fetch or import, choose another folder"
                " with data.store.",
                reason,
            ) from error
        raise UserError(
            f"Candles cannot be kept in {folder}: {error.strerror or error}. "
            "Choose a folder that can be written to, with room for them."
        ) from error


def load(path: Path, writable: bool = True) -> StoredCandles:
    """Read all that the store has of a market's candles (`load_rows`)."""
    return load_rows(path, raw.RawCandles, writable)


def load_rows(path: Path, kind: type[raw.R], writable: bool = True) -> Stored[raw.R]:
    """Read all that the store has of one kind of rows, in the folder ``path``; it may be nothing.

    Every month is checked against its hashes. A damaged one is renamed and named in the notes. Its
    time is then no longer answered, so that it is fetched again. Where the store is not
    ``writable`` it keeps its name, and is left out all the same.

    Only for the holder of the market's lock, where there is one (`locked`).

    Raises
    ------
    UserError
        If a later version of this program wrote any of it, or a much earlier one.
    """
    single = path.with_name(f"{path.name}.parquet")
    if single.exists():
        raise UserError(
            f"{single} holds a market as an early version kept it, and this version does not read"
            " it. Move it out of this folder, then import it: scripts/fetch market=... import=FILE."
        )
    with _writable(path):
        aside = sweep(path) if writable else None
        parts: list[raw.R] = []
        answered = [*former_answers(path), *empty_beginning(path)]
        notes = [] if aside is None else [_UNFINISHED.format(path / MOVES, aside.name)]
        files = month_files(path)
        with ThreadPoolExecutor() as threads:  # reading and hashing release the interpreter's lock
            months = list(threads.map(partial(_read, kind=kind), files))
        for file, content in zip(files, months, strict=True):
            if isinstance(content, DamagedError) and not writable:
                notes.append(f"{file} is damaged ({content}): it is left out.")
            elif isinstance(content, DamagedError):
                aside = set_aside(file)
                notes.append(
                    f"{file} is damaged ({content}): it was renamed {aside.name}, and its time will"
                    " be fetched again."
                )
            else:
                rows, record = content
                parts.append(rows)
                answered.extend(record.answered)
    return Stored(raw.concatenate(parts, kind), raw.united(answered), tuple(notes))


def month_files(path: Path) -> list[Path]:
    """List files named like a month, oldest first; whatever else lies there is not the store's.

    Where a save moves its months at this moment it waits for them, a little; where one was killed
    at that, it moves the rest.
    """
    lock, end = FileLock(path.with_suffix(".lock")), time.monotonic() + MOVES_WAIT_S
    while (path / MOVES).exists() and time.monotonic() < end:
        try:
            with lock.acquire(timeout=MOVES_WAIT_S / 20):
                finish(path)
        except Timeout:  # a living process moves them
            continue
        except OSError:  # the store may only be read: each month is old or new
            break
    return sorted(file for file in path.glob("*.parquet") if MONTH_FILE.fullmatch(file.name))


def _read(file: Path, kind: type[raw.R]) -> tuple[raw.R, MonthRecord] | DamagedError:
    try:
        return month.read_month(file, kind)
    except DamagedError as error:
        return error


def read_without_lock(path: Path, start: int, end: int, kind: type[raw.R]) -> raw.R:
    """Read the months of a folder that touch ``[start, end)``, for readers that never write.

    The holder of the lock may be fetching for hours, and every month is replaced in one step, so
    each is read whole. A month that is damaged, just went away or cannot be opened is left out;
    the market's own next fetch reports it.
    """
    parts: list[raw.R] = []
    for file in month_files(path):
        first, after = month.month_span(file.stem)
        if first < end and start < after:
            try:
                parts.append(month.read_month(file, kind)[0])
            except (DamagedError, OSError):
                continue
    return raw.concatenate(parts, kind)


def stored_elsewhere(
    store_dir: Path, exchange: str, symbol: str, timeframe: str, start: int, end: int
) -> dict[str, raw.RawCandles]:
    """Read the candles of ``symbol`` at other exchanges in the months that touch ``[start, end)``.

    Returns
    -------
    dict of str to RawCandles
        By exchange; those that have none in these months are left out.
    """
    elsewhere = {}
    for folder in sorted(Path(store_dir).glob("*/")):
        if folder.name != exchange:
            market = candle_path(store_dir, folder.name, symbol, timeframe)
            candles = read_without_lock(market, start, end, raw.RawCandles)
            if len(candles):
                elsewhere[folder.name] = candles
    return elsewhere


def save(path: Path, stored: Stored[raw.R], source: str) -> None:
    """Make the store what ``stored`` is: write the months that changed.

    All are written beside their places first: where the disk has no room for one, no month is
    another than before. Then all are moved, also those that a kill left unmoved (`all_or_none`).
    Only for the holder of the market's lock, with all that `load` gave: months that ``stored``
    lacks are removed.

    Parameters
    ----------
    path : Path
        The market's folder (`candle_path`).
    stored : StoredCandles
        What to keep.
    source : str
        Where the new candles come from: an exchange, a file's name.

    Raises
    ------
    UserError
        If the folder cannot be written to.
    """
    with _writable(path), all_or_none(path) as put:
        path.mkdir(parents=True, exist_ok=True)
        spans = save_beginning(path, stored.rows.timestamp, stored.answered, put)
        names = month.month_names(stored.rows.timestamp, spans)
        for name in names:
            span = month.month_span(name)
            answered = raw.clipped(spans, span)
            _save_month(path / f"{name}.parquet", stored.between(*span), answered, source, put)
        for file in month_files(path):
            if file.stem not in names:
                put(file, None)
        put(path / FORMER_MANIFEST, None)


def _save_month(
    file: Path, rows: raw.Rows, answered: tuple[raw.Span, ...], source: str, put: Put
) -> None:
    """Write the month's file unless it holds just that."""
    old = month.read_record(file)
    digest = month.content_hash(rows)
    if old and (old.sha256, old.answered) == (digest, answered):
        return
    sources = tuple(dict.fromkeys((*(old.sources if old else ()), source)))
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    month.write_month(file, rows, MonthRecord(digest, sources, fetched_at, answered), put)
