"""A command that is stopped in its first second ends in one line, with the status of the signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli.early import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def start(folder, *words):
    """Start Python as the scripts do: signals wait until the command takes them."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, STATUS)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


@pytest.mark.parametrize("sent", STATUS)
@pytest.mark.parametrize("name", ["train", "explain"])
def test_before_python_has_imported_anything(tmp_path, name, sent):
    process = start(tmp_path, f"pipeline.{name}")
    process.send_signal(sent)
    assert process.communicate(timeout=120) == ("", f"{SENTENCES[STATUS[sent]]}\n")
    assert process.returncode == STATUS[sent]


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.4, 0.8])
def test_while_it_imports(tmp_path, seconds):
    process = start(tmp_path, "pipeline.train", "market=demo", "optimizer=random")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120)[1] == "cancelled\n"
    assert process.returncode == 130


def printed(program):
    words = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=environment, capture_output=True, check=True, text=True).stdout


def test_who_imports_the_package_keeps_its_handlers():
    program = "import signal, pipeline; print(signal.getsignal(signal.SIGINT).__name__)"
    assert printed(program) == "default_int_handler\n"


def test_what_is_ignored_stays_so():
    program = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv = ['-m'];"
        "import pipeline; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,"
        " signal.getsignal(signal.SIGTERM).__name__)"
    )
    assert printed(program) == "True _end\n"
