"""Find a strategy by its name on the command line, which is the name of its module here."""

import importlib
import pkgutil
from typing import Any, cast

from pipeline import strategies
from pipeline.errors import UserError, suggestion
from pipeline.strategies.base import Strategy


def names() -> list[str]:
    """List the modules of this package that define ``STRATEGY``."""
    modules = [module.name for module in pkgutil.iter_modules(strategies.__path__)]
    # Numba may be broken, and takes time to import.
    without_numba = [name for name in modules if not name.startswith("numba_")]
    return [name for name in without_numba if hasattr(_module(name), "STRATEGY")]


def load_strategy(name: str) -> Strategy:
    """Return the strategy called ``name``.

    Raises
    ------
    UserError
        When there is none of that name.
    """
    allowed = names()
    if name not in allowed:
        raise UserError(
            f"strategy.name must be one of {', '.join(allowed)}; got '{name}'."
            f"{suggestion(name, allowed)}"
        )
    return cast(Strategy, _module(name).STRATEGY)


def _module(name: str) -> Any:
    return importlib.import_module(f"{strategies.__name__}.{name}")
