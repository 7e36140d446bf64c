"""Put the Studio's pages on a server that answers under ``/api`` already."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module

from fastapi import FastAPI
from nicegui import ui

from pipeline.report.shell import compile_templates
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.memory import return_memory
from pipeline.web.studio.pages.candles import candles_page, market_page
from pipeline.web.studio.pages.compare import compare_page
from pipeline.web.studio.pages.configuration import configuration_page
from pipeline.web.studio.pages.configurations import configurations_page
from pipeline.web.studio.pages.jobs import job_page, jobs_page
from pipeline.web.studio.pages.live import live_page
from pipeline.web.studio.pages.search import search_page
from pipeline.web.studio.pages.sweeps import sweep_page, sweeps_page
from pipeline.web.studio.pages.train import training_page
from pipeline.web.studio.reader import OfOpenPages

#: Seconds that a page waits for the database. What NiceGUI answers before a page is built is a 200,
#: and an unknown id is to be a 404; and on a machine that is busy a list takes longer than its 3 s,
#: after which it would answer 500.
PATIENCE = 30.0

#: Seconds after which a page that was left is forgotten. A browser that draws has two fifths of
#: them to answer: with NiceGUI's 3 a page of many figures was loaded anew on a slow machine.
RECONNECT = 10.0

#: A curve over one window: the Studio's own icon, so that no browser asks for another.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16"'
    ' rx="3" fill="#1f5fae"/><path d="M2 12 6 8l3 2 5-6" fill="none" stroke="#fff"'
    ' stroke-width="2"/></svg>'
)

#: Each takes the service, then what its path names, or the request with its address.
_PAGES: dict[str, Callable[..., Awaitable[None]]] = {
    "/": training_page,
    "/jobs": jobs_page,
    "/jobs/{job_id}": job_page,
    "/configurations": configurations_page,
    "/configurations/{configuration_id}": configuration_page,
    "/configurations/{configuration_id}/search": search_page,
    "/candles": candles_page,
    "/candles/{identity:path}": market_page,
    "/compare": compare_page,
    "/live": live_page,
    "/sweeps": sweeps_page,
    "/sweeps/{sweep_id}": sweep_page,
}


def mount(app: FastAPI, service: Service) -> None:
    """Add the Studio's pages to ``app``, after everything that ``app`` answers itself.

    NiceGUI has one set of pages a process: a second call replaces the first one's service.
    """
    for path, page in _PAGES.items():
        ui.page(path, response_timeout=PATIENCE)(partial(page, service))

    def nowhere() -> None:
        with frame.page("No such page", ""):
            ui.status_code(404)
            frame.sentence("Nothing is at this address. The pages are named above.")

    compile_templates()
    for name in ("numpy.ma", "pyarrow.compute"):  # what libraries import with their first call
        import_module(name)
    return_memory()
    # NiceGUI warns of every page that was left before it was built, which is no fault, and has no
    # setting for it: its logger's level is the public way.
    nicegui = logging.getLogger("nicegui")
    nicegui.setLevel(logging.ERROR)
    nicegui.addFilter(OfOpenPages())
    ui.run_with(
        app,
        root=nowhere,
        title="Strategy Studio",
        favicon=_ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT,
    )
