"""Run every check and figure that needs a GPU, in the order of their worth (`scripts/gpu FOLDER`).

Each step is a process of its own: an illegal access ends one step, not those behind it. Each has a
time limit, and all have one together. A step that fails, or cannot run, does not end the run.
Figures come into the folder the moment they exist, one JSON object a line; what the steps print
goes into a log beside them.

Exit status: the worst of the steps; 124 stands for a step that ran past its limit. A first step
that answers 2 has found that nothing can be measured here, and the run ends with 2.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import IO, Any, NamedTuple

#: Seconds for the whole run: twice this and a start fit into a quarter of an hour.
TOTAL = 450.0
#: Exit status of a step that ran past its limit, as of `timeout`.
TIMED_OUT = 124
#: Exit status of a first step that finds nothing to measure on.
NOTHING_HERE = 2
#: Seconds between the request to end and the end by force.
GRACE = 3.0
#: Lines of a failed step that are shown; all of them are in the log.
SHOWN = 15
#: What a tool prints where the machine does not let it see the device.
REFUSALS = ("Device not supported", "LibraryNotLoaded", "ERR_NVGPUCTRPERM")

#: A GPU host has plugins and versions that these tests were not written for: a warning is no
#: failure there, and a file that cannot be read does not keep the others from running.
PYTEST = (
    *("-p", "no:cacheprovider", "-W", "default", "--continue-on-collection-errors"),
    "tests/gpu_engine",
)
QUICK, DEEP = ("-m", "gpu and not slow"), ("-m", "gpu and slow")
#: CuPy's pool rounds sizes up and hands freed blocks out again, which hides stray accesses.
WITHOUT_POOL = (
    "import cupy, pytest, sys; cupy.cuda.set_allocator(None); sys.exit(pytest.main(sys.argv[1:]))"
)
#: Tests for the memory checks, which make every launch many times slower: few that launch all.
CHECKED = "whole_grid or any_number or batch_is_its or days_compound or direction"


class Step(NamedTuple):
    """A command with its limit in seconds, and the program that it needs beside Python."""

    name: str
    command: tuple[str, ...]
    limit: float
    program: str = ""


class Outcome(NamedTuple):
    """How a step ended; ``reason`` says why one did not run, and is empty where it did."""

    step: str
    status: int
    seconds: float
    reason: str = ""


def steps_of(python: str, candles: Path, folder: Path) -> tuple[Step, ...]:
    """List the steps, the most valuable first."""
    figures = (python, "-m", "pipeline.studies.bench.gpu", str(candles), str(folder))
    checked = (python, "-c", WITHOUT_POOL, *PYTEST, *QUICK, "-k", CHECKED)
    sanitizer = ("compute-sanitizer", "--error-exitcode", "3", "--tool")
    one_walk = ("--kernel-name", "regex:^walk", "--launch-count", "1")
    output = ("--log-file", str(folder / "ncu.txt"))
    profile = ("ncu", "--clock-control", "none", "--set", "full", *one_walk, *output)
    return (
        Step("kernels", (*figures, "kernels"), 60),
        Step("default", (*figures, "default"), 90),
        Step("billion", (*figures, "billion"), 60),
        Step("tests", (python, "-m", "pytest", *PYTEST, *QUICK), 90),
        Step("memcheck", (*sanitizer, "memcheck", *checked), 90, "compute-sanitizer"),
        Step("initcheck", (*sanitizer, "initcheck", *checked), 90, "compute-sanitizer"),
        Step("profile", (*profile, *figures, "walk"), 60, "ncu"),
        Step("crossover", (*figures, "crossover"), 60),
        Step("in depth", (python, "-m", "pytest", *PYTEST, *DEEP), 90),
    )


def run_steps(
    steps: Sequence[Step], folder: Path, environment: Mapping[str, str], total: float = TOTAL
) -> list[Outcome]:
    """Run every step that time allows, and note how each ended in ``figures.jsonl``.

    What a step prints is appended to ``log.txt``. Nothing raises but an interruption.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = monotonic() + total
    outcomes: list[Outcome] = []
    with (folder / "log.txt").open("a") as log:
        for step in steps:
            outcome = _run(step, environment, log, deadline - monotonic())
            outcomes.append(outcome)
            _note(outcome, folder)
            if step is steps[0] and outcome.status == NOTHING_HERE:
                break
    return outcomes


def worst(outcomes: Sequence[Outcome]) -> int:
    """Return the exit status of the whole run."""
    return max((outcome.status for outcome in outcomes), default=0)


def _run(step: Step, environment: Mapping[str, str], log: IO[str], left: float) -> Outcome:
    if step.program and shutil.which(step.program, path=environment.get("PATH")) is None:
        return Outcome(step.name, 0, 0.0, f"{step.program} is not installed")
    if left < 1.0:
        return Outcome(step.name, TIMED_OUT, 0.0, "no time was left")
    print(f"\n== {step.name}: {' '.join(step.command)}", file=log, flush=True)
    before, start = Path(log.name).stat().st_size, monotonic()
    process = subprocess.Popen(
        step.command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
    )
    try:
        status = process.wait(min(step.limit, left))
    except subprocess.TimeoutExpired:
        status = TIMED_OUT
    finally:
        _end(process)
    seconds = monotonic() - start
    # A signal's number is negative here; a shell gives 128 and the number.
    status = status if status >= 0 else 128 - status
    text = Path(log.name).read_bytes()[before:].decode(errors="replace")
    refusals = [reason for reason in REFUSALS if reason in text] if step.program else []
    if status and refusals:
        return Outcome(step.name, 0, seconds, f"the machine refuses it: {refusals[0]}")
    if status:
        said = [line for line in text.splitlines() if not line.startswith('{"step": ')]
        print("\n".join(f"    {line}" for line in said[-SHOWN:]))
    return Outcome(step.name, status, seconds)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a step and all that it started, if it still runs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                continue


def _note(outcome: Outcome, folder: Path) -> None:
    line: dict[str, Any] = {"step": outcome.step, "figure": "status", "value": outcome.status}
    line["seconds"] = round(outcome.seconds, 1)
    how = f"status {outcome.status}"
    if outcome.reason:
        line["reason"] = outcome.reason
        how = f"not run: {outcome.reason}"
    with (folder / "figures.jsonl").open("a") as figures:
        print(json.dumps(line), file=figures)
    _show_figures(outcome.step, folder)
    print(f"{outcome.step}: {how}, {outcome.seconds:.1f} s", flush=True)


def _show_figures(step: str, folder: Path) -> None:
    lines = (folder / "figures.jsonl").read_text().splitlines()
    for figure in map(json.loads, lines):
        if figure["step"] == step and figure["figure"] != "status":
            print(f"{step}: {figure['figure']} = {json.dumps(figure['value'])}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/gpu", description=__doc__)
    parser.add_argument("candles", type=Path, help="npz made by scripts/gpu --pack")
    parser.add_argument("folder", type=Path, help="where figures and log go; emptied of old ones")
    options = parser.parse_args(arguments)
    for name in ("figures.jsonl", "log.txt", "ncu.txt"):
        (options.folder / name).unlink(missing_ok=True)
    root = Path(__file__).resolve().parents[3]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONUNBUFFERED": "1",
    }
    steps = steps_of(sys.executable, options.candles.resolve(), options.folder.resolve())
    outcomes = run_steps(steps, options.folder.resolve(), environment)
    return worst(outcomes)


if __name__ == "__main__":
    sys.exit(main())
