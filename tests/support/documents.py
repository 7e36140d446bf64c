"""Read README and docs/**/*.md: their commands, fenced blocks and words in backquotes.

The pages keep one convention. An indented line that starts with ``scripts/`` or ``python -m`` is a
command that runs as it stands, anywhere, without a network. A command that needs an exchange, or
that shows a refusal, stands in a ``` fence; after a line with ``$ `` the rest of the fence is its
output. A comment after a command is no part of it.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_COMMAND = re.compile(r"(\$ )?((?:scripts/|python -m )\S.*?)(?:\s+# .*)?")
_INLINE = re.compile(r"`([^`\n]+)`")


class Command(NamedTuple):
    """A command, where it stands, and the output that the page says it has."""

    page: str
    text: str
    fenced: bool
    output: tuple[str, ...] = ()


def queries(page, route):
    """Return the queries with which the curl lines of a page ask a route of the API."""
    text = (ROOT / page).read_text("utf-8")
    return [
        parse_qs(one) for one in re.findall(rf"^curl .*/{route}\?([^'\s]+)", text, re.MULTILINE)
    ]


def commands():
    """Return every command of every page."""
    listed = []
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for line in _prose(page):
            match = _COMMAND.fullmatch(line.strip()) if line.startswith("    ") else None
            if match:
                listed.append(Command(name, match[2], fenced=False))
        for fence in fences(page):
            listed += _in_fence(name, fence)
    return listed


def fences(page):
    """Return the fenced blocks of a page, each a list of lines."""
    parts = page.read_text("utf-8").split("\n```")
    return [part.splitlines()[1:] for part in parts[1::2]]


def inline(page):
    """Return what stands in backquotes outside fences."""
    return _INLINE.findall("\n".join(_prose(page)))


def _prose(page):
    """Return the lines outside fences."""
    parts = page.read_text("utf-8").split("\n```")
    return [line for part in parts[::2] for line in part.splitlines()]


def _in_fence(page, lines):
    listed = []
    for number, line in enumerate(lines):
        match = _COMMAND.fullmatch(line)
        if match:
            output = tuple(lines[number + 1 :]) if match[1] else ()
            listed.append(Command(page, match[2], fenced=True, output=output))
    return listed
