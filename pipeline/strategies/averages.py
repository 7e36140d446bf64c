"""Carry averages of Wilder on from a bar, so that the newest rows need the last candles alone.

An average of Wilder never forgets its beginning, but its value at one bar is all that it needs to
go on, to the last bit. Everything else in the tables of a built-in strategy looks back over
`pipeline.strategies.warm_up.warm_up_bars` at most, or says `needs_all_candles`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from gpu_engine import Float

_CARRIED: ContextVar["Averages | None"] = ContextVar("averages", default=None)


class Averages:
    """The averages of one builder, in the order in which it makes them: always the same one.

    Parameters
    ----------
    seeds : sequence of float or None
        What each was at the first candle; None where they begin with the candles.

    Attributes
    ----------
    bounded : bool
        Whether nothing else depends on where the candles begin.
    """

    def __init__(self, seeds: Sequence[float] | None = None) -> None:
        self._seeds, self.bounded = seeds, True
        self._made: list[Float] = []

    @contextmanager
    def carried(self) -> Iterator[None]:
        """Have the averages that this thread makes meanwhile begin with the seeds."""
        token = _CARRIED.set(self)
        try:
            yield
        finally:
            _CARRIED.reset(token)

    def seeds(self, bar: int) -> tuple[float, ...]:
        """Return what each average was at a bar: the seeds of candles that begin there."""
        return tuple(float(average[bar]) for average in self._made)

    def seed(self) -> float | None:
        """Return the first value of the average that is made next; None: it has none."""
        return None if self._seeds is None else self._seeds[len(self._made)]

    def add(self, average: Float) -> None:
        """Take an average that was made, float64 of shape (n,)."""
        self._made.append(average)


def carried() -> Averages | None:
    """Return the averages that this thread carries on; None where it carries none."""
    return _CARRIED.get()


def needs_all_candles() -> None:
    """Say that what is made now depends on where the candles begin, beyond averages of Wilder."""
    if (averages := _CARRIED.get()) is not None:
        averages.bounded = False
