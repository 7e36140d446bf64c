"""What each command says of words that it refuses: the key, what is allowed, what was given.

The sentences stand in `tests/snapshots`, a file a command.
"""

import shlex

import pytest

from pipeline import dispatch, explain, monitor, serve, store, sweep, verify
from pipeline.config import BacktestConfig, FetchConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.report import __main__ as report
from support.snapshots import assert_said, blocks

BTC = "market=btc_binance_5m"
SPLIT = "validation=train_test_split"

COMMANDS = {
    "train": lambda words: load(words, TrainConfig, "train"),
    "backtest": lambda words: load(words, BacktestConfig, "backtest"),
    "fetch": lambda words: load(words, FetchConfig, "fetch"),
    "sweep": sweep.main,
    "serve": serve.main,
    "dispatch": dispatch.main,
    "explain": explain.main,
    "verify": verify.main,
    "monitor": monitor.main,
    "store": store.main,
    "report": report.main,
}
#: A case in parentheses is another test's.
CASES = [(name, case) for name in COMMANDS for case in blocks(name) if not case.startswith("(")]


@pytest.mark.parametrize(("command", "case"), CASES)
def test_refused_words(command, case, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, SystemExit)) as refused:
        COMMANDS[command](shlex.split(case))
    said = str(refused.value) if refused.type is not SystemExit else capsys.readouterr().err
    assert_said(command, case, said.strip())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "days"), [(["data.days=157"], 157), ([SPLIT, "data.days=121"], 121)]
)
def test_just_enough_history(train_config, words, days):
    assert train_config(*words).data.days == days


def test_postgresql_from_the_environment(train_config, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/training")
    assert train_config("storage=postgresql").storage.url == "postgresql://localhost/training"
