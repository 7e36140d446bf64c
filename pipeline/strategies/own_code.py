"""Run a Python file of the user's own, and put what is wrong with it into one sentence.

It is run from its text, so that a worker elsewhere and a stored result need no file.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType

from pipeline.errors import UserError
from pipeline.strategies.program_state import ProgramState

#: A file of code; what is longer is something else.
LARGEST = 1_000_000


class OwnCodeError(UserError):
    """A file of the user's own does not do what is asked of it."""


class AbsentKeyError(KeyError):
    """A key of what a file is handed is not there; its text says what is."""

    def __str__(self) -> str:
        return str(self.args[0])


class NamedValues(dict[str, float]):
    """Numbers that a file is handed by the parameter's name.

    Parameters
    ----------
    name : str
        What the file calls them.
    values : mapping of str to float
    elsewhere : mapping of str to str
        Of the names that are not among them: what is to be done instead.
    """

    def __init__(
        self, name: str, values: Mapping[str, float], elsewhere: Mapping[str, str]
    ) -> None:
        super().__init__(values)
        self._name, self._elsewhere = name, elsewhere

    def __missing__(self, key: str) -> float:
        there = f"it holds {', '.join(self)}" if self else "it is empty"
        advice = self._elsewhere.get(key, "no parameter is called so")
        raise AbsentKeyError(f"{self._name} has no {key!r} ({there}): {advice}")


def read_text(path: Path) -> str:
    """Read a Python file; lines end in a newline alone, whoever wrote it.

    Raises
    ------
    OwnCodeError
        When it cannot be read or is no text.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise OwnCodeError(f"{path} is larger than {LARGEST:,} bytes: is it a Python file?")
        return "\n".join(path.read_text("utf-8-sig").splitlines()) + "\n"
    except UnicodeDecodeError:
        raise OwnCodeError(f"{path} is no text in UTF-8: save it as UTF-8.") from None
    except OSError as error:
        raise OwnCodeError(f"{path} cannot be read: {error.strerror}.") from None


def module_of(text: str, file: str, anew: bool = False) -> ModuleType:
    """Run the text of a file as a module; once a process for each file and text, or ``anew``.

    ``anew`` loads the modules of pure Python that it imports anew too: they may remember candles.

    Parameters
    ----------
    text : str
    file : str
        What sentences call it: its path, or its name where there is no file.

    Raises
    ------
    OwnCodeError
        When it is no Python, or raises; with file and line.
    """
    digest = hashlib.sha256(f"{file}\n{text}".encode())
    name = f"own_{digest.hexdigest()[:20]}"
    if anew:
        name += "_anew"
    elif name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file
    # Tracebacks and `inspect` read the lines from here, whether or not the file is on this disk.
    # Its name is no path: Numba's cache=True would keep machine code by the file's path and time,
    # and give it to another text that was there once.
    label = _label(file)
    linecache.cache[label] = (len(text), None, text.splitlines(keepends=True), label)
    sys.modules[name] = module  # where dataclasses and pickle look while it runs
    try:
        with unchanged_program(file), _set_aside(_helpers(text) if anew else ()):
            exec(compile(text, label, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _helpers(text: str) -> set[str]:
    """Return the loaded modules of pure Python that a text imports, and those that these import."""
    packages: set[str] = set()
    more = _imports(text)
    while more:
        packages |= more
        files = [Path(sys.modules[name].__file__ or "") for name in _loaded(more)]
        texts = [file.read_text("utf-8", "replace") for file in files]
        more = set().union(*map(_imports, texts)) - packages
    return set(_loaded(packages))


@cache
def _imports(text: str) -> set[str]:
    """Return the packages that a text imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def _loaded(packages: set[str]) -> list[str]:
    """Return the loaded modules of ``packages`` that are not compiled, Python's or the program's.

    A package with compiled modules cannot be loaded twice.
    """
    by_package: dict[str, list[str]] = {}
    for name in list(sys.modules):
        by_package.setdefault(name.split(".")[0], []).append(name)
    others = sys.stdlib_module_names | {"gpu_engine", "pipeline"}
    return [
        name
        for package in packages - others
        if all(
            str(getattr(sys.modules[name], "__file__", None) or "").endswith(".py")
            for name in by_package.get(package, ())
        )
        for name in by_package.get(package, ())
    ]


@contextmanager
def _set_aside(names: Iterable[str]) -> Iterator[None]:
    """Have modules loaded again by what imports them meanwhile; the program keeps its own."""
    aside = {name: sys.modules.pop(name) for name in names}
    try:
        yield
    finally:
        sys.modules.update(aside)


def _label(file: str) -> str:
    """Return what the code of a file is called, in its own functions and in tracebacks."""
    return f"<{file}>"


@contextmanager
def in_sentences(file: str) -> Iterator[None]:
    """Turn what a file of the user's own raises into a sentence, and send what it prints to stderr.

    Standard output is one of the process: what runs beside other threads prints where it likes.

    Raises
    ------
    OwnCodeError
        In place of any exception but an interrupt, a `UserError` and a reader that has gone.
    """
    alone = threading.current_thread() is threading.main_thread()
    try:
        with redirect_stdout(sys.stderr) if alone else nullcontext():
            yield
    except (UserError, BrokenPipeError):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and alone:  # Ctrl-C reaches the main thread only
            raise
        raise OwnCodeError(sentence(error, file)) from None


@contextmanager
def unchanged_program(file: str) -> Iterator[None]:
    """Do as `in_sentences`, and refuse a file that changes what it shares; this is put back.

    It takes about a millisecond: once a file and once a builder, not once a table.

    Raises
    ------
    OwnCodeError
        As there, and where the file changed what all strategies share (`ProgramState`).
    """
    state = ProgramState()
    try:
        with in_sentences(file):
            yield
    finally:
        changed = state.changes()
    if changed:
        raise OwnCodeError(
            f"{file} changes {', '.join(changed[:3])}, which all strategies share: leave it as it"
            " is, and keep what is yours in your own file."
        )


def sentence(error: BaseException, file: str) -> str:
    """Say what a file raised and where: file, line, exception, and the line itself."""
    kind = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception of the file's own, which cannot even say what it is
        text = ""
    if isinstance(error, SyntaxError) and error.filename in (_label(file), None):
        where = "" if error.lineno is None else f", line {error.lineno}"
        return f"{file}{where}: this is no Python: {error.msg}."
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == _label(file)]
    where, line = (f", line {lines[-1].lineno}", lines[-1].line) if lines else ("", "")
    shown = f" in '{line}'" if line else ""
    if isinstance(error, AbsentKeyError):
        return f"{file}{where}: {text}{shown}."
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{file}{where}: the module {error.name} is not installed here{shown}. A file stands"
            " alone: it can import installed packages, and no file beside it."
        )
    if "no locator available" in text:
        return (
            f"{file}{where}: a strategy is run from its text, so Numba cannot keep what it compiles"
            f"{shown}: leave out cache=True."
        )
    if isinstance(error, ValueError) and "read-only" in text:
        return f"{file}{where}: what it is handed cannot be written to{shown}: write to a .copy()."
    return f"{file}{where}: {kind}: {text or 'no message'}{shown}."
