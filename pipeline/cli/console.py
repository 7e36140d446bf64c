r"""Show a person what a command does: results on standard output, progress on standard error.

Texts come from files, databases, exchanges and the command line. What a terminal would take for a
command (escape sequences, a change of the writing direction) is shown as ``\x1b``, and what Rich
would take for markup as it is. `printable` does the first, here and nowhere else.

Rich is imported where something is drawn: what only names a callback does not wait for it.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TextIO, cast

from pipeline.errors import Note

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.table import Table

    from gpu_engine import Advance  # help is printed without NumPy

#: Columns of a table where there is no terminal to ask.
WIDTH = 110

#: Seconds between two lines of progress where there is no terminal to redraw.
LINE_EVERY = 5.0


#: Starts a stage of work: ``progress("search", evaluations)`` yields the function to advance it.
Progress = Callable[[str, int], "AbstractContextManager[Advance]"]


#: Control characters but the ends of lines and tabs, what turns the writing direction or has no
#: width, and halves of characters, which no terminal can be sent.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal would not show as it stands written out: ``\x1b``."""
    return _UNPRINTABLE.sub(lambda match: _escaped(ord(match[0])), text)


def one_line(text: str) -> str:
    r"""Return `printable` ``text`` with ends of lines as ``\x0a``: a stored one begins no line."""
    return printable(text).replace("\n", r"\x0a")


def _escaped(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class PrintableFormatter(logging.Formatter):
    """Formats records of a log that a terminal shows."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, with its traceback."""
        return printable(super().format(record))


def say(text: str) -> None:
    """Write a line on standard error where there is no `Console`."""
    print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def lasting_output() -> Iterator[Callable[[int], int]]:
    """Drop what standard output and error do not take: it never stops the work.

    Yields what says at the end that something was dropped: it takes the exit status and returns it,
    or 1 in place of 0. Nothing is said of a reader who has left.
    """
    for number in range(3):  # else the next file to be opened would have this number
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    out, err = map(_Lasting, before)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)

    def ended(status: int) -> int:
        out.flush()
        err.flush()
        for name, stream, other in (("output", out, err), ("error", err, out)):
            if stream.error is None:
                continue
            status = status or 1
            if not isinstance(stream.error, BrokenPipeError):
                reason = getattr(stream.error, "strerror", None) or stream.error
                other.write(
                    f"Lines are missing from standard {name}: it took no more ({reason}). This did"
                    " not stop the command.\n"
                )
                other.flush()
        return status

    try:
        yield ended
    finally:
        sys.stdout, sys.stderr = before


class _Lasting:
    """A stream that drops what cannot be written to it; ``error`` says why."""

    def __init__(self, stream: TextIO | None) -> None:
        self.error: Exception | None = None
        self._is_closed = stream is None
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115

    def write(self, text: str) -> int:
        if self._is_closed:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self.error = self.error or error
            with suppress(OSError, ValueError):  # what waits to be written goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def no_progress(stage: str, total: int) -> Iterator[Advance]:
    """Show nothing: the `Progress` of work that nobody watches."""
    yield lambda n: None


class Console:
    """Results on standard output, progress and notes on standard error."""

    def __init__(self, out: Terminal | None = None, err: Terminal | None = None) -> None:
        from rich.console import Console as Terminal

        width = None if sys.stdout and sys.stdout.isatty() else WIDTH
        self._out = out or Terminal(highlight=False, soft_wrap=width is not None, width=width)
        self._err = err or Terminal(highlight=False, soft_wrap=True, file=sys.stderr)

    def print(self, text: str = "") -> None:
        """Write a line of the result; a terminal's lines end between words, never in one."""
        line = one_line(text)
        if not self._out.soft_wrap and len(line) > self._out.width:
            lines = textwrap.wrap(
                line, self._out.width, break_long_words=False, break_on_hyphens=False
            )
            line = "\n".join(lines)
        self._out.print(line, markup=False, emoji=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Write a line about the run: what was chosen and why, what to beware of."""
        self._err.print(one_line(text), markup=False, emoji=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table; the first column is text, the others are figures.

        Where a line is too short for its words, a row becomes a block with a line for each column:
        no figure and no id is broken over two lines.
        """
        words = {word for row in (columns, *rows) for cell in row for word in _words(cell)}
        for only_sentences_wrap in (False, True):
            table = _table(title, columns, rows, only_sentences_wrap)
            lines = self._out.render_lines(table, self._out.options)
            if words <= {
                word for line in lines for segment in line for word in segment.text.split()
            }:
                self._out.print(table)
                return
        self._blocks(title, columns, rows)

    def _blocks(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write the rows of a table below each other."""
        self.print(title)
        for first, *rest in rows:
            self.print(f"- {first}")
            for column, cell in zip(columns[1:], rest, strict=True):
                if str(cell):
                    self.print(f"  {column}: {cell}")

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Advance]:
        """Show how much of ``total`` is done; call the yielded function with every increment."""
        if self._err.is_terminal:
            with self._bar(description, total) as (advance, _):
                yield advance
        else:
            yield _Lines(self.note, description, total).advance

    @contextmanager
    def growing_progress(self, description: str) -> Iterator[tuple[Advance, Advance]]:
        """Show work whose total is not known at its start.

        Yields the function to advance it, and one that adds to the total. Threads may call both.
        """
        lines = _Lines(self.note, description, 0)
        lock = Lock()

        def locked(call: Advance) -> Advance:
            def under_lock(n: int) -> None:
                with lock:
                    call(n)

            return under_lock

        if self._err.is_terminal:
            with self._bar(description, 0) as (advance, grow):
                yield locked(advance), locked(grow)
        else:
            yield locked(lines.advance), locked(lines.grow)

    @contextmanager
    def _bar(self, description: str, total: int) -> Iterator[tuple[Advance, Advance]]:
        from rich import progress
        from rich.text import Text

        class RateColumn(progress.ProgressColumn):
            """``1,250/s``."""

            def render(self, task: progress.Task) -> Text:
                return Text(_per_second(task.speed) if task.speed else "")

        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.MofNCompleteColumn(),
            RateColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=self._err) as bar:
            task = bar.add_task(printable(description), total=total)

            def grow(n: int) -> None:
                bar.update(task, total=(bar.tasks[0].total or 0) + n)

            yield lambda n: bar.update(task, advance=n), grow


#: A cell of a table that has more characters than this, and several words, is a sentence.
SENTENCE = 24


def _words(cell: object) -> list[str]:
    return one_line(str(cell)).split()


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], only_sentences_wrap: bool
) -> Table:
    """Draw a table; the lines of its cells may end between any two words, or of sentences alone."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(title)), title_justify="left")
    for position, column in enumerate(columns):
        cells = [str(row[position]) for row in rows]
        is_sentence = any(len(cell) > SENTENCE and " " in cell for cell in cells)
        table.add_column(
            Text(one_line(column)),
            justify="right" if position else "left",
            no_wrap=only_sentences_wrap and not is_sentence,
        )
    for row in rows:
        table.add_row(*(Text(one_line(str(cell))) for cell in row))
    return table


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


class _Lines:
    """Progress as a line every few seconds, for logs; short work leaves no line at all."""

    def __init__(self, note: Note, description: str, total: int) -> None:
        self._note = note
        self._description = description
        self._total = total
        self._done = 0
        self._start = self._written = time.monotonic()

    def grow(self, n: int) -> None:
        self._total += n

    def advance(self, n: int) -> None:
        self._done += n
        now = time.monotonic()
        if now - self._written < LINE_EVERY:
            return
        self._written = now
        rate = self._done / (now - self._start)
        left = (self._total - self._done) / rate if rate else 0.0
        rest = f"{left:.0f} s" if left < 120 else f"{left / 60:,.0f} min"
        self._note(
            f"{self._description}: {self._done:,}/{self._total:,}, {_per_second(rate)}"
            + (f", {rest} left" if rate else "")
        )
