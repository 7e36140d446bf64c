"""Define the contract of a strategy: parameters of three kinds, and event tables from candles.

The kinds make a search cheap, for each costs something else:

- ``structural``: needs an event table of its own;
- ``threshold``: a filter on a column of the table, compared by the engine;
- ``exit``: how an entry ends, shared by all tables: a column of `gpu_engine.ExitSettings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # NumPy takes time to import, and help needs `Parameter` alone
    from gpu_engine import Bool, Candles, EventTable, Float

Kind = Literal["structural", "threshold", "exit"]

#: Every whole number up to this one is a float64 of its own, as the engine has all values.
EXACT = 2**53

#: Exits that may be 0 (exits rules §2.1), as `gpu_engine.exits.ZERO_ALLOWED`, which needs NumPy.
MAY_BE_ZERO = ("stop_offset", "trail_activation")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a strategy, and the values that a search gives it by default.

    Attributes
    ----------
    name : str
        Lower case, as it is typed: ``strategy.parameters.NAME``.
    kind : {"structural", "threshold", "exit"}
        What a change of it costs.
    unit : str
        In words: ``"ATR"``, ``"bars"``.
    meaning : str
        One sentence for pages and help.
    grid : tuple of float or None
        Values, ascending; None (off), which a nullable one may have, in front.
    low, high : float or None
        Continuous range; without one a parameter keeps its grid's values everywhere.
    sense : int
        Of a threshold: +1 when a feature passes at ``feature >= value``, -1 at ``<=``; else 0.
    role : str
        Of an exit: the column of `ExitSettings` that it is (exits rules §2); "" is its own name.
    integer : bool
        Whole numbers only.
    nullable : bool
        A threshold that may be None: the filter is off.
    minimum, maximum : float or None
        What is possible at all, in any search. An exit without a minimum is above 0; one of
        `MAY_BE_ZERO` may be 0.
    """

    name: str
    kind: Kind
    unit: str
    grid: tuple[float | None, ...] = ()
    meaning: str = ""
    low: float | None = None
    high: float | None = None
    sense: int = 0
    role: str = ""
    integer: bool = False
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None

    @property
    def off(self) -> float:
        """The threshold that lets everything pass: what None stands for in an array."""
        return -self.sense * float("inf")

    @property
    def exit(self) -> str:
        """The column of `ExitSettings` that an exit parameter is."""
        return self.role or self.name

    @property
    def least(self) -> float | None:
        """The least that is possible: ``minimum``, or 0 of `MAY_BE_ZERO`; None for neither."""
        zero = self.kind == "exit" and self.exit in MAY_BE_ZERO
        return 0.0 if zero and self.minimum is None else self.minimum

    @property
    def example(self) -> float | None:
        """The middle of the grid; of a threshold the value of the grid that passes the most."""
        if self.kind != "threshold":
            return self.grid[(len(self.grid) - 1) // 2]
        return self.grid[0 if self.sense > 0 or None in self.grid else -1]

    def complaint(self, value: float) -> str | None:
        """Say why the parameter can never have a value, after its name; None where it can."""
        whole = self.integer or isinstance(value, int)
        if whole and EXACT < abs(value) < math.inf:
            return (
                f"must be a whole number of at most {EXACT:,} (2**53), which float64 holds exactly"
            )
        if not math.isfinite(value):
            return f"must be finite, not {value:g}"
        least = self.least
        if self.kind == "exit" and least is None and value <= 0:
            return f"must be above 0, not {value:g}"
        if least is not None and value < least:
            return f"must be at least {least:g}, not {value:g}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum:g}, not {value:g}"
        if self.integer and not float(value).is_integer():
            return f"must be a whole number, not {value:g}"
        return None

    def written(self, value: float) -> float | int | None:
        """Return an array's value as a person writes it: whole numbers as int, off as None."""
        if self.nullable and value == self.off:
            return None
        return int(value) if self.integer else value


class EventBuilder(Protocol):
    """Builds the event tables of one market's candles, which share their indicators."""

    def table(self, structural: Mapping[str, float]) -> EventTable:
        """Return the table of one structural setting, features in the order of the thresholds."""
        ...


class Strategy(Protocol):
    """The contract that a strategy's file fulfils with its ``STRATEGY``.

    ``events`` must be causal: a row may depend on bars up to its ``signal_bar`` only.
    ``loosest`` gives the most permissive value of every threshold the search ever sets, so that
    rows no combination can take are left out; it never changes which rows a combination takes.

    A class may also say ``mirrored = True``: its short side is the exact mirror of its long side;
    of the built-in ones ``level(candles, table)``: a price that each row's setup is about, float64
    of shape (m,), which charts draw; and ``example``, values by the parameter's name: the
    combination along whose signals ``market=demo`` and a calibration plant an edge. It should trade
    often. What it leaves out is `Parameter.example`.
    """

    @property
    def name(self) -> str:
        """Name in stored configurations, upper case with version."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in grid order: the last runs fastest."""
        ...

    def events(self, candles: Candles, loosest: Mapping[str, float]) -> EventBuilder:
        """Prepare what every table shares."""
        ...


def of_kind(strategy: Strategy, kind: Kind) -> tuple[Parameter, ...]:
    """Return the strategy's parameters of one kind, in grid order."""
    return tuple(p for p in strategy.parameters if p.kind == kind)


def passing(
    parameters: tuple[Parameter, ...], features: Float, loosest: Mapping[str, float]
) -> Bool:
    """Mark the rows that pass every limit of ``loosest``, bool of shape (m,); NaN passes none.

    ``features``, float64 of shape (m, K), has one column a threshold, in their order. A threshold
    that is not in ``loosest`` is off. A builder leaves the other rows out: no combination takes
    them.
    """
    thresholds = [p for p in parameters if p.kind == "threshold"]
    return reduce(
        and_,
        (
            p.sense * column >= p.sense * loosest.get(p.name, p.off)
            for p, column in zip(thresholds, features.T, strict=True)
        ),
    )
