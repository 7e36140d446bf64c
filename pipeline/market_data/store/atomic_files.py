"""Replace files in one step, and set damaged files aside."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from pipeline.errors import full_disk


def probe(folder: Path) -> None:
    """Make a folder, and something in it, and remove that; an `OSError` says why it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder / f".probe.{uuid.uuid4().hex}"
    inside.mkdir()
    inside.rmdir()


def replace_file(file: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``file``, and move it there in one step.

    Whenever a reader looks or a kill falls, the old file or the new one is there, whole.

    Raises
    ------
    DiskFullError
        When there is no room for it.
    OSError
        When it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        write(temporary)
        temporary.replace(file)
    except OSError as error:
        raise full_disk(error, file.absolute()) or error from error
    finally:
        with suppress(OSError):  # where it could not even be begun
            temporary.unlink(missing_ok=True)


def replace_text(file: Path, text: str) -> None:
    """Write a file of text as `replace_file` does, in UTF-8."""
    replace_file(file, lambda temporary: temporary.write_text(text, "utf-8"))


def sweep(folder: Path) -> None:
    """Remove what a killed `replace_file` left behind; only for the folder's one writer."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()


def set_aside(file: Path) -> Path:
    """Rename a damaged file so that nobody reads it for candles and nothing of it is lost.

    Readers of whole folders (pandas, Arrow, Spark) pass over names that begin with ``_``.
    """
    for number in count(1):
        aside = file.with_name(f"_{file.name}.damaged-{number}")
        if not aside.exists():
            break
    return file.rename(aside)
