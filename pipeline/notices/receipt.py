"""Say what became of one attempt to deliver a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol


@dataclass(frozen=True)
class Receipt:
    """The outcome of one attempt.

    Attributes
    ----------
    error : str or None
        Why it was not delivered, without any address; None where it was.
    refused : bool
        Whether the receiver itself refused this message: it is tried again seldom.
    ended : bool
        Whether the receiver wants it never again.
    wait : timedelta or None
        For how long the receiver asks to be left alone.
    """

    error: str | None = None
    refused: bool = False
    ended: bool = False
    wait: timedelta | None = None


class Target(Protocol):
    """A receiver; ``name`` is what it is called in the database and to a person."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def send(self, body: dict[str, Any]) -> Receipt:
        """Try once to deliver a message, within `sender.DEADLINE` where it can."""
        ...
