"""`scripts/backtest`: one combination, its metrics and its trades."""

import json
import re

import pytest

from gpu_engine import METRICS, REASONS, TRADE, Window, choose, metrics_of
from pipeline.config import BacktestConfig, load
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.registry import load_strategy
from pipeline.training.candles import load_candles
from support.leaks import LEAKS, text
from support.parameters import (
    DENSITY,
    DEPTH,
    LOOKBACK,
    REJECTION,
    SIZE,
    SPREAD,
    STOP,
    TARGET,
    VOLUME,
)
from support.runs import run, run_here

MARKET = ("market=demo_null", "market.timeframe=1h", "data.days=200")
VALUES = {
    DEPTH: 0.0005,
    REJECTION: 4,
    VOLUME: 1.5,
    SIZE: 0.5,
    LOOKBACK: 100,
    STOP: 1.0,
    TARGET: 2.0,
}
COMBINATION = tuple(f"parameters.{name}={value}" for name, value in VALUES.items())


@pytest.fixture(scope="module")
def backtest(tmp_path_factory):
    """The command with a JSON file, as a process."""
    folder = tmp_path_factory.mktemp("backtest")
    arguments = (*MARKET, *COMBINATION, "json_file=out.json")
    return run(folder, *arguments, module="pipeline.backtest")


@pytest.fixture(scope="module")
def content(backtest):
    return json.loads((backtest.folder / "out.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def expected():
    """Candles, metrics and trades by the reference path."""
    config = load([*MARKET, *COMBINATION], BacktestConfig, "backtest")
    strategy, backend = load_strategy("liquidity_sweep"), choose("reference").backend
    candles = load_candles(config.market, config.data, strategy, backend, lambda n: None).candles
    space = single_point(strategy, config.parameters)
    costs, limits = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(candles, space, costs, limits, backend)
    point, window = space.point(config.parameters), Window(0, len(candles))
    daily = evaluator.daily_returns(point, window)
    trades = evaluator.trades(point, window)
    return candles, metrics_of(trades["ret"], daily), trades


def test_it_ends_well_and_says_synthetic(backtest):
    assert backtest.status == 0
    assert backtest.out.startswith("SYNTHETIC candles: ")
    assert "Metrics and trades: out.json\n" in backtest.out
    assert re.fullmatch(r"backend: \w+ \(auto: .*\)\n", backtest.err)


def test_the_metrics_are_the_engines(content, expected):
    _, metrics, _ = expected
    assert content["metrics"].keys() == set(METRICS.names)
    for name in METRICS.names:
        assert content["metrics"][name] == pytest.approx(metrics[name], rel=1e-9), name
    assert content["metrics"]["sample_size"] > 20


def test_the_trades_are_the_engines(content, expected):
    candles, _, trades = expected
    assert len(content["trades"]) == len(trades)
    for row, trade in zip(content["trades"], trades, strict=True):
        assert row.keys() == {*TRADE.names, "entry_time", "exit_time"}
        for name in ("side", "setup_bar", "signal_bar", "entry_bar", "exit_bar"):
            assert row[name] == trade[name]
        for name in ("entry", "exit", "ret"):
            assert row[name] == pytest.approx(trade[name], rel=1e-12)
        assert row["reason"] == REASONS[trade["reason"]]
        assert row["entry_time"] == candles.timestamp[trade["entry_bar"]]
        assert row["exit_time"] == candles.timestamp[trade["exit_bar"]]


def test_the_file_names_market_candles_and_parameters(content, expected):
    assert content["market"] == "synthetic:NOEDGE/USDT:1h"
    assert content["synthetic"] is True
    assert content["data_hash"] == expected[0].sha256
    off = {DENSITY: 0.5, SPREAD: None}
    assert content["parameters"] == VALUES | off


def test_the_screen_shows_the_metrics_and_the_last_trades(backtest, content):
    number = len(content["trades"])
    assert f"20 trades (the last of {number}; trades=null: all)" in backtest.out
    profit = f"{content['metrics']['net_profit']:.6g}"
    assert re.search(rf"net_profit +│ +{re.escape(profit)} │", backtest.out)
    assert len(re.findall(r"│ +(?:long|short) │", backtest.out)) == 20


@pytest.mark.parametrize(("asked", "shown"), [("trades=null", None), ("trades=3", 3)])
def test_how_many_trades_are_shown_is_asked_for(here, content, asked, shown):
    finished = here(*MARKET, *COMBINATION, asked, command="backtest")
    assert finished.status == 0
    number = len(content["trades"])
    assert f"\n{shown or number} trades" in finished.out
    assert len(re.findall(r"│ +(?:long|short) │", finished.out)) == (shown or number)


def test_one_direction_can_be_asked_for(here):
    finished = here(*MARKET, *COMBINATION, "risk.direction=long", "trades=null", command="backtest")
    assert set(re.findall(r"│ +(long|short) │", finished.out)) == {"long"}


def test_nothing_is_stored(backtest):
    assert not (backtest.folder / "var/trainings.db").exists()
    assert backtest.artifacts == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            (*COMBINATION, "json_file=no/such/folder.json"),
            "json_file=no/such/folder.json cannot be",
        ),
        ((*COMBINATION, "backend=cuda"), "backend 'cuda' cannot run"),
    ],
)
def test_a_mistake_is_named(here, arguments, sentence):
    finished = here(*MARKET, *arguments, command="backtest")
    assert finished.status == 2
    assert sentence in finished.err
    assert "Traceback" not in finished.err


def test_a_combination_off_the_grid_can_be_asked_for(tmp_path):
    arguments = [*COMBINATION, f"parameters.{SPREAD}=5", "json_file=out.json"]
    arguments[0] = f"parameters.{DEPTH}=0.00123"
    finished = run_here(tmp_path, *MARKET, *arguments, command="backtest")
    assert finished.status == 0
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))["parameters"]
    assert (stored[DEPTH], stored[SPREAD]) == (0.00123, 5)


@pytest.mark.parametrize(("leak", "status"), [("", 0), (LEAKS["only the stop"], 2)])
def test_a_strategy_that_looks_ahead_shows_no_profit(leak, status, tmp_path):
    (tmp_path / "mine.py").write_text(text(leak))
    values = {"window": 20, "strength": 1.5, "stop_distance": 1.0, "target_multiple": 2.0}
    words = (f"parameters.{name}={value}" for name, value in values.items())
    finished = run_here(tmp_path, *MARKET, "strategy=mine.py", *words, command="backtest")
    assert finished.status == status
    assert ("looks ahead" in finished.err) == (status == 2)
    assert ("net_profit" in finished.out) == (status == 0)
