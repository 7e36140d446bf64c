"""What a command says, word for word, in one file a command: `tests/snapshots`.

A file holds a block for each case: a line ``$ CASE``, what is said, an empty line. With
UPDATE_SNAPSHOTS=1 a test writes what it hears instead of comparing it.
"""

import os
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "snapshots"


def blocks(command):
    """What a command says, by case."""
    text = (FOLDER / f"{command}.txt").read_text("utf-8")
    pairs = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    return {case: said.strip("\n") for case, said in pairs}


def assert_said(command, case, said):
    """Compare what a command says with its block, or write the block."""
    expected = blocks(command)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        text = "\n".join(f"$ {key}\n{value}\n" for key, value in {**expected, case: said}.items())
        (FOLDER / f"{command}.txt").write_text(text, "utf-8")
    else:
        assert said == expected[case]
