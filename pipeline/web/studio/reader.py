"""Tell whether a page's reader is there: wait for the browser, and end quietly once it is gone."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from nicegui import Client, context, ui
from nicegui.slot import Slot


class PageLeftError(Exception):
    """The reader has left the page: what it waited for is not needed any more."""


class OfOpenPages(logging.Filter):
    """Lets through what is wrong with the server, and not what a page says that was left.

    NiceGUI logs every exception of a page's tasks, timers and events as an error. It has no other
    place where those of pages that are gone could be told from the others.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is logged; what is not is a line of debugging."""
        error = record.exc_info[1] if record.exc_info else None
        if record.levelno <= logging.DEBUG or error is None or not _is_of_left_page(error):
            return True
        logging.getLogger(__name__).debug("a page was left: %r", error)
        return False


def client_here() -> Client | None:
    """Return the open page that the present task belongs to; None where it belongs to none."""
    try:
        return context.client
    except RuntimeError:  # the element is gone whose task this is, or there is none
        return None


def check_open(client: Client | None) -> None:
    """Raise `PageLeftError` where the reader has left a page."""
    if client is not None and client.is_deleted:
        raise PageLeftError


async def connected() -> None:
    """Wait until the reader's browser has the page.

    Raises
    ------
    PageLeftError
        When it never will.
    """
    client = context.client
    await client.connected()
    check_open(client)


#: Pages that wait for a browser: each has 2 to 5 MB. A visitor without scripts leaves more.
UNOPENED = 20

#: Pages that a browser has opened. NiceGUI forgets them itself, a while after they were left.
_opened: WeakSet[Client] = WeakSet()


def forget_unopened() -> None:
    """Forget the oldest of the pages that no browser has opened, where there are many.

    To be called while a page is built, which counts as opened once its browser connects.
    """
    context.client.on_connect(_opened.add)
    clients = Client.instances.values()
    unopened = [one for one in clients if one not in _opened and not one.has_socket_connection]
    for client in unopened[:-UNOPENED]:
        client.delete()


#: Seconds that a first answer waits for figures: they are drawn with the page where they are there
#: by then, and otherwise once the browser has it.
SOON = 0.25


def _until_due() -> float:
    """Return the seconds until a page's first answer is due."""
    return max(context.client.created + SOON - time.time(), 0.0)


async def arrival(task: asyncio.Future[Any]) -> bool:
    """Wait until a task has ended, or the first answer is due; tell whether it has."""
    return bool((await asyncio.wait([task], timeout=_until_due()))[0])


async def soon(call: Callable[[], Awaitable[None]]) -> None:
    """Call what may be repeated: for the first answer, or else once the browser has the page."""
    try:
        async with asyncio.timeout(_until_due()):
            await call()
    except TimeoutError:
        await connected()
        await call()


async def in_browser(script: str) -> object:
    """Return the value of a script in the reader's browser; None where that does not answer."""
    client = context.client
    try:
        value: object = await ui.run_javascript(script, timeout=10.0)
    except TimeoutError:  # it is busy, asleep, or away without a word
        value = None
    check_open(client)
    return value


def _is_of_left_page(error: BaseException | None) -> bool:
    if isinstance(error, PageLeftError):
        return True
    for slot in Slot.get_stack():
        try:
            if slot.parent.client.is_deleted:
                return True
        except RuntimeError:  # it is gone, and its page may be open
            continue
    return False
