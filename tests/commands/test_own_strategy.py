"""A file in an empty folder is a strategy: every command takes it, or what it stored."""

import json
import shutil
from contextlib import chdir

import numpy as np
import pytest

from gpu_engine import Window, choose, metrics_of
from pipeline import check, explain, monitor, sweep, verify
from pipeline.config import TrainConfig, load
from pipeline.estimate.estimate import estimate
from pipeline.estimate.probe import measure_speed
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.report import __main__ as report
from pipeline.search import Evaluator, single_point
from pipeline.studies import compare
from pipeline.studies.bench.training import Training
from pipeline.studies.calibrate import __main__ as calibrate
from support.runs import ROOT, ask, run_here
from support.stored import command, write
from support.sweeping import TINY, sweep_here, tables

FILE, NAME = "my_trend.py", "MY_TREND_V1"
TRAINED_BARS = 220 * 24
MARKET = ("market=btc_binance_1h", "data=file", "data.path=candles.parquet", "min_trades=3")
QUICK = ("validation.evidence=deciding", "validation.surrogate_count=20")
COMBINATION = {"entry_channel": 50, "exit_channel": 20, "volume_factor": 0.5, "stop_distance": 2.5}
VALUES = tuple(f"parameters.{name}={value}" for name, value in COMBINATION.items())


@pytest.fixture(scope="module")
def candles():
    """Columns of 260 days of hours."""
    raw = synthetic_candles(260, "1h", seed=4)
    return {name: getattr(raw, name) for name in COLUMNS}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, candles):
    """An empty folder, the file, candles, and a training of the one on the other."""
    folder = tmp_path_factory.mktemp("empty")
    text = (ROOT / "pipeline/strategies/donchian_breakout.py").read_text("utf-8")
    (folder / FILE).write_text(text.replace('"DONCHIAN_BREAKOUT"', f'"{NAME}"'), "utf-8")
    write(folder / "candles.parquet", candles, end=TRAINED_BARS)
    finished = run_here(folder, f"strategy={FILE}", *MARKET, *QUICK)
    assert finished.status == 0, finished.err
    return finished


@pytest.fixture
def folder(trained, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(trained.folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def without_file(folder):
    """The folder without the file: what is stored holds its text."""
    (folder / FILE).unlink()
    return folder


def test_train_stores_its_name_and_its_text(trained):
    (configuration,) = trained.configurations
    (job,) = trained.jobs
    assert configuration.strategy == NAME
    assert configuration.id.startswith(NAME)
    assert configuration.parameters.keys() == COMBINATION.keys()
    assert job.config["strategy"]["name"] == "my_trend"
    assert job.config["strategy"]["text"] == (trained.folder / FILE).read_text("utf-8")


def test_backtest_takes_its_parameters(folder, candles):
    words = (f"strategy={FILE}", *MARKET[:-1], *VALUES, "json_file=out.json")
    finished = run_here(folder, *words, command="backtest")
    assert finished.status == 0, finished.err
    content = json.loads((folder / "out.json").read_text("utf-8"))
    assert content["parameters"] == COMBINATION

    config = load([f"strategy={folder / FILE}", *MARKET], TrainConfig, "train")
    space = single_point(config.strategy.load(), COMBINATION)
    raw = synthetic_candles(260, "1h", seed=4).take(np.arange(TRAINED_BARS))
    regular, _ = make_regular(raw, "1h", "candles")
    rules = config.costs.record(), config.risk.limits()
    evaluator = Evaluator(regular, space, *rules, choose("reference").backend)
    point, window = space.point(COMBINATION), Window(0, len(regular))
    trades = evaluator.trades(point, window)
    assert [row["entry_bar"] for row in content["trades"]] == trades["entry_bar"].tolist()
    metrics = metrics_of(trades["ret"], evaluator.daily_returns(point, window))
    assert content["metrics"]["net_profit"] == pytest.approx(metrics["net_profit"], rel=1e-9)


def test_backtest_names_what_is_missing(folder):
    finished = run_here(folder, f"strategy={FILE}", *MARKET[:-1], *VALUES[1:3], command="backtest")
    assert finished.status == 2
    for name in ("entry_channel", "stop_distance"):
        assert f"parameters.{name} must be given: every parameter has one value." in finished.err
    assert "pierce_depth" not in finished.err


def test_the_demo_market_has_an_edge_along_its_signals(folder):
    words = ("market=demo", "market.timeframe=15m", f"strategy={FILE}", *QUICK)
    finished = run_here(folder, *words)
    assert finished.status == 0, finished.err
    newest = finished.configurations[0]
    assert (newest.strategy, newest.synthetic) == (NAME, True)
    assert newest.lifecycle_stage in ("VALIDATION", "MATURE")
    planted = finished.jobs[0].config["data"]["plant"]["parameters"]
    assert list(planted.values()) == [100, 20, 0, 2]  # the middle of the grid, and every volume


def test_check_finds_nothing(folder):
    finished = command(check, folder, FILE, *MARKET)
    assert finished.status == 0, finished.err
    assert NAME in finished.out


def test_compare(folder, capsys):
    with chdir(folder):
        assert compare.main(["candles.parquet", f"strategy={FILE}", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert " grid " in out
    assert " random 200 " in out
    assert " random 1,000 " not in out  # the grid has 320


def test_sweep_beside_a_built_in_one(folder):
    shutil.rmtree(folder / "var")
    words = ("markets=btc_binance_1h,eth_binance_1h", f"strategies=supply_shock,{FILE}", *TINY)
    finished = sweep_here(folder, *words)
    assert finished.status == 0, finished.err
    (row,), markets, *_ = tables(folder)
    assert [market["market"] for market in markets] == [
        "btc_binance_1h supply_shock",
        "btc_binance_1h my_trend",
        "eth_binance_1h supply_shock",
        "eth_binance_1h my_trend",
    ]
    page = command(report, folder, "--sweep", row["id"], "--output", "sweep.html")
    assert page.status == 0, page.err
    assert "binance:ETH/USDT:1h my_trend" in (folder / "sweep.html").read_text("utf-8")


def test_a_folder_of_strategies_makes_it_a_word(folder):
    (folder / "mine").mkdir()
    (folder / FILE).rename(folder / "mine" / FILE)
    words = ("markets=demo", "strategies=my_trend", "strategy_path=mine", *TINY[1:], "seed=5")
    finished = command(sweep, folder, *words)
    assert finished.status == 0, finished.err
    assert tables(folder)[1][0]["status"] == "done"


@pytest.mark.slow
def test_calibrate_beside_a_built_in_one(folder, capsys):
    asked = ["--strategies", f"donchian_breakout,{FILE}", "--timeframes", "1h", "--nulls", "1"]
    asked += ["--planted", "1", "--edges", "3x1", "--out", "out", "data.days=200", "min_trades=3"]
    with chdir(folder):
        assert calibrate.main(asked) == 0
    lines = [json.loads(x) for x in (folder / "out/markets.jsonl").read_text("utf-8").splitlines()]
    by_strategy = {
        name: {(x["kind"], x["seed"]): x["figures"] for x in lines if x["cell"]["strategy"] == name}
        for name in ("donchian_breakout", "my_trend")
    }
    assert by_strategy["my_trend"] == by_strategy["donchian_breakout"]
    assert {kind for kind, _ in by_strategy["my_trend"]} == {"synthetic", "garch_t", "planted"}
    assert "Strategies side by side" in capsys.readouterr().out


def test_estimate_and_bench_time_it(folder):
    with chdir(folder):
        config = load([f"strategy={FILE}", *MARKET], TrainConfig, "train")
        assert estimate(config, measure_speed(config)).combinations == 320
        setting = Training.default([f"strategy={FILE}"]).setting
    assert setting.space.strategy.name == NAME
    assert setting.refined().space.size == 4 * 320  # one filter and one exit


@pytest.mark.parametrize("module", [explain, verify], ids=["explain", "verify"])
def test_what_is_stored_needs_no_file(without_file, module):
    finished = command(module, without_file, "latest", "--json")
    assert finished.status == 0, finished.err
    assert NAME in finished.out


def test_monitor_needs_no_file(without_file, candles):
    write(without_file / "candles.parquet", candles)
    (stored,) = ask(without_file, lambda repository: repository.configurations.find())
    finished = command(monitor, without_file, stored.id, "--json")
    assert finished.status == 0, finished.err
    (outcome,) = json.loads(finished.out)["configurations"]
    assert (outcome["id"], outcome["recorded"], outcome["skipped"]) == (stored.id, True, None)


def test_the_page_needs_no_file(without_file):
    finished = command(report, without_file, "latest", "--output", "page.html")
    assert finished.status == 0, finished.err
    text = (without_file / "page.html").read_text("utf-8")
    assert NAME in text
    assert all(name in text for name in COMBINATION)
