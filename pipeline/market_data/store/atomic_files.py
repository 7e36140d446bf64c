"""Replace files in one step, and set damaged files aside."""

from collections.abc import Callable
from itertools import count
from pathlib import Path


def replace_file(file: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``file``, and move it there in one step.

    Whenever a reader looks or a kill falls, the old file or the new one is there, whole.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        write(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


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
