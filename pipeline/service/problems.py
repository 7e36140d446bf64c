"""Refusals that are neither a mistake in what was asked nor a fault: what is asked about differs.

All are `UserError`: a sentence that names the thing and what to do next.
"""

from __future__ import annotations

from pipeline.errors import UserError


class NotFoundError(UserError):
    """Nothing has this id."""


class ConflictError(UserError):
    """What is asked about is not in a state that allows it."""
