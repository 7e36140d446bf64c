"""Define the contract of a strategy: parameters of three kinds, and event tables from candles.

The kinds make a search cheap, for each costs something else:

- ``structural``: needs an event table of its own;
- ``threshold``: a filter on a column of the table, compared by the engine;
- ``exit``: how an entry ends, shared by all tables: a column of `gpu_engine.ExitSettings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from gpu_engine import Candles, EventTable

Kind = Literal["structural", "threshold", "exit"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a strategy.

    ``sense`` is +1 when a feature passes at ``feature >= value``, -1 at ``<=``; 0 for other kinds.
    ``nullable`` thresholds may be None: the filter is off.
    """

    name: str
    kind: Kind
    unit: str
    sense: int = 0
    integer: bool = False
    nullable: bool = False

    @property
    def off(self) -> float:
        """The threshold that lets everything pass: what None stands for in an array."""
        return -self.sense * float("inf")

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
    """The contract that a module of this package fulfils with its ``STRATEGY``.

    ``events`` must be causal: a row may depend on bars up to its ``signal_bar`` only.
    ``loosest`` gives the most permissive value of every threshold the search ever sets, so that
    rows no combination can take are left out; it never changes which rows a combination takes.
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
