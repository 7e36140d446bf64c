"""Define what a person is told in one sentence, and the errors that more than one folder knows.

A user's mistake says the thing, what is allowed, what was given, what next.
"""

import difflib
import errno
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

#: Takes a sentence that a person should know.
Note = Callable[[str], None]


class UserError(Exception):
    """Something only the user can mend. Commands show it without a traceback and exit with 2."""

    status = 2


class UnreachableError(UserError):
    """Something outside did not answer: no mistake, no fault of ours. Commands exit with 1."""

    status = 1


class BannedError(UnreachableError):
    """An exchange has banned this address: to ask on would lengthen it."""


class ReadOnlyError(UserError):
    """A place was to be written to that may only be read; ``reason`` is what it says itself."""

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason


#: What the system says where a file or folder may only be read.
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def denied(error: OSError) -> str | None:
    """Return what the system says of a place that may only be read; None of any other error."""
    if error.errno not in _READ_ONLY:
        return None
    return f"{error.filename}: {os.strerror(error.errno)}"


class DiskFullError(UserError):
    """A disk takes no more. Commands exit with 1."""

    status = 1


class NotStoredError(UserError):
    """A result, or its file, was not written; no database is the cause. Commands exit with 1."""

    status = 1


#: What the system says of a disk, a quota or a limit that is used up.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


#: What to do where a disk was full and nothing is kept.
AND_AGAIN = ", and run this again."


def full_disk(error: BaseException, place: object) -> DiskFullError | None:
    """Return the sentence of an error that says that the disk under ``place`` is full; else None.

    Whoever writes leaves nothing half-written before it raises this.
    """
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return None
    return disk_full(place, os.strerror(error.errno))


def disk_full(place: object, reason: str) -> DiskFullError:
    """Return the sentence of a disk that takes no more."""
    return DiskFullError(
        f"The disk under {place} takes no more ({reason}). Nothing half-written is left: make room"
        f" there, or choose another folder{AND_AGAIN}"
    )


class DatabaseAwayError(UnreachableError):
    """A database did not answer for as long as a command was told to wait."""


class DatabaseGoneError(UnreachableError):
    """A database was deleted, moved or replaced under a command."""


def first_line(error: BaseException) -> str:
    """Tell what an error says on its first line, without a full stop; its type where it is silent.

    Of a database's error that is what the driver says (``orig``), without the statement.
    """
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


def in_one_line(error: BaseException, most: int | None = None) -> str:
    """Return what an error says in one line, ``most`` characters of it; its type where nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def sqlite_code(error: BaseException) -> int:
    """Return SQLite's primary code of an error, 0 of any other: the low byte of what it says.

    See https://sqlite.org/rescode.html. SQLAlchemy has the driver's error as ``orig``.
    """
    origin = getattr(error, "orig", None) or error
    return int(getattr(origin, "sqlite_errorcode", None) or 0) & 0xFF


def suggestion(given: object, allowed: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of ``allowed``, or nothing when none is near."""
    near = difflib.get_close_matches(str(given), list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def first_of(words: Sequence[str], most: int = 12) -> str:
    """Join words; of more than ``most`` the first ones, and how many follow."""
    rest = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def how_to_install(extra: str) -> str:
    """Return the command that adds optional dependencies to this Python, as it can be typed here.

    Parameters
    ----------
    extra : str
        Name of the dependencies in `pyproject.toml`.
    """
    root = Path(__file__).resolve().parents[1]
    if Path(sys.prefix).resolve() == root / ".venv":
        return shlex.join([os.path.relpath(root / "scripts" / "environment"), extra])
    what = (
        ["-e", f"{root}[{extra}]"]
        if (root / "pyproject.toml").exists()
        else [f"sweep-trainer[{extra}]"]
    )
    return shlex.join([sys.executable, "-m", "pip", "install", *what])


class NotFoundError(UserError):
    """Nothing has this id."""


class ConflictError(UserError):
    """What is asked about is not in a state that allows it; ``at`` is the address of what is."""

    def __init__(self, sentence: str, at: str | None = None) -> None:
        super().__init__(sentence)
        self.at = at


class NotCandlesError(UserError):
    """A file holds something else than candles; ``what`` says it in a few words."""

    def __init__(self, sentence: str, what: str) -> None:
        super().__init__(sentence)
        self.what = what


class SweepTakenError(RuntimeError):
    """The sweep belongs to another process."""


class StageMovedError(RuntimeError):
    """A configuration was no longer in the stage that an event was to move it from."""


class UnknownIdError(LookupError):
    """No row has this id."""


class IllegalTransitionError(RuntimeError):
    """A job was asked for a state that its present one does not lead to.

    A run that meets this in `Jobs.progress` was cancelled, or taken for dead, by someone else: it
    should stop.
    """

    def __init__(self, job_id: str, status: str, target: str) -> None:
        super().__init__(f"job {job_id} is {status} and cannot become {target}")
        self.job_id = job_id
        self.status = status


class SameStartError(RuntimeError):
    """The very same was started before, and waits or runs."""


class NotOwnerError(IllegalTransitionError):
    """A job was given to another process, whose row it is now."""

    def __str__(self) -> str:
        return f"job {self.job_id} is {self.status} and belongs to another process"
