"""Replace files and folders in one step, and set damaged files aside."""

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TypeAlias

from pipeline.errors import full_disk

#: Name of a draft folder beside its place, and the seconds after which nobody writes it any more.
_DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")
_ABANDONED_AFTER = 86_400


#: Lists the moves of `all_or_none` in a folder while they are made; who finds it makes the rest.
MOVES = "_moves.json"
_PLAIN = re.compile(r"\w[\w-]*\.\w+")

#: Has a file written by a function of the path to write to; None removes it.
Put: TypeAlias = Callable[[Path, Callable[[Path], object] | None], None]


def probe(folder: Path) -> None:
    """Make a folder, and something in it, and remove that; an `OSError` says why it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder / f".probe.{uuid.uuid4().hex}"
    inside.mkdir()
    inside.rmdir()


@contextmanager
def all_or_none(folder: Path | None = None) -> Iterator[Put]:
    """Yield what makes files beside their places, and move all there when the block ends.

    Where one finds no room, no file is another than before. Each is moved in one step: whenever a
    reader looks or a kill falls, the old file or the new one is there, whole. Several files of a
    ``folder`` are moved all or none, too: where a kill falls between two moves, `finish` makes the
    rest, by the list that lies there from before the first move until after the last.

    Raises
    ------
    DiskFullError
        When there is no room for a file.
    OSError
        When it cannot be written.
    """
    made: dict[Path, Path | None] = {}
    if folder is not None:
        finish(folder)

    def put(file: Path, write: Callable[[Path], object] | None) -> None:
        made[file] = None
        if write is not None:
            made[file] = temporary = _beside(file)
            with _disk_named(file):
                write(temporary)

    try:
        yield put
        changes = {f: temporary for f, temporary in made.items() if temporary or f.exists()}
        if folder is not None and len(changes) > 1:
            _write_moves(folder, changes)
        _make(changes)
        if folder is not None:
            (folder / MOVES).unlink(missing_ok=True)
    finally:
        listed = folder is not None and (folder / MOVES).exists()
        for temporary in filter(None, () if listed else made.values()):
            with suppress(OSError):  # where it could not even be begun
                temporary.unlink(missing_ok=True)


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.tmp")


def _write_moves(folder: Path, changes: Mapping[Path, Path | None]) -> None:
    """Have the new files and the list of their moves on the disk, the list last and in one step."""
    digests = {file.name: temporary and _digest(temporary) for file, temporary in changes.items()}
    draft = _beside(folder / MOVES)
    with _disk_named(folder / MOVES):
        draft.write_text(json.dumps(digests), "utf-8")
        for path in (*filter(None, changes.values()), draft):
            _to_disk(path)
        draft.replace(folder / MOVES)


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def finish(folder: Path) -> Path | None:
    """Make the moves of a killed `all_or_none` that are not made; for the folder's one writer.

    A list that is damaged, or one of whose files is neither beside its place nor in it, is renamed
    to the path that is returned: nothing is moved or removed then.
    """
    moves = folder / MOVES
    if not moves.exists():
        return None
    try:
        changes = _listed(moves)
    except (ValueError, RecursionError, FileNotFoundError, IsADirectoryError):
        return set_aside(moves)
    _make(changes)
    moves.unlink()
    return None


def _listed(moves: Path) -> dict[Path, Path | None]:
    """Read the moves that are not made; a ValueError where they cannot all be made."""
    digests, left = json.loads(moves.read_bytes()), dict[Path, Path | None]()
    for name, digest in digests.items() if isinstance(digests, dict) else [("", "")]:
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"{name} is no file of a store")
        temporary = _beside(file := moves.with_name(name))
        if digest is None or temporary.exists():
            left[file] = None if digest is None else temporary
        if digest is not None and _digest(left.get(file) or file) != digest:
            raise ValueError(f"{name} is not what was listed")
    return left


def _make(changes: Mapping[Path, Path | None]) -> None:
    for file, temporary in changes.items():
        with _disk_named(file):
            file.unlink(missing_ok=True) if temporary is None else temporary.replace(file)


@contextmanager
def _disk_named(file: Path) -> Iterator[None]:
    """Name a file in the error of a full disk."""
    try:
        yield
    except OSError as error:
        raise full_disk(error, file.absolute()) or error from error


def replace_file(file: Path, write: Callable[[Path], object] | None) -> None:
    """Let ``write`` make a file beside ``file``, and move it there in one step; see `all_or_none`.

    With None the file is removed.
    """
    with all_or_none() as put:
        put(file, write)


def replace_text(file: Path, text: str, put: Put = replace_file) -> None:
    """Write a file of text as `replace_file` does, in UTF-8."""
    put(file, lambda temporary: temporary.write_text(text, "utf-8"))


def replace_folder(draft: Path, place: Path) -> None:
    """Move a folder that is finished to its place, where a power cut leaves it whole.

    ``draft`` lies beside ``place`` and is written to the disk first; what is at ``place``, be it a
    folder, a file or a link, is removed.

    Raises
    ------
    OSError
        When it cannot be written or moved.
    """
    for path in (*draft.rglob("*"), draft):
        _to_disk(path)
    former = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        place.rename(former)
    draft.rename(place)
    for folder in place.absolute().parents[:3]:  # they may be new as well
        with suppress(OSError):  # another's folder, or a file system that flushes none
            _to_disk(folder)
    if former.is_dir() and not former.is_symlink():
        shutil.rmtree(former, ignore_errors=True)
    else:
        former.unlink(missing_ok=True)


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove drafts that a process left a day ago or earlier, when it was killed as it wrote."""
    for path in paths:
        with suppress(OSError):
            age = time.time() - path.lstat().st_mtime
            if _DRAFT.fullmatch(path.name) and age > _ABANDONED_AFTER:
                shutil.rmtree(path)


def _to_disk(path: Path) -> None:
    """Have the system write to the disk what it holds of a file, or of the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> Path | None:
    """End what a killed `all_or_none` left behind; only for the folder's one writer.

    Returns what `finish` does.
    """
    aside = finish(folder)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()
    return aside


def set_aside(file: Path) -> Path:
    """Rename a damaged file so that nobody reads it for candles and nothing of it is lost.

    Readers of whole folders (pandas, Arrow, Spark) pass over names that begin with ``_``.
    """
    for number in count(1):
        aside = file.with_name(f"_{file.name}.damaged-{number}")
        if not aside.exists():
            break
    return file.rename(aside)
