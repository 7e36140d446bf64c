"""What an exchange can do to an answer, and when."""

from collections import Counter
from enum import Enum
from threading import Lock

import numpy as np


class Fault(Enum):
    """One way in which an answer goes wrong."""

    TOO_MANY = "429 with Retry-After"
    BANNED = "418 with Retry-After"
    UNAVAILABLE = "503"
    OWN_WORDS = "a failure in the exchange's own words"
    TRUNCATED = "truncated body"
    INVALID_JSON = "invalid JSON"
    EMPTY_OBJECT = "empty object"
    SLOW = "slow answer"
    RESET = "connection reset"
    CLOCK_OFF = "clock that is off"
    DUPLICATED = "duplicated rows"
    OUT_OF_ORDER = "rows out of order"
    MISSING_RANGE = "missing range"
    IGNORED_SINCE = "ignored since"
    NOT_ADVANCING = "page that does not advance"
    IMPOSSIBLE_ROW = "row with a negative price"


#: What can befall any answer and passes by. A ban is no such thing: it ends a fetch.
PASSING = (
    *(Fault.TOO_MANY, Fault.UNAVAILABLE, Fault.TRUNCATED, Fault.INVALID_JSON),
    *(Fault.EMPTY_OBJECT, Fault.SLOW, Fault.RESET, Fault.OWN_WORDS),
)
#: What is done to the rows of an answer that looks well.
LIES = (
    *(Fault.DUPLICATED, Fault.OUT_OF_ORDER, Fault.MISSING_RANGE),
    *(Fault.IGNORED_SINCE, Fault.NOT_ADVANCING, Fault.IMPOSSIBLE_ROW),
)


class Faults:
    """Draws the fault of each answer: a script first, then at random.

    A question that was lied to is told the truth when it is put again: nobody could tell a lie
    that never changes from the truth.

    Parameters
    ----------
    seed : int
    share : float
        Of the answers, that go wrong.
    kinds : sequence of Fault
        Drawn evenly.
    """

    def __init__(self, seed=0, share=0.0, kinds=()):
        self.share, self.kinds = share, tuple(kinds)
        self.script = []
        self.injected = Counter()
        self.rng = np.random.default_rng(seed)
        self._lied_to = set()
        self._lock = Lock()

    def draw(self, question, has_rows, is_clock):
        """Fault of the answer to ``question``, or None."""
        with self._lock:
            if self.script:
                fits = _fits(self.script[0], has_rows, is_clock)
                fault = self.script.pop(0) if fits else None
            else:
                fault = self._at_random(question, has_rows, is_clock)
            if fault is not None:
                self.injected[fault] += 1
            return fault

    def _at_random(self, question, has_rows, is_clock):
        fault = None
        if self.rng.random() < self.share:
            kinds = [kind for kind in self.kinds if _fits(kind, has_rows, is_clock)]
            fault = kinds[self.rng.integers(len(kinds))] if kinds else None
        if fault in LIES and question in self._lied_to:
            fault = None
        if fault in LIES:
            self._lied_to.add(question)
        elif fault is None:
            self._lied_to.discard(question)
        return fault


def _fits(fault, has_rows, is_clock):
    if fault in LIES:
        return has_rows
    return is_clock if fault is Fault.CLOCK_OFF else True


def falsified(fault, rows, everything, limit, rng):
    """Rows of an answer after a lie.

    Parameters
    ----------
    rows : list
        The true answer, oldest first.
    everything : list
        All rows that the exchange serves.
    limit : int
        Rows in an answer at most.
    """
    if fault is Fault.IGNORED_SINCE:
        return everything[-limit:]
    if fault is Fault.NOT_ADVANCING:
        return everything[:limit]
    if len(rows) < 3:
        return rows
    first = int(rng.integers(1, len(rows) - 1))
    last = min(first + int(rng.integers(1, 50)), len(rows) - 1)
    if fault is Fault.MISSING_RANGE:
        return rows[:first] + rows[last:]
    if fault is Fault.DUPLICATED:
        return rows[:last] + rows[first:]
    if fault is Fault.OUT_OF_ORDER:
        return rows[last:] + rows[:last]
    if fault is Fault.IMPOSSIBLE_ROW:
        time, price, *rest = rows[first]
        return [*rows[:first], [time, -price, *rest], *rows[first + 1 :]]
    return rows
