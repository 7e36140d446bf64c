"""The contract of a search method that asks for points in batches."""

from __future__ import annotations

from typing import Protocol

from gpu_engine.records import Float


class Method(Protocol):
    """Ask for points, tell their scores; the same seed asks the same points.

    NaN scores are inadmissible. A method never asks a point of a discrete space twice.
    """

    def ask(self) -> Float:
        """Return the next points, float64 of shape (n, P); n = 0 when the budget is spent."""
        ...

    def tell(self, points: Float, scores: Float) -> None:
        """Hand back the scores of what was asked, shape (n,)."""
        ...
