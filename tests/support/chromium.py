"""Chromium, driven by Playwright: a conftest that imports `browser` has it as a fixture."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from support import needs
from support.waiting import PATIENCE

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def browser():
    """A browser for a module: while it lives its thread has an event loop, and takes no second."""
    program = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    if not program.exists():
        needs.skip(f"there is no browser at {program}: install chromium, or set CHROMIUM")
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=FLAGS)
        context = chromium.new_context

        def patient(**options):
            made = context(**options)
            made.set_default_timeout(1_000 * PATIENCE)
            return made

        chromium.new_context = patient
        yield chromium
        chromium.close()
