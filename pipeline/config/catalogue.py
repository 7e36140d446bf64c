"""Read the files of `conf`: the words of every choice, the markets, and what each file holds."""

import copy
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.config.market_word import EXAMPLES, is_market_word, market_file
from pipeline.errors import UserError, suggestion

#: Found beside this package wherever it is installed, whatever the working directory.
CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"

ALL = "all"

MARKET = "market"

#: Groups without files in `conf`, for a strategy's class declares them: the strategy itself, one
#: combination of its parameters, and its example.
DECLARED = STRATEGY, COMBINATION, EXAMPLE = "strategy", "parameters", "example"

#: Where files of choices are, the strongest first: a folder of the user's own is in front.
_places: tuple[Path, ...] = (CONFIG_DIR,)


def look_in(folder: Path | None) -> None:
    """Look for choices in a folder of the user's own too (``--config-dir``); None: in no other."""
    global _places
    _places = (CONFIG_DIR,) if folder is None else (folder, CONFIG_DIR)


def search_path() -> list[str]:
    """Return the word by which Hydra looks in the user's own folder too, where there is one."""
    own = ",".join(in_quotes(f"file://{place}", resolved=True) for place in _places[:-1])
    return [f"hydra.searchpath=[{own}]"] if own else []


def words(group: str) -> list[str]:
    """Return what may be chosen for a group, such as ``optimizer`` or ``data/quality``."""
    if group == STRATEGY:
        from pipeline.strategies.registry import choices

        return choices()
    files = (path for place in _places for path in (place / group).glob("*.yaml"))
    return sorted({path.stem for path in files})


def refuse_list_of_choices(word: str) -> None:
    """Raise `UserError` where a KEY=VALUE word gives a list to a key that is one choice."""
    key, _, value = word.partition("=")
    group = key.lstrip("+")
    if value.startswith("[") and (group in DECLARED or (CONFIG_DIR / group).is_dir()):
        raise UserError(
            f"{group} is one choice: write {group}=NAME, without brackets; given: {word}. A sweep"
            " takes several: scripts/sweep markets=[...] strategies=[...]."
        )


def read(group: str, name: str) -> dict[str, Any]:
    """Return a file of `conf` and what its defaults include, as plain values.

    Interpolations stay as they are written, and what a file overrides in another group, or takes
    from a choice that it does not make, is left out. The group of a command's own file is empty.
    """
    if group in DECLARED:
        return _declared(group, name)
    values: dict[str, Any] = {}
    file = load_file(group, name)
    chosen = _choices(file.get("defaults", ()))
    for entry in file.pop("defaults", ()):
        if isinstance(entry, str):
            values |= read(group, entry) if entry != "_self_" else {}
            continue
        (key,) = entry
        choice = chosen[key]
        source, _, package = key.partition("@")
        if choice is None or choice.startswith("${") or source.startswith("override "):
            continue
        folder = source[1:] if source.startswith("/") else f"{group}/{source}".lstrip("/")
        values[package or source] = read(folder, choice)
    return values | file


def _declared(group: str, word: str) -> dict[str, Any]:
    """Return what a strategy declares; of a combination ``???`` where a grid has several values."""
    from pipeline.strategies.registry import declared, load_strategy, locate

    if group == EXAMPLE:
        return load_strategy(*locate(word)).example
    values = declared(word)
    if group == STRATEGY:
        return values
    grids = {name: parameter["grid"] for name, parameter in values["parameters"].items()}
    return {name: grid[0] if len(grid) == 1 else "???" for name, grid in grids.items()}


def defaults(command: str, overrides: Sequence[str] = ()) -> dict[str, str | None]:
    """Return the choice of every group of a command, by the group's name.

    It is that of the command's file, or of ``overrides`` such as ``strategy=mine.py``; a word that
    is no choice is left to whoever composes.
    """
    pairs = (word.split("=", 1) for word in overrides if "=" in word)
    typed = {g: word for g, word in pairs if g == STRATEGY or _is_choice(g, word)}
    return _choices(load_file("", command)["defaults"], typed)


def _is_choice(group: str, word: str) -> bool:
    return word in words(group) or (group == MARKET and is_market_word(word))


def _choices(
    entries: Sequence[str | dict[str, str | None]], typed: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str | None]:
    """Return the choices of a defaults list; ``${GROUP}`` is the choice of another group."""
    rows = (entry.items() for entry in entries if isinstance(entry, dict))
    choices = {g: typed.get(g, c) for items in rows for g, c in items}
    return {g: choices.get(c[2:-1], c) if c else c for g, c in choices.items()}


def load_file(group: str, name: str) -> dict[str, Any]:
    """Return a file as it stands, its defaults list with it, or what a market in one word says.

    Raises
    ------
    UserError
        When a market in one word is none.
    """
    if group == MARKET and is_market_word(name):
        return copy.deepcopy(market_file(name, tuple(words("exchange"))))
    from omegaconf import OmegaConf  # slow, and needless to whom Hydra composes all

    paths = (place / group / f"{name}.yaml" for place in _places)
    path = next((path for path in paths if path.exists()), CONFIG_DIR / group / f"{name}.yaml")
    file: Any = OmegaConf.to_container(OmegaConf.load(path))
    return dict(file)


@dataclass(frozen=True)
class Market:
    """A market: ``name`` is its file's, or its one word; ``synthetic`` has generated candles."""

    name: str
    exchange: str
    pair: str
    timeframe: str
    synthetic: bool


def market(name: str) -> Market:
    """Return a market by the name of its file or by its one word.

    Raises
    ------
    UserError
        When it is a market in one word, and none.
    """
    file = read(MARKET, name)
    pair = f"{file['base']}/{file['quote']}"
    pair += f":{file['settle']}" if file.get("settle") else ""
    exchange, synthetic = file["exchange"]["name"], file.get("synthetic", False)
    return Market(name, exchange, pair, file["timeframe"], synthetic)


def markets() -> dict[str, Market]:
    """Return every market that has a file, by name, those with real candles first."""
    return _markets(tuple(words(MARKET)))


@lru_cache(maxsize=8)
def _markets(names: tuple[str, ...]) -> dict[str, Market]:
    every = (market(name) for name in names)
    return {market.name: market for market in sorted(every, key=lambda m: m.synthetic)}


def select_markets(choices: Sequence[str]) -> list[str]:
    """Return the names that ``choices`` stand for, in alphabetical order, none twice.

    ``all`` and patterns such as ``btc_*`` stand for real markets that have a file; those of
    generated candles are chosen by their full name alone. A market in one word stands for itself,
    or for the file that says the same.

    Raises
    ------
    UserError
        When one of them stands for no market.
    """
    every = words(MARKET)
    chosen: set[str] = set()
    for choice in choices:
        if is_market_word(choice):
            fitting = [_with_a_file(choice)]
        elif choice in every:
            fitting = [choice]
        else:
            pattern = "*" if choice == ALL else choice
            real = (m.name for m in markets().values() if not m.synthetic)
            fitting = [name for name in real if fnmatchcase(name, pattern)]
        if not fitting:
            raise UserError(
                f"markets={choice} is no market: write {ALL}, patterns such as btc_*, or names of"
                f" {', '.join(every)}, or EXCHANGE:SYMBOL:TIMEFRAME such as {EXAMPLES}."
                f"{suggestion(choice, every)}"
            )
        chosen.update(fitting)
    return sorted(chosen)


def _with_a_file(word: str) -> str:
    """Return the name of the market whose file says what a word says; without one the word."""
    values = read(MARKET, word)
    return next((name for name in words(MARKET) if read(MARKET, name) == values), word)


def select_strategies(choices: Sequence[str]) -> list[str]:
    """Return the words and paths that ``choices`` stand for, in their order, none twice.

    ``all`` stands for every strategy that has a word, a path such as ``folder/mine.py`` for itself.

    Raises
    ------
    UserError
        When two of them share a name: a table could not tell them apart.
    """
    every = words("strategy")
    chosen = dict.fromkeys(w for choice in choices for w in (every if choice == ALL else [choice]))
    by_name: dict[str, str] = {}
    for word in chosen:
        other = by_name.setdefault(strategy_name(word), word)
        if other != word:
            raise UserError(
                f"strategies: {other} and {word} have the same name, so a table could not tell them"
                " apart: rename one of the files."
            )
    return list(chosen)


def usable_strategies(choices: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that ``choices`` stand for, and a sentence for each that ``all`` leaves out.

    A file that somebody put into a folder must not stop the others; one asked for by name does.

    Raises
    ------
    UserError
        As `select_strategies`.
    """
    from pipeline.strategies.registry import load_strategy, locate

    names: dict[str, str] = {}
    why: dict[str, str] = {}
    every = select_strategies(choices)
    for word in every:
        try:
            names[word] = load_strategy(*locate(word)).name
        except UserError as error:
            why[word] = str(error)
    for word, name in names.items():
        other = next((o for o in names if names[o] == name and o != word), None)
        if other is not None:
            why[word] = (
                f"{other} says name = '{name}' too, so stored results could not be told apart:"
                " give one of them another name."
            )
    left_out = {word: reason for word, reason in why.items() if word not in choices}
    sentences = [f"strategies=all leaves out {word}: {reason}" for word, reason in left_out.items()]
    return [word for word in every if word not in left_out], sentences


def strategy_name(word: str) -> str:
    """Return what a strategy is called in tables: its word, or the stem of its file."""
    return Path(word).stem if word.endswith(".py") else word


def strategy_word(word: str) -> str:
    """Write the word that chooses a strategy for Hydra, which takes a path in quotes."""
    return f"strategy={in_quotes(word)}" if word.endswith(".py") else f"strategy={word}"


def in_quotes(text: str, *, resolved: bool = False, quote: str = "'") -> str:
    r"""Write a text so that Hydra takes it as it is.

    ``${NAME}`` in it stands for itself, or for the value of ``NAME`` where it is to be
    ``resolved``, as a person types it.

    >>> print(in_quotes("it's ${mine}"))
    'it\'s \${mine}'
    """
    if not resolved:
        text = escaped(text)
    inside = re.sub(rf"(\\*)({quote}|$)", lambda m: 2 * m[1] + (m[2] and f"\\{m[2]}"), text)
    return f"{quote}{inside}{quote}"


#: A value that Hydra reads as this text without quotes: a name, a path or an address.
_BARE = re.compile(
    r"(?!(?:null|true|false|nan|inf)$)(?:[a-z_][\w.]*|\.{3}|[\w.+@%:-]*/[\w.+@%:/-]*)",
    re.ASCII | re.IGNORECASE,
)


def typed(*words: str, **settings: str) -> str:
    """Write a command as it can be typed in a shell, and read by a command of this program.

    Parameters
    ----------
    words : str
        The command and what it takes besides KEY=VALUE.
    settings : str
        Values by key: each is read as this text, whatever it holds.

    >>> print(typed("scripts/store", "a b", **{"storage.url": "sqlite:///{x}.db"}))
    scripts/store 'a b' "storage.url='sqlite:///{x}.db'"
    """
    line = [shlex.quote(word) for word in words]
    for key, value in settings.items():
        if _BARE.fullmatch(value):
            line.append(f"{key}={value}")
        elif set("$`!\\\"'") & set(value):  # not all of these stay as they are in double quotes
            line.append(shlex.quote(f"{key}={in_quotes(value, quote=chr(34))}"))
        else:
            line.append(f'"{key}={in_quotes(value)}"')
    return " ".join(line)


def escaped(text: str) -> str:
    """Write a text so that OmegaConf takes every ``${`` in it as it is."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def find_markets(names: Sequence[str]) -> list[Market]:
    """Return markets by name or by one word, none twice: a word stands for a file that says it.

    Raises
    ------
    UserError
        When one of them is none; it names those that are.
    """
    every, chosen = dict(markets()), dict[str, Market]()
    for name in names:
        if is_market_word(name):
            name = _with_a_file(name)
        elif name not in every:
            raise UserError(
                f"markets: {name} is no market; allowed are {', '.join(every)}, or"
                f" EXCHANGE:SYMBOL:TIMEFRAME such as {EXAMPLES}.{suggestion(name, every)}"
            )
        chosen[name] = every[name] if name in every else market(name)
    return list(chosen.values())


def product(
    pairs: Sequence[str], exchanges: Sequence[str], timeframes: Sequence[str]
) -> list[Market]:
    """Return the markets of every combination.

    Two markets may differ in their candles alone, as ``demo`` and ``demo_null`` do in their pair:
    a combination stands for every market that fits it.

    Raises
    ------
    UserError
        When a word fits no market at all, or a combination fits none.
    """
    every = list(markets().values())
    for field, choices in (("pair", pairs), ("exchange", exchanges), ("timeframe", timeframes)):
        allowed = sorted({getattr(market, field) for market in every})
        for choice in choices:
            if choice not in allowed:
                raise UserError(
                    f"{field}s: no market has {choice}; allowed are {', '.join(allowed)}."
                    f"{suggestion(choice, allowed)}"
                )
    chosen: dict[str, Market] = {}
    for key in itertools.product(exchanges, pairs, timeframes):
        fitting = {m.name: m for m in every if (m.exchange, m.pair, m.timeframe) == key}
        if not fitting:
            raise UserError(
                f"There is no market {':'.join(key)}; those of {key[0]} are"
                f" {', '.join(m.name for m in every if m.exchange == key[0])}."
            )
        chosen |= fitting
    return list(chosen.values())
