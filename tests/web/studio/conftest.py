"""A real server with its queue, and a real browser."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.market_data.synthetic import synthetic_candles
from support.chromium import browser
from support.own_strategy import own_file
from support.runs import finish
from support.serving import end_dispatcher
from support.sweeping import HOURS, TINY, start_sweep

__all__ = ["browser"]

ROOT = Path(__file__).resolve().parents[3]
#: Days of stored candles, from 2023-01-01 on.
DAYS, FIRST_MS = 200, 1_672_531_200_000


class Watched:
    """A page, what went wrong on it, and what it asked of others."""

    def __init__(self, context, address):
        self.page, self.address = context.new_page(), address
        self.errors, self.elsewhere = [], []
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _asked(self, url):
        own = self.address.removeprefix("http://")
        if not url.startswith((f"http://{own}", f"ws://{own}", "data:", "blob:")):
            self.elsewhere.append(url)

    def open(self, path):
        self.page.goto(f"{self.address}{path}")
        return self.page


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the server works: a sweep of three invented markets, and candles of three pairs."""
    folder = tmp_path_factory.mktemp("studio")
    swept = start_sweep(folder, HOURS, *TINY)
    for seed, base in enumerate(("BTC", "ETH", "SOL")):
        path = candle_path(folder / "candles", "binance", f"{base}/USDT", "15m")
        raw = synthetic_candles(DAYS, "15m", seed, first_ms=FIRST_MS)
        span = (FIRST_MS, FIRST_MS + DAYS * 86_400_000)
        save(path, EMPTY.overlay(raw, [span]), "a test")
    finished = finish(swept, folder)
    assert finished.status == 0, finished.err
    return folder


@pytest.fixture(scope="session")
def strategies(tmp_path_factory):
    """A folder of own strategies: one that works, and one that is no Python."""
    folder = tmp_path_factory.mktemp("strategies")
    own_file(folder)
    (folder / "broken.py").write_text("import numpy as np\n\nSTRATEGY = Breakout(\n")
    return folder


@pytest.fixture(scope="session")
def server(folder, strategies):
    """The address of a server over that folder; its dispatcher ends with it."""
    url = f"sqlite:///{folder}/var/trainings.db"
    words = [
        "port=0",
        f"storage.url={url}",
        "starts_a_minute=1000",
        f"storage.artifacts={folder}/var/artifacts",
        f"store={folder}/candles",
        f"strategy_path={strategies}",
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.serve", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    said = process.stdout.readline()
    try:
        yield re.search(r"http://[\d.:]+", said).group()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        process.stdout.close()
        end_dispatcher(url)


@pytest.fixture
def log(folder, server):
    """What the server has written on standard error since the test began."""
    file = folder / "server.log"
    before = len(file.read_text())
    return lambda: file.read_text()[before:]


@pytest.fixture
def watched(browser, server):
    """Make a page that is watched."""
    contexts = []

    def made(**options):
        contexts.append(browser.new_context(**options))
        return Watched(contexts[-1], server)

    yield made
    for context in contexts:
        context.close()
