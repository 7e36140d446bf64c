"""The order of steps on a GPU host: nothing ends the run early, and what was measured stays."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.studies.bench import gpu_run
from pipeline.studies.bench.gpu_run import Outcome, Step, run_steps, steps_of, worst

ROOT = Path(__file__).resolve().parents[2]
WRITE = """
import json, pathlib, sys, time
lines = pathlib.Path(sys.argv[1]).open("a")
print(json.dumps({"step": sys.argv[2], "figure": "x", "value": 1}), file=lines, flush=True)
"""


def step(name, code, limit=60, program=""):
    return Step(name, (sys.executable, "-c", code), limit, program)


def writing(name, folder, then=""):
    command = (sys.executable, "-c", WRITE + then, str(folder / "figures.jsonl"), name)
    return Step(name, command, 60)


def run(steps, folder, total=100.0):
    return run_steps(steps, folder, os.environ, total)


def figures(folder):
    return [json.loads(line) for line in (folder / "figures.jsonl").read_text().splitlines()]


def test_a_failure_does_not_end_the_run(tmp_path, capsys):
    outcomes = run([step("bad", "print('why'); 1 / 0"), writing("good", tmp_path)], tmp_path)
    assert [outcome.status for outcome in outcomes] == [1, 0]
    assert worst(outcomes) == 1
    assert [line["figure"] for line in figures(tmp_path)] == ["status", "x", "status"]
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()
    printed = capsys.readouterr().out
    assert "ZeroDivisionError" in printed
    assert "good: x = 1" in printed


def test_what_was_measured_before_a_crash_stays(tmp_path):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    (outcome,) = run([writing("crash", tmp_path, crash)], tmp_path)
    assert outcome.status == 128 + 11
    assert figures(tmp_path)[0] == {"step": "crash", "figure": "x", "value": 1}


def test_a_step_ends_at_its_limit_with_all_that_it_started(tmp_path):
    child = "import subprocess; c = subprocess.Popen(['sleep', '600'])"
    slow = step("slow", child + "; print('child', c.pid, flush=True); c.wait()", limit=2)
    start = time.monotonic()
    outcomes = run([slow, step("next", "")], tmp_path)
    assert time.monotonic() - start < 120
    assert [outcome.status for outcome in outcomes] == [124, 0]
    pid = (tmp_path / "log.txt").read_text().split("child ")[-1].split()[0]
    stat = Path("/proc") / pid / "stat"
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_the_whole_has_a_limit(tmp_path):
    steps = [step("first", "import time; time.sleep(600)"), step("second", "")]
    first, second = run(steps, tmp_path, total=1.5)
    assert (first.status, second.status) == (124, 124)
    assert second.reason == "no time was left"
    assert worst([first, second]) == 124


def test_a_tool_that_is_missing_is_said_and_no_failure(tmp_path, capsys):
    (outcome,) = run([step("check", "1 / 0", program="no-such-program")], tmp_path)
    assert outcome == Outcome("check", 0, 0.0, "no-such-program is not installed")
    assert figures(tmp_path)[0]["reason"] == outcome.reason
    assert "not run: no-such-program is not installed" in capsys.readouterr().out


def test_a_machine_that_refuses_a_tool_is_said_and_no_failure(tmp_path):
    code = "import sys; sys.exit('Error: Device not supported')"
    (outcome,) = run([step("check", code, program="sh")], tmp_path)
    assert (outcome.status, outcome.reason) == (0, "the machine refuses it: Device not supported")


def test_a_refusal_of_an_earlier_step_is_not_that_of_a_later_one(tmp_path):
    code = "import sys; sys.exit('Error: Device not supported')"
    outcomes = run([step("check", code, program="sh"), step("x", "1 / 0", program="sh")], tmp_path)
    assert [outcome.status for outcome in outcomes] == [0, 1]


def test_without_a_device_the_first_step_ends_the_run(tmp_path):
    steps = [step("kernels", "import sys; sys.exit(2)"), step("next", "")]
    outcomes = run(steps, tmp_path)
    assert [outcome.step for outcome in outcomes] == ["kernels"]
    assert worst(outcomes) == 2


def test_a_later_status_2_does_not(tmp_path):
    steps = [step("kernels", ""), step("tests", "import sys; sys.exit(2)"), step("next", "")]
    assert len(run(steps, tmp_path)) == 3


def test_the_steps_are_few_files_and_within_reason(tmp_path):
    steps = steps_of("python3", tmp_path / "candles.npz", tmp_path)
    assert [step.name for step in steps][:4] == ["kernels", "default", "billion", "tests"]
    assert sum(step.limit for step in steps[:5]) <= 450
    (memcheck,) = (step for step in steps if step.name == "memcheck")
    assert "set_allocator(None)" in " ".join(memcheck.command)
    (tests,) = (step for step in steps if step.name == "tests")
    assert tests.command[tests.command.index("-W") :][:2] == ("-W", "default")


def test_packages_that_were_brought_along_stay_on_the_path(tmp_path, monkeypatch):
    environments = []
    monkeypatch.setenv("PYTHONPATH", "/brought/along")
    monkeypatch.setattr(
        gpu_run, "run_steps", lambda *arguments: environments.append(arguments[2]) or []
    )
    (tmp_path / "figures.jsonl").write_text("of an earlier run")
    assert gpu_run.main(["candles.npz", str(tmp_path)]) == 0
    assert environments[0]["PYTHONPATH"] == f"{ROOT}{os.pathsep}/brought/along"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--packed"], "takes --pack SHARED"), (["a", "b"], "takes --pack SHARED")],
)
def test_the_script_refuses_what_it_does_not_know(arguments, said):
    done = subprocess.run(
        [ROOT / "scripts" / "gpu", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_the_script_says_which_packages_are_missing(tmp_path):
    """A Python without any: as on a fresh host."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    environment = os.environ | {"PYTHON": str(bare)}
    done = subprocess.run(
        [ROOT / "scripts" / "gpu"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "numpy numba cupy pytest" in done.stderr
    assert "Traceback" not in done.stderr
