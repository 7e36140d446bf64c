"""Tell whether a file of the user's own changed the program it runs in, and put it back.

All strategies of a process share its modules. A file that replaces an indicator, or sets what NumPy
does with an overflow, would change the results of the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np

#: Modules whose names a file must leave as they are, and those whose names begin like these.
WATCHED = ("builtins", "math", "numpy")
PREFIXES = ("gpu_engine", "pipeline.strategies", "pipeline.search")
#: These change themselves: whether Numba's kernels are kept on disk, and kernels loaded anew.
OWN_CHANGES = ("gpu_engine.numba_cache", "pipeline.strategies.numba_kernels")


class ProgramState:
    """What the shared modules, settings of Python and NumPy and the working folder are at one time.

    What a module's object holds inside (a list, an array) is not seen.
    """

    def __init__(self) -> None:
        self._names = [(space, dict(vars(space))) for space in _WATCHED.spaces()]
        self._errors, self._folder = np.geterr(), Path.cwd()
        self._environment, self._depth = dict(os.environ), sys.getrecursionlimit()

    def changes(self) -> list[str]:
        """Put back what is no longer as it was, and return its names."""
        changed = []
        for space, before in self._names:
            now = vars(space)
            if all(map(is_, map(now.get, before), before.values())):
                continue
            for name, value in before.items():
                if now.get(name) is not value and not name.startswith("__"):
                    setattr(space, name, value)
                    changed.append(f"{_title(space)}.{name}")
        if np.geterr() != self._errors:
            np.seterr(**self._errors)
            changed.append("numpy.seterr")
        if Path.cwd() != self._folder:
            os.chdir(self._folder)
            changed.append("the working folder")
        if sys.getrecursionlimit() != self._depth:
            sys.setrecursionlimit(self._depth)
            changed.append("sys.setrecursionlimit")
        _restore(self._environment)  # libraries set it too, as they load: no fault
        return changed


def _restore(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


class _Watched:
    """The watched modules and the classes that ours define, looked for anew after an import."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._modules: list[tuple[str, Any]] = []
        self._spaces: list[Any] = []

    def spaces(self) -> list[Any]:
        """Return what is watched now; to look for it at every call takes longer than a table."""
        names, loaded = list(sys.modules), sys.modules.get
        if names != self._names or any(loaded(n) is not module for n, module in self._modules):
            self._modules = [(n, sys.modules[n]) for n in names if n in WATCHED or _is_ours(n)]
            self._spaces = list(_namespaces(self._modules))
            self._names = names
        return self._spaces


_WATCHED = _Watched()


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIXES) and name not in OWN_CHANGES


def _namespaces(modules: list[tuple[str, Any]]) -> Iterator[Any]:
    for name, module in modules:
        yield module
        if _is_ours(name):
            values = list(vars(module).values())
            yield from (v for v in values if isinstance(v, type) and v.__module__ == name)


def _title(space: Any) -> str:
    return f"{space.__module__}.{space.__qualname__}" if isinstance(space, type) else space.__name__
