"""Commands in a process whose folders are mounted otherwise: read-only, or on a small disk.

The process has a mount namespace of its own (``unshare``), so that nothing is mounted elsewhere.
"""

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from pipeline.cli.command import run_plain
from support import needs
from support.runs import COMMANDS, ROOT, Finished, run_here

_UNSHARE = ("unshare", "--mount", "--map-root-user")


@cache
def _may_mount():
    if shutil.which("unshare") is None:
        return False
    words = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True).returncode == 0


def read_only(*folders):
    """Shell words that mount each folder read-only over itself."""
    quoted = [shlex.quote(str(folder)) for folder in folders]
    return " && ".join(f"mount --bind {q} {q} && mount -o remount,bind,ro {q}" for q in quoted)


def small_disk(folder, size):
    """Shell words that mount an empty disk of ``size`` (such as 300k) over a folder."""
    return f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))}"


def after(mounts, folder, *commands, program=__name__):
    """Run commands one after the other in ``folder`` after ``mounts``; return how each ended.

    A command is a list of words, such as ``["explain", "latest"]``; ``["sh", WORDS]`` is the
    shell's, and ``["python", CODE]`` is a function's body.
    """
    if not _may_mount():
        needs.skip("this user may mount nothing, not even in a namespace of its own")
    words = [sys.executable, "-m", program, json.dumps(commands)]
    script = f"{mounts} && cd {shlex.quote(str(folder))} && exec {shlex.join(words)}"
    done = subprocess.run(
        [*_UNSHARE, "sh", "-c", script],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [Finished(*one, folder) for one in json.loads(done.stdout.splitlines()[-1])]


def ended(words):
    """Run one command in this process; return its status and what it said."""
    name, *arguments = words
    if name == "sh":
        done = subprocess.run(arguments[0], shell=True, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr
    if name in COMMANDS:
        return run_here(Path.cwd(), *arguments, command=name)[:3]
    out, err = io.StringIO(), io.StringIO()
    if name == "python":
        main = partial(exec, arguments[0], {})
    else:
        module = "report.__main__" if name == "report" else name.replace("-", "_")
        main = partial(import_module(f"pipeline.{module}").main, arguments)
    status = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_plain(main)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    print(json.dumps([ended(words) for words in json.loads(sys.argv[1])]))
