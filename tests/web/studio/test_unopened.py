"""Pages that no browser opens are forgotten: who runs no scripts may ask for any number of them."""

from functools import partial
from types import SimpleNamespace

from nicegui import Client

from pipeline.web.studio.reader import UNOPENED, forget_unopened


def test_the_oldest_pages_that_no_browser_opened_are_forgotten(monkeypatch):
    forgotten = []
    pages = {
        number: SimpleNamespace(
            tab_id=None if number % 10 else "a tab",
            has_socket_connection=number % 20 == 0,
            delete=partial(forgotten.append, number),
        )
        for number in range(UNOPENED + 20)
    }
    monkeypatch.setattr(Client, "instances", pages)
    forget_unopened()
    unopened = [number for number in pages if number % 10]
    assert len(unopened) > UNOPENED
    assert forgotten == unopened[:-UNOPENED]
