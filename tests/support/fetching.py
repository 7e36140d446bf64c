"""The fetch command as a process of its own, its network a loopback exchange."""

import os
import subprocess
import sys

from support.runs import ROOT, finish


def start_fetch(folder, server, *arguments):
    """Start `scripts/fetch` in ``folder``."""
    return subprocess.Popen(
        [sys.executable, "-m", "support.loopback.fetch_command", *arguments],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "LOOPBACK_EXCHANGE": server.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_fetch(folder, server, *arguments):
    """Run it to its end."""
    return finish(start_fetch(folder, server, *arguments), folder)
