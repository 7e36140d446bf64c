"""The help of a command explains every key and every choice, each in a line or two."""

import itertools
import re

import pytest

from pipeline.cli.help import TAGS, explain_keys
from pipeline.config import (
    CONFIG_DIR,
    BacktestConfig,
    DispatchConfig,
    FetchConfig,
    ServeConfig,
    StorageOnly,
    StoredConfig,
    SweepConfig,
    TrainConfig,
    catalogue,
)
from pipeline.errors import UserError
from support.documents import ROOT

COMMANDS = [
    (TrainConfig, "train"),
    (BacktestConfig, "backtest"),
    (FetchConfig, "fetch"),
    (SweepConfig, "sweep"),
    (ServeConfig, "serve"),
    (DispatchConfig, "dispatch"),
    (StorageOnly, "stored"),
    (StoredConfig, "stored"),
]


@pytest.fixture(scope="module")
def training():
    """What `scripts/train --help` says of its keys."""
    return explain_keys(TrainConfig, "train")


def test_it_is_three_screens(training):
    lines = training.splitlines()
    assert len(lines) <= 120
    assert max(len(line) for line in lines) <= 118


def expanded(word):
    """The words that braces stand for."""
    parts = [part.split(",") for part in re.split(r"[{}]", word)]
    return ["".join(combination) for combination in itertools.product(*parts)]


def test_every_choice_is_named(training):
    words = {word for text in re.split(r"[\s=]", training) for word in expanded(text.rstrip(",:"))}
    assert [p.stem for p in CONFIG_DIR.rglob("*/*.yaml") if p.stem not in words] == []


def keys(values, prefix=""):
    for key, value in values.items():
        if key == "parameters" or not isinstance(value, dict):
            yield f"{prefix}{key}"
        else:
            yield from keys(value, f"{prefix}{key}.")


#: Keys that the program's own files fill, and nobody types.
FILLED = ("market.synthetic",)


@pytest.mark.parametrize(("schema", "command"), COMMANDS)
def test_every_key_has_a_line_with_an_explanation(schema, command):
    text = explain_keys(schema, command)
    lines = [re.match(r" *([\w./@]+)\S*(?: +(.*))?", line) for line in text.splitlines()]
    explained = {line[1].removesuffix(".NAME"): line[2] for line in lines if line}
    values = catalogue.read("", command)
    for key in keys({k: v for k, v in values.items() if k in schema.model_fields}):
        if key.rpartition(".")[2] not in TAGS and key not in FILLED:
            assert explained.get(key) or any(k.startswith(f"{key}.") for k in explained), key


def test_defaults_are_those_of_the_files(training):
    for key, value in (
        ("validation.train", 90),
        ("data.store", "var/candles"),
        ("optimizer.samples", 1000),
        ("risk.max_holding_bars", "null"),
        ("storage.url", "sqlite:///var/trainings.db"),
    ):
        assert re.search(rf"^ *{re.escape(key)}={value} ", training, re.MULTILINE), key


@pytest.mark.parametrize(
    ("schema", "command"), [(TrainConfig, "train"), (BacktestConfig, "backtest")]
)
def test_a_strategy_among_the_words_shows_its_own_parameters(schema, command):
    own = str(ROOT / "pipeline/strategies/template.py")
    for word, name in (("donchian_breakout", "entry_channel"), (own, "channel")):
        text = explain_keys(schema, command, ["market=nowhere", f"strategy={word}"])
        assert f"strategy={word}" in text
        assert re.search(rf"strategy\.parameters\.NAME .*: {name}, ", text)
        assert "pierce_depth" not in text
        assert (f"\nparameters.{name}=???" in text) == (command == "backtest")
    with pytest.raises(UserError):
        explain_keys(schema, command, ["strategy=donchian"])


def test_a_command_names_only_the_choices_that_it_takes():
    fetch = explain_keys(FetchConfig, "fetch")
    assert re.search(r"^data=ccxt ", fetch, re.MULTILINE)
    assert "planted" not in fetch


def test_two_names_of_three_parts_are_not_written_as_one(training):
    assert "{" not in training.split("validation=")[1].split("\n")[0]
