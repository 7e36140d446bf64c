"""Candles on disk: a folder a market, a file a month, and the time that they answer for.

A hole in the candles has two meanings: nobody asked, or the exchange had nothing. So with the
candles go the spans that were asked and answered. They are kept where a rename replaces them
together with their candles: in the month's own file (`market_data.store.month`). Every step of
a save therefore leads from one valid store to another, wherever a kill falls; the manifest, which
comes last, repeats what the files say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from filelock import FileLock, Timeout

from gpu_engine.records import Float
from pipeline.cli.console import Note
from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.spans import Span, clipped, uncovered, united
from pipeline.market_data.store.atomic_files import replace_file, set_aside, sweep
from pipeline.market_data.store.month import (
    SCHEMA,
    DamagedError,
    Month,
    by_month,
    check_schema,
    content_hash,
    month_span,
    read_month,
    stored_month,
    write_month,
)
from pipeline.market_data.timeframe import timeframe_ms

#: With an underscore, so that ``pandas.read_parquet(folder)`` does not take it for candles.
MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a market's folder holds.

    Attributes
    ----------
    months : dict of str to Month
        By name, such as ``2023-01``, in order.
    answered_empty : tuple of Span
        Answered spans in the months that have no candle, and so no file.
    """

    months: dict[str, Month]
    answered_empty: tuple[Span, ...]


NOTHING = Manifest({}, ())


def read_manifest(folder: Path) -> Manifest:
    """Read the folder's manifest; `NOTHING` when there is none.

    Raises
    ------
    DamagedError
        If it is not what `write_manifest` wrote.
    UserError
        If a later version of this program wrote it.
    """
    file = folder / MANIFEST
    try:
        values = json.loads(file.read_bytes())
        if values.pop("sha256") != _seal(values):
            raise DamagedError("it does not have the hash that it was written with")
        check_schema(values, file)
        months = {name: Month.from_json(month, file) for name, month in values["months"].items()}
        return Manifest(months, tuple((start, end) for start, end in values["answered_empty"]))
    except FileNotFoundError:
        return NOTHING
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"it cannot be read: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest in one step."""
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "months": {name: month.to_json() for name, month in manifest.months.items()},
        "answered_empty": manifest.answered_empty,
    }
    text = json.dumps({**values, "sha256": _seal(values)}, indent=1)
    replace_file(folder / MANIFEST, lambda temporary: temporary.write_text(text))


def _seal(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


#: What one request brought: rows of shape (n, 6) in the order of `COLUMNS`, and the span that they
#: answer.
Page = tuple[Float, Span]


#: Metadata of the one file that a market was in layout 1.
SPANS_KEY = b"answered_spans"


MONTH_FILE = re.compile(r"\d{4}-(0[1-9]|1[0-2])\.parquet")


#: Seconds that another process may hold a market before a person is told of the wait.
QUIET_WAIT_S = 1.0


@dataclass(frozen=True, eq=False)
class Stored:
    """Candles of one market by time, and the spans for which the exchange was asked.

    Attributes
    ----------
    candles : RawCandles
        Sorted, one row a time.
    answered : tuple of Span
        Sorted and disjoint. A time inside without a candle is one the exchange does not have.
    notes : tuple of str
        What `load` found damaged and what became of it: sentences a person must read.
    """

    candles: RawCandles
    answered: tuple[Span, ...]
    notes: tuple[str, ...] = ()

    def missing(self, start: int, end: int) -> list[Span]:
        """Parts of ``[start, end)`` that were never answered, oldest first."""
        return uncovered((start, end), self.answered)

    def add(self, pages: Iterable[Page]) -> Stored:
        """With the pages' candles; a row of a time that is already here replaces the old one."""
        pages = list(pages)
        rows = np.concatenate([rows for rows, _ in pages])
        fetched = RawCandles(rows[:, 0].astype(np.int64), *rows[:, 1:].T)
        return self.overlaid(fetched, (span for _, span in pages))

    def overlaid(self, candles: RawCandles, answered: Iterable[Span]) -> Stored:
        """With ``candles``, which answer for ``answered``, in the place of those of their time.

        Of rows of one time in ``candles`` the first counts.
        """
        both = RawCandles(
            *(np.concatenate([getattr(candles, c), getattr(self.candles, c)]) for c in COLUMNS)
        )
        _, first = np.unique(both.timestamp, return_index=True)
        return replace(self, candles=both.take(first), answered=united((*self.answered, *answered)))

    def between(self, start: int, end: int) -> RawCandles:
        """Candles that open in ``[start, end)``."""
        timestamp = self.candles.timestamp
        return self.candles.take((timestamp >= start) & (timestamp < end))


EMPTY = Stored(RawCandles(np.empty(0, np.int64), *np.empty((5, 0))), ())


def candle_path(store_dir: Path, exchange: str, symbol: str, timeframe: str) -> Path:
    """Folder of a market: ``<store>/<exchange>/<BASE>_<QUOTE>/<timeframe>``."""
    pair = symbol.replace("/", "_").replace(":", "_")
    return Path(store_dir) / exchange / pair / timeframe


@contextmanager
def locked(path: Path, note: Note | None = None) -> Iterator[None]:
    """Hold the market's lock, so that of two runs one fetches and the other finds it done.

    Parameters
    ----------
    path : Path
        The market's folder (`candle_path`).
    note : callable, optional
        Told, once, of a wait that is longer than `QUIET_WAIT_S`.

    Raises
    ------
    UserError
        If the folder cannot be made or written to.
    """
    with _writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=QUIET_WAIT_S if note else -1)
        except Timeout:
            assert note is not None, "without one the wait has no end"
            note(f"{path} is held by another process: waiting until it is done.")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Say in a sentence what keeps the disk from being written to."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Candles cannot be kept in {folder}: {error.strerror or error}. "
            "Choose a folder that can be written to, with room for them."
        ) from error


def load(path: Path, step_ms: int) -> Stored:
    """Read what the store has of a market; `EMPTY` when it has nothing.

    Every month is held against its hash. A damaged one is renamed aside, named in the notes, and
    its time is no longer answered, so that it is fetched again; a damaged manifest is rebuilt from
    the months. A market of layout 1 (one file, ``5m.parquet`` beside the folder) is taken over.

    Only for the holder of the market's lock. ``step_ms`` is the length of a candle.

    Raises
    ------
    UserError
        If a later version of this program wrote any of it.
    """
    with _writable(path):
        sweep(path)
        stored = _load_months(path)
        one_file = path.with_name(f"{path.name}.parquet")
        return _taken_over(one_file, path, stored, step_ms) if one_file.exists() else stored


def _load_months(path: Path) -> Stored:
    notes: list[str] = []
    try:
        listed = read_manifest(path)
    except DamagedError as error:
        listed = NOTHING
        notes.append(f"The manifest of {path} was damaged ({error}); rebuilt from the candles.")
    files = _month_files(path)
    candles, months, damaged = _read_all(files)
    known = {*listed.months, *(file.stem for file in files)}
    # An empty month that has a file by now is answered by its file alone.
    found = Manifest(months, _outside(listed.answered_empty, known))
    if notes or found != listed:
        write_manifest(path, found)
    for name in sorted(listed.months.keys() - {file.stem for file in files}):
        notes.append(f"{path / name}.parquet is gone; its time will be fetched again.")
    # Set aside only now: a kill before has the file found damaged once more.
    for file, reason in damaged.items():
        aside = set_aside(file)
        notes.append(
            f"{file} is damaged ({reason}): it was renamed {aside.name}, and its time will be "
            "fetched again."
        )
    answered = [*found.answered_empty, *(span for m in months.values() for span in m.answered)]
    return Stored(candles, united(answered), tuple(notes))


def _month_files(path: Path) -> list[Path]:
    """Files named like a month, oldest first; whatever else lies there is not the store's."""
    return sorted(file for file in path.glob("*.parquet") if MONTH_FILE.fullmatch(file.name))


def _read_all(
    files: list[Path],
) -> tuple[RawCandles, dict[str, Month], dict[Path, DamagedError]]:
    """Candles and records of the whole files, and what is wrong with the others."""
    parts = [EMPTY.candles]
    months: dict[str, Month] = {}
    damaged: dict[Path, DamagedError] = {}
    with ThreadPoolExecutor() as threads:  # reading and hashing leave the interpreter's lock free
        for file, content in zip(files, threads.map(_read, files), strict=True):
            if isinstance(content, DamagedError):
                damaged[file] = content
            else:
                candles, months[file.stem] = content
                parts.append(candles)
    joined = RawCandles(*(np.concatenate([getattr(p, c) for p in parts]) for c in COLUMNS))
    return joined, months, damaged


def _read(file: Path) -> tuple[RawCandles, Month] | DamagedError:
    try:
        return read_month(file)
    except DamagedError as error:
        return error


def _outside(spans: Iterable[Span], months: Iterable[str]) -> tuple[Span, ...]:
    """Parts of the spans that lie in none of the months."""
    cover = sorted(month_span(name) for name in months)
    return tuple(part for span in spans for part in uncovered(span, cover))


def save(path: Path, stored: Stored, source: str) -> None:
    """Make the store what ``stored`` is: write the months that changed, then the manifest.

    Each file is replaced in one step, and each step leaves a valid store. Only for the holder of
    the market's lock, with all that `load` gave: months that ``stored`` lacks are removed.

    Parameters
    ----------
    path : Path
        The market's folder, named by its timeframe (`candle_path`).
    stored : Stored
        What to keep.
    source : str
        Where the new candles come from: an exchange, a file's name.

    Raises
    ------
    UserError
        If the folder cannot be written to.
    """
    step = timeframe_ms(path.name)
    with _writable(path):
        path.mkdir(parents=True, exist_ok=True)
        months = {}
        for name, candles in by_month(stored.candles):
            answered = clipped(stored.answered, month_span(name))
            months[name] = _save_month(path / f"{name}.parquet", candles, answered, source, step)
        for file in _month_files(path):
            if file.stem not in months:
                file.unlink()
        write_manifest(path, Manifest(months, _outside(stored.answered, months)))


def _save_month(
    file: Path, candles: RawCandles, answered: tuple[Span, ...], source: str, step: int
) -> Month:
    """Write the month's file unless it holds just that; its record."""
    old = stored_month(file)
    digest = content_hash(candles)
    if old and (old.sha256, old.answered) == (digest, answered):
        return old
    timestamp = candles.timestamp
    month = Month(
        rows=len(candles),
        first=int(timestamp[0]),
        last=int(timestamp[-1]),
        gaps=int(np.count_nonzero(np.diff(timestamp) > step)),
        sha256=digest,
        sources=tuple(dict.fromkeys((*(old.sources if old else ()), source))),
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        answered=answered,
    )
    write_month(file, candles, month)
    return month


def _taken_over(one_file: Path, path: Path, stored: Stored, step_ms: int) -> Stored:
    """Move a market of layout 1 into months; what is already there in months is newer."""
    try:
        old = _load_one_file(one_file, step_ms)
    except UserError as error:
        aside = set_aside(one_file)
        note = f"{error} It was renamed {aside.name}, and its time will be fetched again."
        return replace(stored, notes=(*stored.notes, note))
    both = replace(old.overlaid(stored.candles, stored.answered), notes=stored.notes)
    save(path, both, source=one_file.name)
    one_file.unlink()
    return both


def _load_one_file(file: Path, step_ms: int) -> Stored:
    candles = read_file(file)
    spans = (pyarrow.parquet.read_schema(file).metadata or {}).get(SPANS_KEY)
    if spans is not None:
        return Stored(candles, tuple((start, end) for start, end in json.loads(spans)))
    # A file that somebody else put here answers for the time from its first to its last candle.
    whole = (int(candles.timestamp.min()), int(candles.timestamp.max()) + step_ms)
    return EMPTY.overlaid(candles, (whole,))
