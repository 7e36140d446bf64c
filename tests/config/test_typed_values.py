"""Values that a person types in place of a parameter's group of keys, in words and in files."""

import pytest

from pipeline.config import BacktestConfig, TrainConfig, load
from pipeline.config.settings import quoted
from pipeline.errors import UserError

STOP = "strategy.parameters.stop_distance"


@pytest.fixture
def values(train_config):
    def read(word):
        parameters = train_config(f"strategy.parameters.{word}").strategy.parameters
        values = parameters[word.partition("=")[0]]
        return values.grid, values.low, values.high

    return read


@pytest.mark.parametrize(
    ("word", "grid", "low", "high"),
    [
        ("stop_distance=[1,2,3]", (1, 2, 3), None, None),
        ("stop_distance=[2]", (2,), None, None),
        ("stop_distance=1:3:0.5", (1, 1.5, 2, 2.5, 3), 1, 3),
        ("stop_distance=0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5), 0.1, 0.5),
        ("stop_distance=1e-1:3e-1:1e-1", (0.1, 0.2, 0.3), 0.1, 0.3),
        ("stop_distance=1:3", (1, 1.5, 2), 1, 3),
        ("stop_distance=0.7:1", (1,), 0.7, 1),
        ("stop_distance=2.5", (2.5,), None, None),
        ("stop_distance='1:2:0.5'", (1, 1.5, 2), 1, 2),
        ("key_level_lookback=20:100:40", (20, 60, 100), 20, 100),
        ("key_level_lookback=30:160", (50, 100, 150), 30, 160),
        ("key_level_lookback=77", (77,), None, None),
        ("max_spread_tolerance=null", (None,), None, None),
        ("max_spread_tolerance=[null,2,5]", (None, 2, 5), None, None),
        ("max_spread_tolerance=off", (None,), None, None),
        ("max_spread_tolerance=[off,2,5]", (None, 2, 5), None, None),
        ("max_spread_tolerance=3", (3,), None, None),
    ],
)
def test_what_may_be_typed(values, word, grid, low, high):
    assert values(word) == (grid, low, high)


def test_off_is_null_in_a_backtest_and_in_a_plant():
    values = {"pierce_depth": 0.001, "rejection_candles": 4, "volume_spike_threshold": 1.5}
    values |= {"reversal_candle_size": 0.5, "key_level_lookback": 100, "stop_distance": 1}
    values |= {"target_multiple": 2, "max_spread_tolerance": "off"}
    words = [f"parameters.{name}={value}" for name, value in values.items()]
    plant = "data.plant.parameters.max_spread_tolerance"
    config = load([*words, f"{plant}=off"], BacktestConfig, "backtest")
    assert config == load([*words, f"{plant}=null"], BacktestConfig, "backtest")
    assert config.parameters["max_spread_tolerance"] is None
    assert config.data.plant.parameters["max_spread_tolerance"] is None


def test_whole_numbers_stay_whole(values):
    grid, low, high = values("key_level_lookback=20:100:40")
    assert {type(value) for value in (*grid, low, high)} == {int}
    grid, low, high = values("stop_distance=1:3:1")
    assert {type(value) for value in (*grid, low, high)} == {float}


@pytest.mark.parametrize(
    ("word", "value", "allowed"),
    [
        ("stop_distance=1:2:0.3", "1:2:0.3", "1.9 and 2.2"),
        ("stop_distance=3:1", "3:1", "below its end"),
        ("stop_distance=2:2", "2:2", "below its end"),
        ("stop_distance=1:3:0", "1:3:0", "above 0"),
        ("stop_distance=1:3:-1", "1:3:-1", "above 0"),
        ("stop_distance=0:1:1e-9", "0:1:1e-9", "10,000 steps"),
        ("stop_distance=3:7", "3:7", "3:7:1"),
        ("stop_distance=1:2:3:4", "1:2:3:4", "[1,2,3]"),
        ("stop_distance=wide", "wide", "[1,2,3]"),
        ("stop_distance=nan:2", "nan:2", "[1,2,3]"),
        ("stop_distance=[1,wide]", "[1,wide]", "[1,2,3]"),
        ("stop_distance=[1:3]", "[1:3]", "[1,2,3]"),
        ("stop_distance=[[1,2]]", "[[1, 2]]", "[1,2,3]"),
        ("stop_distance=[]", "[]", "empty"),
        ("stop_distance=[2,1]", "[2.0, 1.0]", "ascend"),
        ("stop_distance=-1", "-1", "above 0"),
        ("stop_distance=null", "null", "cannot be switched off"),
        ("stop_distance=off", "null", "cannot be switched off"),
        ("stop_distance=true", "true", "number"),
        ("key_level_lookback=20.5", "20.5", "whole number"),
        ("key_level_lookback=5.5:6", "5.5:6", "whole number"),
        ("key_level_lookback=20:30:2.5", "22.5", "whole number"),
    ],
)
def test_a_refusal_names_the_parameter_what_is_allowed_and_what_was_typed(
    values, word, value, allowed
):
    with pytest.raises(UserError) as refusal:
        values(word)
    for part in (f"strategy.parameters.{word.partition('=')[0]}", value, allowed):
        assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "word",
    [
        *(f"key_level_lookback={ends}" for ends in ("5:6", "8:15", "201:212", "300:90000")),
        *(f"stop_distance={ends}" for ends in ("3:7", "2.1:2.2", "1e-9:2e-9", "1000:1e6")),
    ],
)
def test_the_step_that_a_refusal_shows_can_be_typed(values, word):
    with pytest.raises(UserError, match="must have a step, as in ") as refusal:
        values(word)
    advice = str(refusal.value).partition("as in ")[2].partition(": no")[0]
    grid, low, high = values(f"{word.partition('=')[0]}={advice}")
    assert (grid[0], grid[-1]) == (low, high)


def test_quotes_around_one_value_of_a_list_do_not_matter(values):
    assert values('stop_distance=[1,"2"]') == values("stop_distance=[1,2]")


def test_an_unknown_parameter_is_none_however_it_is_typed(train_config):
    for value in ("3", "[1,2]", "1:3:1"):
        with pytest.raises(UserError, match=r"stop_distanc is not a key.*stop_distance"):
            train_config(f"strategy.parameters.stop_distanc={value}")


def test_only_lists_of_parameters_are_put_into_quotes():
    words = ["seed=1", f"{STOP}.grid=[1,2]", f"{STOP}=1:2", f"{STOP}=1,2", "backend.devices=[0]"]
    assert quoted(words) == words
    assert quoted([f"{STOP}=[null, 2]"]) == [f"{STOP}='[null,2]'"]
    assert quoted([f"{STOP}=[1,2],1:2,3"]) == [f"{STOP}='[1,2]',1\\:2,3"]


def test_what_cannot_be_read_at_all_is_refused_by_the_word(train_config):
    with pytest.raises(UserError, match=r"stop_distance=\[\[1\]"):
        train_config(f"{STOP}=[[1]")


FILE = """\
# @package _global_
seed: 7
strategy:
  parameters:
    stop_distance: [1, 2]
    target_multiple: 2:4:0.5
    key_level_lookback: 20:59
    pierce_depth: 0.001
    max_spread_tolerance: [off, 5]
    volume_spike_threshold:
      grid: [2, 3]
"""


@pytest.fixture
def settings_folder(tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(FILE)
    return tmp_path


def test_a_settings_file_types_them_too(settings_folder):
    words = ["+experiment=mine", "hydra.searchpath=[file://conf]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(settings_folder)
        config = load(words, TrainConfig, "train")
    read = {n: (p.grid, p.low, p.high) for n, p in config.strategy.parameters.items()}
    assert config.seed == 7
    assert read["stop_distance"] == ((1, 2), None, None)
    assert read["target_multiple"] == ((2, 2.5, 3, 3.5, 4), 2, 4)
    assert read["key_level_lookback"] == ((20, 50), 20, 59)  # YAML alone reads 1259 seconds
    assert read["pierce_depth"] == ((0.001,), None, None)
    assert read["max_spread_tolerance"] == ((None, 5), None, None)
    assert read["volume_spike_threshold"] == ((2, 3), 1.5, 5)
