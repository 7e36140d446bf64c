"""A strategy is chosen by a word or by a path; only the chosen one is run, and its text is all."""

import os
import pickle
import sys
from types import SimpleNamespace

import pytest

from pipeline.config import StrategyConfig, SweepConfig, TrainConfig, load
from pipeline.config.catalogue import select_strategies, usable_strategies
from pipeline.errors import UserError
from pipeline.strategies import registry
from pipeline.strategies.donchian_breakout import DonchianBreakout
from pipeline.strategies.registry import BUILT_IN, choices, load_strategy, locate
from pipeline.training import job
from pipeline.training.run import Reporter
from support.own_strategy import own_file
from support.runs import QUICK, run_here


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch):
    monkeypatch.delenv(registry.PATH_VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of strategies that the environment names."""
    monkeypatch.setenv(registry.PATH_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with an entry point ``trend``."""
    site = tmp_path / "site"
    (site / "trend_pack").mkdir(parents=True)
    own_file(site / "trend_pack", "following")
    (site / "trend_pack" / "__init__.py").touch()
    information = site / "trend_pack-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: trend-pack\nVersion: 1\n")
    points = f"[{registry.ENTRY_POINTS}]\ntrend = trend_pack.following\n"
    (information / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    return site


def composed(*words):
    return load(["market=demo_null", *words], TrainConfig, "train").strategy


def test_the_default_comes_first():
    assert choices()[0] == composed().name == "liquidity_sweep"
    assert choices() == list(BUILT_IN)


@pytest.mark.parametrize("word", BUILT_IN)
def test_a_word_is_a_built_in_strategy(word):
    strategy = composed(f"strategy={word}")
    assert (strategy.name, strategy.text, strategy.file) == (word, None, None)
    assert "text" not in strategy.model_dump(mode="json")
    assert list(strategy.parameters) == [p.name for p in strategy.load().parameters]


def test_a_path_is_a_file_of_ones_own(tmp_path, monkeypatch):
    path = own_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    for written in (str(path), "mine.py", "./mine.py", f"../{tmp_path.name}/mine.py"):
        strategy = composed(f"strategy={written}")
        assert (strategy.name, strategy.text) == ("mine", path.read_text())
        assert strategy.load().name == "MINE_V1"


FOLDERS = ["é", "a=b", "it's", "d,(e)", "$x", "#1", "a@b", "a b", "tail\\", 'a"b', "~", "日本"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_may_be_called_anything(tmp_path, monkeypatch, name):
    monkeypatch.setenv(registry.PATH_VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    path = own_file(tmp_path / name, "inside")
    for chosen in (path, path.relative_to(tmp_path)):
        written = f"./{chosen}" if str(chosen).startswith("~") else chosen
        assert composed(f"strategy={written}").text == path.read_text("utf-8")
    assert composed(f"strategy_path={path.parent}", "strategy=inside").name == "inside"


#: All of them, one in the other, and by hand each alone.
ONE_IN_THE_OTHER = "/".join(FOLDERS)


@pytest.mark.parametrize(
    "name", [ONE_IN_THE_OTHER, *(pytest.param(name, marks=pytest.mark.slow) for name in FOLDERS)]
)
def test_a_strategy_in_such_a_folder_is_trained(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    path = own_file(tmp_path / name, "inside")
    finished = run_here(tmp_path, f"strategy={path}", "optimizer=random", *QUICK)
    assert finished.status == 0, finished.err
    assert finished.jobs[0].config["strategy"]["text"] == path.read_text("utf-8")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(registry.PATH_VARIABLE, "")
    path = own_file(tmp_path)
    assert composed("strategy=~/mine.py").text == path.read_text("utf-8")
    assert composed("strategy_path=~", "strategy=mine").file == str(path)
    assert select_strategies(load(["markets=demo", "strategies=[~/mine.py]"], SweepConfig, "sweep")
                             .strategies) == [str(path)]  # fmt: skip


def test_all_leaves_out_what_is_broken(folder):
    own_file(folder, "good")
    (folder / "broken.py").write_text("def broken(:\n", "utf-8")
    usable, (sentence,) = usable_strategies(["all"])
    assert usable == [*BUILT_IN, "good"]
    assert "broken.py, line 1" in sentence
    assert usable_strategies(["all", "broken"]) == ([*BUILT_IN, "broken", "good"], [])


def test_several_folders_are_a_list(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.PATH_VARIABLE, "")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        own_file(tmp_path / name, name)
    both = f"{tmp_path / 'one'},{tmp_path / 'two'}"
    for written in (both, f"[{both}]"):
        composed(f"strategy_path={written}")
        assert choices() == [*BUILT_IN, "one", "two"]
    (tmp_path / "a:b").mkdir()
    with pytest.raises(UserError, match="a:b has a :"):
        composed(f"strategy_path={tmp_path / 'a:b'}")


@pytest.mark.parametrize("word", ["strategy=[mine.py]", "strategy=[supply_shock]", "market=[demo]"])
def test_a_choice_takes_no_list(tmp_path, word):
    own_file(tmp_path)
    for command in ("train", "backtest"):
        finished = run_here(tmp_path, word, command=command)
        assert finished.status == 2
        assert f"given: {word}." in finished.err
        assert len(finished.err.splitlines()) == 1


def test_many_choices_are_not_all_named(folder):
    for number in range(300):
        (folder / f"s{number}.py").write_text("STRATEGY = None\n", "utf-8")
    (folder / "my_objective.py").write_text("def score(metrics):\n    return metrics\n", "utf-8")
    assert len(choices()) == len(BUILT_IN) + 300
    with pytest.raises(UserError, match=r"supply_shock, .* and 293 more.*strategy_path=") as told:
        locate("unheard_of")
    assert len(str(told.value)) < 400


def test_stored_names_of_built_in_strategies_are_their_own():
    assert tuple(load_strategy(word).name for word in BUILT_IN) == registry.STORED_NAMES


def test_a_file_may_be_called_like_a_built_in_strategy(tmp_path):
    path = own_file(tmp_path, "liquidity_sweep")
    assert composed(f"strategy={path}").load().name == "MINE_V1"
    assert composed().load().name == "LIQUIDITY_SWEEP_V3"


def test_the_stem_of_a_file_is_a_choice_where_its_folder_is_named(folder, monkeypatch):
    path = own_file(folder)
    (folder / "test_mine.py").write_text("raise RuntimeError")
    (folder / "notes.txt").touch()
    assert choices() == [*BUILT_IN, "mine"]
    assert composed("strategy=mine").text == path.read_text()
    monkeypatch.delenv(registry.PATH_VARIABLE)
    with pytest.raises(UserError, match="strategy=mine is not a choice"):
        locate("mine")


def test_the_key_names_the_folder_too(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.PATH_VARIABLE, "")  # given back after the test
    path = own_file(tmp_path)
    assert composed("strategy=mine", f"strategy_path={tmp_path}").text == path.read_text()
    assert composed("strategy=mine", f"strategy_path=[{tmp_path}]").text == path.read_text()
    with pytest.raises(UserError, match="strategy_path must name folders"):
        composed(f"strategy_path={path}")


def test_an_entry_point_is_a_choice(package):
    assert choices() == [*BUILT_IN, "trend"]
    source = locate("trend")
    assert source.word == "trend"
    assert source.text == (package / "trend_pack" / "following.py").read_text()
    assert composed("strategy=trend").load().name == "MINE_V1"


def test_a_word_that_stands_for_two_is_refused(folder, monkeypatch):
    other = folder / "other"
    other.mkdir()
    own_file(folder)
    own_file(other)
    monkeypatch.setenv(registry.PATH_VARIABLE, os.pathsep.join((str(folder), str(other))))
    with pytest.raises(UserError, match=r"strategy=mine stands for .*mine\.py and for .*mine\.py"):
        locate("mine")


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_a_link_is_no_second_choice(folder, monkeypatch, linked):
    (folder / "one").mkdir()
    path = own_file(folder / "one")
    if linked == "folder":
        (folder / "two").symlink_to(folder / "one")
    else:
        (folder / "two").mkdir()
        (folder / "two/mine.py").symlink_to(path)
    registry.search_in([str(folder / "two"), str(folder / "one")])
    assert locate("mine").text == path.read_text("utf-8")
    assert choices() == [*BUILT_IN, "mine"]


def test_a_file_takes_no_word_of_a_built_in_strategy(folder):
    own_file(folder, "liquidity_sweep")
    own_file(folder, "null")
    assert choices() == list(BUILT_IN)
    assert composed().text is None


def test_only_the_chosen_file_is_run(folder):
    own_file(folder)
    marker = folder / "broken_was_run"
    source = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n1 / 0\nSTRATEGY = 1\n"
    (folder / "broken.py").write_text(source)
    assert choices() == [*BUILT_IN, "broken", "mine"]
    assert composed("strategy=mine").load().name == "MINE_V1"
    assert not marker.exists()
    with pytest.raises(UserError, match=r"broken\.py, line 3: ZeroDivisionError"):
        composed("strategy=broken")
    assert marker.exists()


def test_it_travels_as_its_text(folder):
    """A worker needs no file: another process, and whoever reads the result a year later."""
    path = own_file(folder)
    strategy = composed("strategy=mine")
    stored = strategy.model_dump(mode="json")
    path.unlink()
    for module in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[module]
    load_strategy.cache_clear()
    for again in (pickle.loads(pickle.dumps(strategy.load())), StrategyConfig(**stored).load()):
        assert again.name == "MINE_V1"
        assert again.parameters == DonchianBreakout.parameters


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("strategy.parameters.entry_channel.kind=exit", "kind is declared by"),
        ("strategy.parameters.entry_channel.integer=false", "integer is declared by"),
        ("~strategy.parameters.exit_channel", "missing: exit_channel, unknown: none"),
    ],
)
def test_what_the_class_declares_cannot_be_changed(word, fault):
    with pytest.raises(UserError, match=fault):
        composed("strategy=donchian_breakout", word).load()


def test_another_text_under_a_stored_name_is_noted(tmp_path, monkeypatch):
    own_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    config, notes = load(["strategy=mine.py", *QUICK], TrainConfig, "train"), []

    stored = SimpleNamespace(id="MINE_V1-1", job_id="a job", config={"strategy": {}})
    stored.config["strategy"]["text"] = config.strategy.text
    repository = SimpleNamespace(
        configurations=SimpleNamespace(
            find=lambda strategy, limit: [stored] if strategy == "MINE_V1" else []
        ),
        jobs=SimpleNamespace(read=lambda job_id: stored),
    )
    for text in (config.strategy.text, config.strategy.text + "# changed\n"):
        strategy = config.strategy.model_copy(update={"text": text})
        changed = config.model_copy(update={"strategy": strategy})
        job.note_another_text(changed, repository, Reporter(note=notes.append))
    assert [note.partition(":")[0] for note in notes] == ["MINE_V1"]
    assert "MINE_V1-1" in notes[0]
