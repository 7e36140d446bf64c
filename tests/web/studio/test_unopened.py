"""Pages that no browser opens are forgotten: who runs no scripts may ask for any number of them."""

from types import SimpleNamespace

from nicegui import Client

from pipeline.web.studio import reader


class Page:
    """A page of the server; a browser may connect to it, and leave it."""

    def __init__(self, number, forgotten):
        self.number = number
        self.has_socket_connection = False
        self.delete = lambda: forgotten.append(number)

    def on_connect(self, handler):
        self.connected = handler


def test_the_oldest_pages_that_no_browser_opened_are_forgotten(monkeypatch):
    forgotten, pages = [], {}
    monkeypatch.setattr(Client, "instances", pages)
    for number in range(3 * reader.UNOPENED):
        page = Page(number, forgotten)
        monkeypatch.setattr(reader, "context", SimpleNamespace(client=page))
        reader.forget_unopened()
        pages[number] = page
        if number % 2:  # every second is opened, and every fourth was left a moment ago
            page.connected(page)
            page.has_socket_connection = number % 4 == 1
        for gone in forgotten:
            pages.pop(gone, None)
    reader.forget_unopened()
    unopened = [number for number in range(3 * reader.UNOPENED) if number % 2 == 0]
    assert forgotten == unopened[: -reader.UNOPENED]
