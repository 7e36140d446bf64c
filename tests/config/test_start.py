"""Help and refusals answer at once: what they do not need is not imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What takes time to import and is needed by whoever computes, stores or draws.
HEAVY = (
    "alembic",
    "ccxt",
    "jsonschema",
    "numba",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pyarrow",
    "rich",
    "scipy",
    "sqlalchemy",
)
COMMANDS = (
    "fetch",
    "serve",
    "dispatch",
    "explain",
    "verify",
    "monitor",
    "report",
    "store",
    "markets",
    "candles",
    "notices",
)
#: A strategy's parameters are declared by its class: who composes them imports NumPy with it.
#: They come last, for what one has imported stays.
WITH_STRATEGY = ("sweep", "train", "backtest", "check")
COMMANDS += WITH_STRATEGY

#: Runs commands one after the other in a new process; prints what each imported that is heavy.
CODE = """
import contextlib, io, json, runpy, sys
heavy, calls = map(json.loads, sys.argv[1:])
loaded = {}
for command, *arguments in calls:
    sys.argv = [command, *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            runpy.run_module(f"pipeline.{command}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        loaded[command] = [end.code, *(name for name in heavy if name in sys.modules)]
print(json.dumps(loaded))
"""


def imported(heavy, calls):
    """Exit status and heavy imports, by command."""
    finished = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(heavy), json.dumps(calls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(finished.stdout)


def test_help_needs_neither_hydra_nor_what_works():
    calls = [(command, "--help") for command in COMMANDS]
    alone = {command: [0] for command in COMMANDS}
    declared = {command: [0, "numpy"] for command in ("train", "backtest", "check")}
    assert imported([*HEAVY, "hydra"], calls) == alone | declared


@pytest.mark.parametrize("word", ["optimiser=grid", "storage=nowhere", "a b=3"])
def test_a_refused_word_needs_nothing_that_works(word):
    others = {"sweep": ("markets=demo",), "train": ("seed=1",)}
    calls = [(command, *others.get(command, ()), word) for command in COMMANDS]
    loaded = imported(HEAVY, calls)
    for command in WITH_STRATEGY:
        assert loaded.pop(command) in ([2], [2, "numpy"])
    assert loaded == {command: [2] for command in COMMANDS if command not in WITH_STRATEGY}


def test_a_refused_value_needs_nothing_that_works():
    calls = [("fetch", "market=demo"), ("sweep", "markets=nowhere"), ("explain",)]
    calls += [("serve", "port=-1"), ("train", "seed=-1")]
    declared = {"train": [2, "numpy"]}
    assert imported(HEAVY, calls) == {command: [2] for command, *_ in calls} | declared
