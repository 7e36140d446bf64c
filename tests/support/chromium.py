"""Chromium, driven by Playwright: a conftest that imports `browser` has it as a fixture."""

import os
from pathlib import Path

import pytest

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="module")
def browser():
    """A browser for a module: while it lives its thread has an event loop, and takes no second."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    if not program.exists():
        pytest.skip(f"there is no browser at {program}")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()
