"""Calls of the service from a page: off the event loop, refusals as sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from nicegui import ui
from pydantic import ValidationError

from pipeline.errors import UserError

P = ParamSpec("P")
Answer = TypeVar("Answer")


async def ask(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
    """Call the service in a thread: it reads a database, and may reckon for seconds."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def attempt(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer | None:
    """Call the service; a refusal is shown in the page's corner, and None returned."""
    try:
        return await ask(call, *args, **kwargs)
    except UserError as error:
        ui.notify(
            str(error), type="negative", multi_line=True, timeout=10_000, close_button="Close"
        )
        return None


def faults(error: ValidationError) -> list[str]:
    """Say what is wrong with a request: ``validation, train: Input should be ...``."""
    return [
        ": ".join(
            part
            for part in (
                ", ".join(str(place) for place in fault["loc"]),
                fault["msg"].removeprefix("Value error, "),
            )
            if part
        )
        for fault in error.errors()
    ]
