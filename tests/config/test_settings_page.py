"""What docs/settings.md and docs/markets.md show works: their files, their words."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from pipeline import sweep
from pipeline.cli.arguments import Parser
from pipeline.config import SweepConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.sweeps.manifest import SweepRequest
from support.documents import ROOT

PAGE = "".join((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("settings", "markets"))
FILES = re.findall(r"`(my_settings/[\w/]+\.yaml)`.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^scripts/train (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def composed(tmp_path):
    """Compose a command of the page in a folder with the page's files."""
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def compose(command):
        words = shlex.split(command)
        if words[0] == "--config-dir":
            words = [f"hydra.searchpath=[file://{tmp_path / words[1]}]", *words[2:]]
        return load(words, TrainConfig, "train")

    return compose


def test_the_file_of_settings(composed):
    (command,) = (c for c in COMMANDS if "+experiment" in c)
    config = composed(command)
    parameters = config.strategy.parameters
    assert (config.optimizer.name, config.optimizer.samples) == ("random", 200)
    assert parameters["stop_distance"].grid == (1, 1.5, 2, 2.5, 3)
    assert parameters["target_multiple"].grid == (2, 3)
    assert config.risk.direction == "long"
    stronger = composed(f"{command} strategy.parameters.stop_distance=2 risk.direction=short")
    assert stronger.strategy.parameters["stop_distance"].grid == (2,)
    assert stronger.risk.direction == "short"


def test_a_command_takes_the_folder(composed, tmp_path):
    (command,) = (c for c in COMMANDS if "+experiment" in c)
    words = [sys.executable, "-m", "pipeline.train", *shlex.split(command), "--cfg", "job"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["optimizer"]["samples"] == 200


def test_a_file_without_its_first_line_and_a_word_without_its_plus(composed, tmp_path):
    (command,) = (c for c in COMMANDS if "+experiment" in c)
    file = tmp_path / "my_settings" / "experiment" / "swing.yaml"
    with pytest.raises(UserError, match=r"experiment=\.\.\.|\+experiment=NAME"):
        composed(command.replace("+experiment", "experiment"))
    file.write_text(file.read_text().replace("# @package _global_\n", ""))
    with pytest.raises(UserError, match=r"experiment/swing\.yaml .*# @package _global_"):
        composed(command)


def test_commands_on_several_markets_and_on_strategies_take_it_too(composed, tmp_path):
    """The words of `scripts/sweep` and `scripts/check` compose what those of `scripts/train` do."""
    (command,) = (c for c in COMMANDS if "+experiment" in c)
    market, rest = re.sub(r"market=(\S+) ", "", command), re.search(r"market=(\S+)", command)[1]
    parser = Parser("sweep", "", "", SweepConfig, "sweep")
    (folder := tmp_path / "with space").mkdir()
    shutil.move(tmp_path / "my_settings", folder)
    words = shlex.split(market.replace("my_settings", f"'{folder}/my_settings'"))
    line = parser.read([f"markets={rest}", *words])
    own, shared = sweep.split(line.words)
    assert own == [f"markets={rest}"]
    config = sweep.compose([rest], shared)[rest]
    assert (config.optimizer.name, config.optimizer.samples) == ("random", 200)
    assert config.strategy.parameters["target_multiple"].grid == (2, 3)
    assert SweepRequest({rest: config}, tuple(shared)).deciding == ["+experiment=swing"]
    with pytest.raises(UserError, match="nowhere"):
        parser.read(["markets=all", "--config-dir", "nowhere"])


def test_markets_of_ones_own(composed):
    single = [c for c in COMMANDS if "+experiment" not in c and not c.startswith("-m")]
    assert [composed(c).market.id for c in single] == [
        "binanceusdm:BTC/USDT:USDT:5m", "binance:DOGE/USDT:30m", "bybit:DOGE/USDT:30m",
    ]  # fmt: skip


def test_the_table_of_values(composed):
    rows = re.findall(r"^\| `(strategy\.parameters\.(\w+)=\S+)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 5
    read = [composed(word).strategy.parameters[name] for word, name in rows]
    assert [p.grid for p in read] == [(1, 2, 3), (1, 1.5, 2, 2.5, 3), (1, 1.5, 2), (2,), (None,)]
    assert [p.low for p in read] == [None, 1, 1, None, None]


def test_every_file_of_the_page_is_used():
    assert len(FILES) == 2
    assert all(
        any(name.rpartition("/")[2].removesuffix(".yaml") in c for c in COMMANDS)
        for name, _ in FILES
    )
