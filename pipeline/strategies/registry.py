"""Find a strategy by the word or the path that a person types, and load it.

Three kinds of words: a built-in strategy, the stem of a file in a folder of ``strategy_path``, and
an entry point of an installed package. A path is any word that ends in ``.py``. Only the chosen
strategy is imported.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property, lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from gpu_engine import Candles, EventTable, Float
from pipeline.errors import UserError, first_of, suggestion
from pipeline.strategies import declaration, own_code, tables
from pipeline.strategies.base import EventBuilder, Parameter, Strategy

#: Strategies of this package, by the name of their file; the first is the default.
BUILT_IN = (
    "liquidity_sweep",
    "capitulation_reversal",
    "failed_breakdown",
    "supply_shock",
    "donchian_breakout",
)
#: What their results are stored under, in the same order; no file of one's own may take it.
STORED_NAMES = (
    "LIQUIDITY_SWEEP_V3",
    "CAPITULATION_REVERSAL_V3",
    "FAILED_BREAKDOWN_V3",
    "SUPPLY_SHOCK_V3",
    "DONCHIAN_BREAKOUT",
)
#: Folders of own strategies, separated as in PATH.
PATH_VARIABLE = "STRATEGY_PATH"
#: Entry points whose value is a module: ``my_word = "my_package.my_module"``.
ENTRY_POINTS = "sweep_trainer.strategies"

#: Words that mean something else where a strategy is named.
RESERVED = ("all", "null", "true", "false")

#: What a file does with a parameter that it looked for in ``structural``.
_NOT_STRUCTURAL = {
    "threshold": "it is a threshold, whose values the engine compares with its column of features;"
    " declare it structural if table must know it",
    "exit": "it is an exit, which the engine plays; declare it structural if table must know it",
}

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Source(NamedTuple):
    """Where a strategy comes from: its word, and of an own one the text of its file and its path.

    ``text`` and ``file`` are None for a built-in strategy.
    """

    word: str
    text: str | None
    file: str | None


class LoadedStrategy:
    """A strategy whose declaration is checked, and whose event tables are as it makes them.

    What an own file raises or returns wrong is one sentence. It pickles as its word and its text,
    so that a worker needs no file.
    """

    def __init__(self, source: Source, declared: Any) -> None:
        self.source = source
        self._declared: Strategy = declared
        self._unused = _copy(declared) if source.text == "" else declared
        with own_code.in_sentences(self.label):  # a property may raise
            self.name: str = declared.name
            self.parameters: tuple[Parameter, ...] = declared.parameters
            self.mirrored = bool(getattr(declared, "mirrored", False))
            self._example = dict(getattr(declared, "example", {}))

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> EventBuilder:
        """Prepare what every table shares; see `Strategy`. Candles cannot be written to."""
        candles = candles.read_only()
        if self.source.text is None:
            return self._declared.events(candles, loosest)
        values = own_code.NamedValues("loosest", loosest, self._not_in_loosest)
        with own_code.unchanged_program(self.label):
            builder = self._declared.events(candles, values)
            complete = callable(getattr(builder, "table", None))
        if not complete:
            raise own_code.OwnCodeError(
                f"{self.label}: events(candles, loosest) must return an object with a method"
                f" table(structural); given: {type(builder).__name__}, which has none."
            )
        fault = declaration.signature_fault(builder.table, "table", ("structural",))
        if fault is not None:
            raise own_code.OwnCodeError(f"{self.label}: {fault}")
        return _CheckedBuilder(self, builder, len(candles))

    def level(self, candles: Candles, table: EventTable) -> Float | None:
        """Return the price that each row's setup is about (`Strategy`); None where it has none."""
        made: Any = getattr(self._declared, "level", None)
        return None if made is None or self.source.text is not None else made(candles, table)

    @cached_property
    def _not_in_loosest(self) -> dict[str, str]:
        off = "this filter is always off here; ask with loosest.get(NAME), which is None then"
        other = "loosest holds thresholds alone"
        return {p.name: off if p.kind == "threshold" else other for p in self.parameters}

    @property
    def label(self) -> str:
        """What sentences call the file."""
        return self.source.file or f"{self.source.word}.py"

    @property
    def example(self) -> dict[str, float | None]:
        """The combination along whose signals an edge is planted, unless another is asked for.

        What the file declares as ``example``; what that leaves out is each parameter's own. It is
        the caller's to change: a loaded strategy serves the whole process.
        """
        own = {parameter.name: parameter.example for parameter in self.parameters}
        return own | self._example

    def fresh(self) -> LoadedStrategy:
        """Return the strategy as it is before its first call, whatever this one has kept."""
        if not self.source.text:  # built in, or an object of a notebook
            return LoadedStrategy(self.source, _copy(self._unused))
        return LoadedStrategy(
            self.source, own_code.module_of(self.source.text, self.label, True).STRATEGY
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return load_strategy, tuple(self.source)


def _copy(declared: Any) -> Any:
    try:
        return deepcopy(declared)
    except Exception:  # it holds what has no copy, such as an open file
        return declared


class _CheckedBuilder:
    """Hands out the tables of an own strategy once they are found to be in order."""

    def __init__(self, strategy: LoadedStrategy, builder: EventBuilder, bars: int) -> None:
        self._strategy, self._builder, self._bars = strategy, builder, bars
        self._guard = own_code.unchanged_program

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the table of one structural setting.

        Raises
        ------
        OwnCodeError
            When the file raises, or the table breaks exits rules §1.
        """
        strategy = self._strategy
        with self._guard(strategy.label):
            others = (p for p in strategy.parameters if p.kind != "structural")
            why = {p.name: _NOT_STRUCTURAL[p.kind] for p in others}
            values = own_code.NamedValues("structural", structural, why)
            table = self._builder.table(values)
        self._guard = own_code.in_sentences
        fault = next(tables.faults(strategy, structural, table, self._bars), None)
        if fault is not None:
            raise own_code.OwnCodeError(f"{strategy.label}: {fault}")
        return table


def choices() -> list[str]:
    """Return the words that choose a strategy, the default first; none of them is imported.

    A file that never says ``STRATEGY`` is left out: it is an objective, or something else.
    """
    files = [word for word, paths in _files().items() if any(map(_says_strategy, paths))]
    own = [*files, *(point.name for point in _entry_points())]
    return list(dict.fromkeys((*BUILT_IN, *own)))


def search_in(folders: Sequence[str]) -> None:
    """Make the files of some folders choices, in this process and those that it starts.

    Raises
    ------
    UserError
        When one is no folder.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UserError(
                f"strategy_path must name folders, such as strategy_path=[one,two]; {folder} is"
                " none."
            )
        if os.pathsep in str(Path(folder).resolve()):
            raise UserError(
                f"strategy_path: {folder} has a {os.pathsep} in its path, which separates folders:"
                " rename it."
            )
    os.environ[PATH_VARIABLE] = os.pathsep.join(str(Path(folder).resolve()) for folder in folders)


def locate(word: str) -> Source:
    """Find the strategy of a word or a path, and read its text; it is not run.

    Raises
    ------
    UserError
        When there is none, or the word stands for two.
    """
    if word.endswith(".py"):
        return _of_file(Path(word), word)
    if word in BUILT_IN:  # whatever lies in a folder: a built-in strategy has no path
        return Source(word, None, None)
    files = _files().get(word, [])
    points = [point for point in _entry_points() if point.name == word]
    if len(files) + len(points) > 1:
        places = [*map(str, files), *(f"{p.value} of an installed package" for p in points)]
        raise UserError(
            f"strategy={word} stands for {' and for '.join(places)}: rename one of them, or"
            " choose it by its path on the command line."
        )
    if files:
        return _of_file(files[0], word)
    if points:
        return _of_module(points[0].module, word)
    example = word if _WORD.fullmatch(word) else "mine"
    raise UserError(
        f"strategy={word} is not a choice: strategy may be {first_of(choices())}, or the path of a"
        f" Python file (path/to/{example}.py); strategy_path=FOLDER makes the files of a folder"
        f" choices.{suggestion(word, choices())}"
    )


@lru_cache(maxsize=64)
def load_strategy(word: str, text: str | None = None, file: str | None = None) -> LoadedStrategy:
    """Return a strategy: the built-in one called ``word``, or what the text of a file declares.

    Parameters
    ----------
    word : str
        Of an own strategy the stem of its file.
    text : str or None
        The whole file; None for a built-in strategy.
    file : str or None
        What sentences call the file.

    Raises
    ------
    UserError
        When there is no such built-in strategy.
    OwnCodeError
        When the file is no Python, raises, or declares no strategy as the contract asks.
    """
    source = Source(word, text, file)
    if text is None:
        if word not in BUILT_IN:
            raise UserError(
                f"strategy.name must be one of {', '.join(BUILT_IN)}; got '{word}'."
                f"{suggestion(word, BUILT_IN)}"
            )
        module: Any = importlib.import_module(f"pipeline.strategies.{word}")
        return LoadedStrategy(source, module.STRATEGY)
    label = file or f"{word}.py"
    module = own_code.module_of(text, label)
    with own_code.in_sentences(label):
        declared = getattr(module, "STRATEGY", None)
    if declared is None or isinstance(declared, type):
        raise own_code.OwnCodeError(
            f"{label} must say STRATEGY = YourClass() in its last line: it"
            f" {'says no STRATEGY' if declared is None else 'gives a class, not an object of it'}."
        )
    with own_code.in_sentences(label):
        fault = next(declaration.faults(declared), None)
    if fault is not None:
        raise own_code.OwnCodeError(f"{label}: {fault}")
    loaded = LoadedStrategy(source, declared)
    if loaded.name in STORED_NAMES:
        other = BUILT_IN[STORED_NAMES.index(loaded.name)]
        raise own_code.OwnCodeError(
            f"{label}: STRATEGY.name = '{loaded.name}' is that of the built-in strategy {other},"
            " and results of the two could not be told apart: give yours another name, such as"
            f" 'MY_{loaded.name}'."
        )
    return loaded


def declared(word: str) -> dict[str, Any]:
    """Return what the configuration holds of a strategy: its name, its text, its parameters.

    ``word`` is as in `locate`; errors as there and in `load_strategy`.
    """
    source = locate(word)
    parameters = load_strategy(*source).parameters
    own = {} if source.text is None else {"text": source.text, "file": source.file}
    values = {parameter.name: declaration.configured(parameter) for parameter in parameters}
    return {"name": source.word, **own, "parameters": values}


def source_files(word: str, text: str | None = None) -> list[Path]:
    """Return the files of this package that a strategy consists of, in order of name.

    Its own file, unless ``text`` is that of a file of the user's, what every strategy may import,
    and all that these import of this package, at first or second hand.
    """
    shared = [Path(__file__).parent / f"{name}.py" for name in ("base", "indicators")]
    own = [Path(__file__).parent / f"{word}.py"] if word in BUILT_IN and text is None else []
    files, queue = set[Path](), shared + own
    while queue:
        path = queue.pop()
        if path not in files:
            files.add(path)
            queue += _imports(path)
    return sorted(files)


def _imports(path: Path) -> list[Path]:
    """Return the files of this package that one of them imports, by name or as a string."""
    tree = ast.parse(path.read_text("utf-8"))
    package, folder = __package__, path.parent
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            names.add((node.module or "").rpartition(".")[2])
        elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{package}."):
            names.add(str(node.value).rpartition(".")[2])
    return [folder / f"{name}.py" for name in names if (folder / f"{name}.py").is_file()]


def _files() -> dict[str, list[Path]]:
    """Return the files in the folders of `PATH_VARIABLE` by their stem; a link is its file."""
    result: dict[str, list[Path]] = {}
    for folder in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        for path in sorted(Path(folder).glob("*.py")):
            named = _WORD.fullmatch(path.stem) and not path.stem.startswith("test_")
            named = named and path.stem.lower() not in RESERVED
            files = result.get(path.stem, [])
            if named and path.is_file() and not any(path.samefile(file) for file in files):
                result[path.stem] = [*files, path]
    return result


def _says_strategy(path: Path) -> bool:
    """Look for the word in a file; what cannot be read, or is no Python, says so when chosen."""
    try:
        if path.stat().st_size > own_code.LARGEST or b"STRATEGY" in (content := path.read_bytes()):
            return True
        ast.parse(content)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return True
    return False


def _entry_points() -> Sequence[Any]:
    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _of_file(path: Path, word: str) -> Source:
    if not path.is_file():
        raise UserError(
            f"strategy={word} is {'a folder' if path.is_dir() else 'no file'}: give the path of a"
            f" Python file, or one of {first_of(choices())}."
        )
    if not _WORD.fullmatch(path.stem):
        raise UserError(
            f"{path} must be called by letters A to Z, digits, - and _, a letter first, and .py."
        )
    return Source(path.stem, own_code.read_text(path), str(path))


def _of_module(name: str, word: str) -> Source:
    """Read the file of an installed module."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # its package is run to find it, and may raise anything
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(
            f"strategy={word} is the entry point {name} of an installed package, and no Python"
            " file of that module can be found: mend or remove that package."
        )
    return Source(word, own_code.read_text(Path(spec.origin)), spec.origin)
