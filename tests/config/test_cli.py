"""The command line as a process: where it may be called from, what it prints, how it exits."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = textwrap.dedent(
    """\
    import time
    from pathlib import Path

    from gpu_engine.device import OutOfDeviceMemoryError
    from pipeline.cli.command import run, run_directory
    from pipeline.config import TrainConfig
    from pipeline.errors import UserError


    def command(config: TrainConfig) -> None:
        if config.seed == 1:
            raise UserError("seed 1 is taken.")
        if config.seed == 2:
            raise RuntimeError("a fault of ours")
        if config.seed == 3:
            Path("ready").touch()
            time.sleep(60)
        if config.seed == 5:
            raise OutOfDeviceMemoryError("the device has no room for 8 bytes; 4 are free")
        print(config.market.id, config.seed, run_directory().is_dir())


    if __name__ == "__main__":
        run(command, TrainConfig, "train", "command [KEY=VALUE ...]")
    """
)


@pytest.fixture
def start(tmp_path):
    """Start the command in an empty folder; the real package, a trivial thing to do."""
    (tmp_path / "command.py").write_text(COMMAND)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "command", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def call(start):
    """Run the command to its end: (exit status, standard output, standard error)."""

    def call(*arguments):
        with start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return call


def test_success_is_0_and_quiet(call, tmp_path):
    assert call("market=demo") == (0, "synthetic:DEMO/USDT:5m 0 True\n", "")
    (folder,) = (tmp_path / "var/runs").glob("*/*")
    assert (folder / ".hydra/overrides.yaml").read_text() == "- market=demo\n"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("seed=-1", "seed must be at least 0; given: -1.\n"),
        ("seed=1", "seed 1 is taken.\n"),
        ("optimizer=gird", "optimizer=gird is not a choice: optimizer may be bayesian, grid,"),
    ],
)
def test_a_mistake_is_2_and_a_sentence(call, argument, sentence):
    status, out, err = call(argument)
    assert (status, out) == (2, "")
    assert err.startswith(sentence)
    assert len(err.splitlines()) == 1 or "Error executing job" in err


def test_a_failure_is_1_and_a_traceback(call):
    status, _, err = call("seed=2")
    assert status == 1
    assert err.startswith("failed\nTraceback")
    assert err.endswith("RuntimeError: a fault of ours\n")


def test_a_gpu_too_small_is_1_and_a_sentence(call):
    status, _, err = call("seed=5")
    sentence = "the device has no room for 8 bytes; 4 are free. Use a GPU with more memory, or"
    assert (status, err) == (1, f"{sentence} backend=numba.\n")


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (signal.SIGINT, 130, "cancelled\n"),
        (signal.SIGTERM, 143, "terminated; what was stored before, if anything, is kept\n"),
    ],
)
def test_stopping_has_a_status_of_its_own_and_a_sentence(start, tmp_path, sent, status, said):
    with start("seed=3") as process:
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, said)


def test_a_failing_job_does_not_stop_the_others(call):
    status, out, err = call("-m", "seed=0,1,2,4")
    assert status == 2
    assert out == "synthetic:DEMO/USDT:5m 0 True\nsynthetic:DEMO/USDT:5m 4 True\n"
    assert "#1 seed=1: seed 1 is taken.\n" in err
    assert "#2 seed=2: failed\nTraceback" in err


def test_a_misspelt_choice_stops_a_multirun_before_it_begins(call):
    status, out, err = call("-m", "optimizer=grid,gird")
    assert (status, out) == (2, "")
    assert err.endswith("Did you mean 'grid'?\n")


def test_the_composed_configuration_can_be_shown(call):
    status, out, _ = call("--cfg", "job", "--package", "costs", "--resolve")
    assert (status, out) == (
        0,
        "# @package costs\nfee_rate: 0.001\nslippage: 0.0005\nmaker_fee: null\nborrow_rate: null\n",
    )


@pytest.mark.parametrize("words", [("--config-dir",), ("--config-dir", ".", "seed=1", "swing")])
def test_what_hydra_cannot_parse_is_a_sentence(call, words):
    status, out, err = call("seed=0", *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "KEY=VALUE" in err


def test_clashing_flags_are_a_mistake(call):
    status, _, err = call("--run", "--multirun")
    assert status == 2
    assert err.startswith("Only one of --run, --multirun")


def test_a_run_folder_that_cannot_be_made(call, tmp_path):
    (tmp_path / "var").touch()
    status, _, err = call()
    assert status == 2
    assert err.startswith("The run's folder cannot be made: ")
