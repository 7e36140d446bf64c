"""Begin a strategy of your own: scripts/new-strategy NAME [FOLDER] (docs/your-own-strategy.md).

Writes NAME.py, a whole strategy to change, and test_NAME.py, which holds it against the contract of
every strategy. FOLDER is this one unless another is named. No file is overwritten.

Exit status: 0 written, 2 a mistake in what was asked for.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.console import printable
from pipeline.config import typed
from pipeline.errors import UserError, full_disk
from pipeline.strategies.registry import BUILT_IN

USAGE = "usage: scripts/new-strategy NAME [FOLDER]"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

TEST = Path(__file__).parent / "strategies" / "contract_test.jinja"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the two files, say what to do next, and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(f"{USAGE}\n\n{__doc__}", end="")
        return command.DONE
    if not 1 <= len(words) <= 2 or words[0].startswith("-"):
        shown = " ".join(words) or "nothing"
        raise UserError(f"This takes a name and, if you like, a folder; given: {shown}. {USAGE}.")
    name, folder = words[0], Path(words[1] if len(words) > 1 else ".")
    _check_name(name)
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder: make it first ({typed('mkdir', '-p', str(folder))})."
        )
    path, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for file in (path, test):
        if file.exists():
            raise UserError(f"{file} exists, and nothing is overwritten: choose another name.")
    template = Path(__file__).parent / "strategies" / "template.py"
    text = template.read_text("utf-8").replace("MY_STRATEGY", name.upper())
    _write({path: text, test: TEST.read_text("utf-8").replace("{{ name }}", name)})
    print(printable(f"Wrote {path}: a breakout of a channel; change what it trades."))
    root = Path(__file__).resolve().parents[1]
    python, train = map(_from_here, (Path(sys.executable), root / "scripts" / "train"))
    print(printable(f"Wrote {test}: run it with {typed(python, '-m', 'pytest', str(test))}"))
    print(printable(f"Train it: {typed(train, strategy=str(path), market='demo')}"))
    return command.DONE


def _check_name(name: str) -> None:
    """Raise `UserError` where a file of this name could not be a strategy beside all others."""
    if not _NAME.fullmatch(name) or name.startswith("test_"):
        raise UserError(
            "A name is 1 to 60 lower-case letters, digits and underscores, a letter first and not"
            f" test_, such as my_breakout; given: {name}."
        )
    if name in BUILT_IN:
        raise UserError(f"{name} is a strategy of the program: choose another name.")
    taken = keyword.iskeyword(name) or name in sys.stdlib_module_names
    if taken or name in packages_distributions():
        raise UserError(
            f"{name} is a word or a module of Python, which a file beside its test would hide:"
            " choose another name."
        )


def _from_here(path: Path) -> str:
    """Write a program's path as it can be typed in this folder: the shorter of two ways."""
    written = min(os.path.relpath(path), str(path), key=len)
    return written if os.sep in written else f"./{written}"


def _write(texts: Mapping[Path, str]) -> None:
    """Write new files, all or none."""
    begun: list[Path] = []
    path = Path()
    try:
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                begun.append(path)
                file.write(text)
    except OSError as error:
        for half in begun:
            half.unlink()
        unwritable = UserError(f"{path} cannot be written: {error.strerror}.")
        raise full_disk(error, path.absolute()) or unwritable from None


if __name__ == "__main__":
    command.run_plain(main)
