"""A worker's side of a run, whatever brings it the tasks."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

from pipeline.executors.base import attempt, in_words


class Answering:
    """Answers tasks, all in pickled form, so that values cross to every kind of worker alike.

    Parameters
    ----------
    start : bytes
        The work and what it shares; unpickled once and kept.
    """

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._begun: tuple[Any, Any] | None = None

    def prepare(self) -> None:
        """Import what the work needs before there is a task. What fails now fails again with it."""
        with suppress(Exception):
            self._begun = pickle.loads(self._start)

    def answer(self, task: bytes) -> bytes:
        """Return result and error of a task; one of them is None."""
        try:
            self._begun = self._begun or pickle.loads(self._start)
            work, shared = self._begun
            return pickle.dumps(attempt(work, shared, pickle.loads(task)))
        except Exception as error:  # something that cannot be pickled, or not be imported here
            return pickle.dumps((None, in_words(error)))
