"""scripts/new-strategy writes a strategy that trains, and a test that finds its leak."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import new_strategy
from pipeline.cli.command import DONE, MISTAKE
from pipeline.errors import UserError
from pipeline.strategies.registry import BUILT_IN, load_strategy, locate
from support.runs import QUICK, ROOT, run, run_here

LEAK = "# close = np.roll(close, -5)"


@pytest.fixture
def written(tmp_path, capsys):
    """The files of ``my_breakout``."""
    assert new_strategy.main(["my_breakout", str(tmp_path)]) == DONE
    assert str(tmp_path / "my_breakout.py") in capsys.readouterr().out
    return tmp_path / "my_breakout.py", tmp_path / "test_my_breakout.py"


def leak(path):
    """Switch the example on."""
    text = path.read_text("utf-8")
    assert text.count(LEAK) == 1
    path.write_text(text.replace(LEAK, LEAK.removeprefix("# ")), "utf-8")


def run_pytest(folder):
    """Run pytest in a folder, as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_it_is_a_strategy(written):
    strategy = load_strategy(*locate(str(written[0])))
    assert strategy.name == "MY_BREAKOUT_V1"
    assert {p.kind for p in strategy.parameters} == {"structural", "threshold", "exit"}
    assert "MY_STRATEGY" not in written[0].read_text("utf-8")


def test_a_process_writes_what_can_be_trained(tmp_path):
    finished = run(tmp_path, "mine", module="pipeline.new_strategy")
    assert (finished.status, finished.err) == (0, "")
    assert {p.name for p in tmp_path.iterdir()} == {"mine.py", "test_mine.py"}
    few = ("optimizer=random", "optimizer.samples=20", "market.timeframe=1h", "min_trades=3")
    few += ("validation.surrogate_count=20",)
    trained = run_here(tmp_path, "strategy=mine.py", "market=demo", *few)
    assert trained.status == 0, trained.err
    assert [c.strategy for c in trained.configurations] == ["MINE_V1"]


@pytest.mark.parametrize("place", ["here", "a folder"])
def test_what_it_says_can_be_typed_where_it_was_said(tmp_path, monkeypatch, capsys, place):
    (tmp_path / "a folder").mkdir()
    monkeypatch.chdir(tmp_path if place == "a folder" else tmp_path / "a folder")
    assert new_strategy.main(["mine", *(["a folder"] if place == "a folder" else [])]) == DONE
    said = capsys.readouterr().out
    train = shlex.split(said.partition("Train it: ")[2])
    assert Path(train[0]).resolve() == ROOT / "scripts" / "train"
    assert Path(train[1].removeprefix("strategy=").strip("'")).is_file()
    test = shlex.split(said.partition("run it with ")[2].splitlines()[0])
    collected = subprocess.run([*test, "--collect-only", "-q"], capture_output=True, check=False)
    assert collected.returncode == 0, collected.stdout


@pytest.mark.slow
def test_its_own_test_passes_and_finds_the_leak(written):
    path, _ = written
    clean = run_pytest(path.parent)
    assert clean.returncode == 0, clean.stdout
    leak(path)
    leaking = run_pytest(path.parent)
    assert leaking.returncode == 1
    assert "past_is_kept" in leaking.stdout


def test_a_training_refuses_the_leak(written):
    path, _ = written
    leak(path)
    finished = run_here(path.parent, "strategy=my_breakout.py", "optimizer=random", *QUICK)
    assert finished.status == MISTAKE
    assert "look" in finished.err
    assert finished.configurations == []


@pytest.mark.parametrize(
    "name",
    ["My", "my-own", "my own", "1st", "", "test_mine", "a" * 61, "mine.py", "../mine", "über",
     *BUILT_IN, "class", "json", "numpy", "pipeline", "gpu_engine", "yaml"],
)  # fmt: skip
def test_names_that_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"\.$"):
        new_strategy.main([name, str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["a", ".", "c"], ["--name"]])
def test_arguments_that_are_refused(tmp_path, arguments):
    with pytest.raises(UserError, match="usage: scripts/new-strategy NAME"):
        new_strategy.main(arguments)


@pytest.mark.parametrize("name", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("kept")
    with pytest.raises(UserError, match="nothing is overwritten"):
        new_strategy.main(["mine", str(tmp_path)])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "kept")]


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(UserError, match="mkdir"):
        new_strategy.main(["mine", str(tmp_path / "none")])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        new_strategy.main(["mine", str(tmp_path / "file")])
