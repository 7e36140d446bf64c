"""Commands run in an empty folder, and what they leave there.

As a process, which is the real thing and takes seconds to start, or in this process, through the
same door: Hydra, the checks, the exit status.
"""

import io
import json
import logging
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from pipeline import backtest, fetch, train
from pipeline.cli.command import run as run_command
from pipeline.config import BacktestConfig, FetchConfig, TrainConfig
from pipeline.results import database
from pipeline.results.database import open_database
from pipeline.search import backends  # noqa: F401, loaded before conftest.py counts its cores
from support.parameters import DEPTH, LOOKBACK, REJECTION, SIZE, STOP, TARGET, VOLUME

ROOT = Path(__file__).resolve().parents[2]

#: Three parameters of 72 combinations, so that a grid takes no time.
SMALL_GRID = (
    f"strategy.parameters.{DEPTH}.grid=[0.0005,0.001,0.002]",
    f"strategy.parameters.{REJECTION}.grid=[3]",
    f"strategy.parameters.{VOLUME}.grid=[1.5,2.5]",
    f"strategy.parameters.{SIZE}.grid=[1.0]",
    f"strategy.parameters.{LOOKBACK}.grid=[50,100]",
    f"strategy.parameters.{STOP}.grid=[1.0,2.0]",
    f"strategy.parameters.{TARGET}.grid=[2.0,3.0,4.0]",
)
SMALL_SHAPE = (3, 1, 2, 1, 2, 2, 3, 1, 1)
SMALL_SIZE = 72

#: Hours instead of five minutes, and few of them: four searches in a moment.
QUICK = ("market=demo_null", "market.timeframe=1h", "data.days=200", "min_trades=3")

COMMANDS = {
    "train": (train, TrainConfig),
    "backtest": (backtest, BacktestConfig),
    "fetch": (fetch, FetchConfig),
}


class Finished(NamedTuple):
    """How a command ended, what it said, and the folder it worked in."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def result(self):
        """What its `result.json` holds."""
        (path,) = self.folder.glob("var/runs/*/*/result.json")
        return json.loads(path.read_text("utf-8"))

    @property
    def jobs(self):
        """Rows of `training_jobs`, newest first."""
        return ask(self.folder, lambda repository: repository.jobs.find())

    @property
    def configurations(self):
        """Rows of `trained_configurations`, newest first."""
        return ask(self.folder, lambda repository: repository.configurations.find())

    @property
    def artifacts(self):
        """What lies in the artifacts folder, hidden or not."""
        root = self.folder / "var/artifacts"
        return sorted(root.iterdir()) if root.exists() else []


def ask(folder, question):
    """Answer of the default database of a folder."""
    with open_database(f"sqlite:///{folder}/var/trainings.db") as repository:
        return question(repository)


def start(folder, *arguments, module="pipeline.train", code=None, environment=()):
    """Start a command as a process of its own; ``code`` runs in place of the module."""
    program = ["-m", module] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, folder, timeout=300):
    """Wait for a process that `start` began."""
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Finished(process.returncode, out, err, folder)


def run(folder, *arguments, **options):
    """Run a command as a process, to its end."""
    return finish(start(folder, *arguments, **options), folder)


def run_here(folder, *arguments, command="train"):
    """Run a command in this process, to its end."""
    module, schema = COMMANDS[command]
    out, err, opened = io.StringIO(), io.StringIO(), []

    def open_and_keep(url, *arguments, **options):
        if url == "sqlite:///var/trainings.db" and not {"reopened", "read_only"} & set(options):
            place_empty_database(Path("var/trainings.db"))
        opened.append(open_database(url, *arguments, **options))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setattr(sys, "argv", [command, *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "1")  # which `command.run` sets for good
        patch.setattr(database, "open_database", open_and_keep)
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            run_command(module.main, schema, command, command)
    _close(opened)
    return Finished(ended.value.code, out.getvalue(), err.getvalue(), folder)


def place_empty_database(path):
    """Place what opening a fresh database makes there: a copy takes no time."""
    if not path.exists():
        with suppress(OSError):  # who opens it shall say so
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_empty_database())


@cache
def _empty_database():
    with TemporaryDirectory() as folder:
        open_database(f"sqlite:///{folder}/empty.db").close()
        return Path(folder, "empty.db").read_bytes()


def _close(opened):
    """What the end of a process would close: databases, and the log that Hydra opened."""
    for repository in opened:
        repository.close()
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


def interrupted_after(monkeypatch, owner, name):
    """Let Ctrl-C come as soon as a method of ``owner`` has done its work."""
    method = getattr(owner, name)

    def interrupted(*args, **kwargs):
        method(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
