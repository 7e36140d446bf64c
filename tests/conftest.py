"""What every test folder shares. Being here also puts ``tests/`` on the path, for `support`."""

import gc
import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from support import needs

#: Folders of tests that take up to a minute: servers, browsers, drills.
LONG = {"web", "queue", "sweeps"}

#: A GPU host has no hypothesis; the tests that need one there do without.
collect_ignore = []

if importlib.util.find_spec("hypothesis") is None:
    collect_ignore += [
        str(path.relative_to(Path(__file__).parent))
        for path in Path(__file__).parent.rglob("test_*.py")
        if "from hypothesis" in path.read_text("utf-8")
    ]
if importlib.util.find_spec("psycopg2") is not None:
    from support.postgresql import own_server, pair, server  # noqa: F401, fixtures
if importlib.util.find_spec("sqlalchemy") is not None:
    from support.outages import outage  # noqa: F401, a fixture
if importlib.util.find_spec("hydra") is not None:
    from support.shared_runs import demo, fading, fading_once, here, peak  # noqa: F401, fixtures
if importlib.util.find_spec("hypothesis") is not None:
    from hypothesis import settings

    # A first call may compile a kernel, and other processes may hold the cores: no time limit.
    settings.register_profile("project", deadline=None)
    settings.load_profile("project")


def pytest_configure():
    """Give Ctrl-C its meaning back: what starts in a shell's background ignores it, as do children.

    Tests that interrupt a command would wait for minutes.
    """
    os.environ.setdefault("CANDLE_ARCHIVE", "")  # no test asks the network
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep Python's garbage collector away from what lives until the end.

    It would walk the ten thousand tests and their modules again and again: 5 s while they are
    found, and 0.6 s for each full collection later, which Hypothesis asks for.
    """
    gc.disable()
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw0" and importlib.util.find_spec("numba"):
        from support.backends import named

        named("numba")  # compiles the kernels, while another worker finds the tests and waits
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Put the folders of long tests first: one that begins last leaves a core without work."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in LONG)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Have a worker tell no more of a setup or teardown that went well and was quick than it must.

    Each of the thirty thousand reports of a run is written, sent and read in a millisecond.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.duration > 0.5:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_runtest_setup(item):
    """Skip a test whose program is missing; in CI it fails. This process counts as one core.

    Most kernels of a test are tiny, and test processes have the other cores: threads would only
    wait for each other, and processes for surrogates take longer to start than to search.
    """
    needs.check(item)
    if "gpu_engine.numba_backend" in sys.modules:
        sys.modules["gpu_engine.numba_backend"].set_threads(1)
    if "pipeline.search.backends" in sys.modules:
        sys.modules["pipeline.search.backends"].cores = lambda: 1
