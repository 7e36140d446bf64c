"""Trees that are timed: what differs is counted first, and each tree answers for itself."""

import json

import numpy as np
import pytest

from gpu_engine import METRICS
from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.studies.bench import __main__ as bench
from pipeline.studies.bench import report
from pipeline.studies.bench.changes import compare_metrics, compare_trades
from pipeline.studies.bench.side import Side, imported
from pipeline.studies.bench.trees import (
    HERE,
    NAMES,
    TASKS,
    Row,
    Run,
    Task,
    Tree,
    measure_trees,
    tasks_of,
)
from support.coarse import coarse_candles

TASK = Task("events", "event tables", 1, "events", "numba")


def metrics_of(**columns):
    result = np.zeros(4, METRICS)
    for name, values in columns.items():
        result[name] = values
    return {change.metric: change for change in compare_metrics(np.zeros(4, METRICS), result)}


def test_metrics_are_compared_one_by_one():
    changes = metrics_of(net_profit=[0.0, 0.5, np.nan, 1e-300])
    assert changes["net_profit"][1:] == (2, 1, 0, 1.0)
    assert changes["sharpe_ratio"][1:] == (0, 0, 0, 0.0)
    assert len(changes) == len(METRICS.names)


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        (1.0, 1.0 + 1e-12, (0, 0, 0)),
        (1.0, 1.0 + 1e-6, (1, 0, 0)),
        (np.inf, np.inf, (0, 0, 0)),
        (np.inf, -np.inf, (1, 0, 0)),
        (np.inf, 1.0, (1, 0, 0)),
        (np.nan, np.nan, (0, 0, 0)),
        (np.inf, np.nan, (0, 1, 0)),
        (np.nan, 2.0, (0, 0, 1)),
    ],
)
def test_another_order_of_the_same_sums_is_no_difference(there, here, expected):
    old, new = np.zeros(1, METRICS), np.zeros(1, METRICS)
    old["sortino_ratio"], new["sortino_ratio"] = there, here
    change = next(c for c in compare_metrics(old, new) if c.metric == "sortino_ratio")
    assert change[1:4] == expected


def trades(*rows):
    names = ("of", "entry_bar", "side", "exit_bar", "exit", "reason")
    return {n: np.array(values) for n, values in zip(names, zip(*rows, strict=True), strict=True)}


def test_trades_are_joined_by_combination_entry_and_side():
    there = trades(
        (7, 10, 1, 10, 99.0, "stop"),
        (7, 20, 1, 25, 110.0, "target_gap"),
        (7, 30, -1, 31, 90.0, "target"),
        (8, 10, 1, 12, 99.0, "stop"),
    )
    here = trades(
        (7, 10, 1, 10, 98.0, "stop"),
        (7, 20, 1, 25, 108.0, "target_gap"),
        (7, 30, -1, 31, 90.0, "target"),
        (8, 11, 1, 12, 99.0, "stop"),
    )
    changes = compare_trades(there, here)
    assert changes.changed == {"stop in the entry bar": 1, "target_gap": 1}
    assert (changes.combinations, changes.shared) == (2, 3)
    assert (changes.only_there, changes.only_here) == (1, 1)


def test_ratios_are_of_neighbours():
    """The machine slowed down between the two pairs: the ratio of both is 2."""
    figures = Row(TASK, [(Run(2.0, 4.0), Run(1.0, 1.0)), (Run(20.0, 8.0), Run(10.0, 1.0))])
    assert figures.figures()["amount"] == {
        "medians": [11.0, 5.5],
        "range": [1.0, 10.0],
        "ratio": 2.0,
        "ratios": [2.0, 2.0],
    }
    assert figures.figures()["cpu"]["ratios"] == [4.0, 8.0]


def test_memory_has_no_cpu_seconds():
    figures = Row(TASK, [(Run(200.0, 0.0), Run(100.0, 0.0))]).figures()
    assert figures["amount"]["ratio"] == 2.0
    assert "cpu" not in figures


def test_one_tree_has_no_ratio():
    figures = Row(TASK, [(Run(3.0, 1.0),), (Run(1.0, 1.0),), (Run(2.0, 1.0),)]).figures()
    assert figures["amount"] == {"medians": [2.0], "range": [1.0, 3.0]}


def test_tasks_of_a_backend():
    """Those of NumPy where there are any; else those of Numba, on the other backend."""
    names = {task.name for task in tasks_of(NAMES, "numpy", None)}
    of_numpy = {"numpy", "events_numpy", "walk_numpy", "memory_numpy"}
    assert names == of_numpy | {"train_grid", "train_bayesian"}
    cuda = tasks_of(("grid", "numpy", "walk"), "cuda", 2)
    assert [(task.name, task.backend, task.runs) for task in cuda] == [
        ("grid", "cuda", 2),
        ("walk", "cuda", 2),
    ]
    assert tasks_of(NAMES, None, None) == list(TASKS)


@pytest.fixture(scope="module")
def candles():
    return coarse_candles(np.random.default_rng(0), 288 * 6)


@pytest.fixture(scope="module")
def beside_itself(candles):
    tasks = tasks_of(("grid", "memory"), None, 1)
    return measure_trees(candles, HERE, (), (), tasks, Console())


@pytest.mark.slow
def test_a_tree_beside_itself_has_no_changes(beside_itself):
    changes = beside_itself["changes"]
    assert changes["combinations"] == 201_600
    assert all(m["differing"] == m["only_there"] == m["only_here"] == 0 for m in changes["metrics"])
    assert changes["trades"]["shared"] > 0
    assert changes["trades"]["changed"] == {}
    assert changes["best_there"] == changes["best_here"]


@pytest.mark.slow
def test_every_task_that_is_asked_for_is_measured(beside_itself):
    assert json.dumps(beside_itself)
    grid, memory = beside_itself["rows"]
    assert min(grid["amount"]["medians"]) > 0
    assert min(grid["cpu"]["medians"]) > 0
    assert 10 < memory["amount"]["medians"][1] < 1000


@pytest.mark.slow
def test_what_differs_is_printed_before_the_times(beside_itself, capsys):
    measured = {"source": "candles", "bars": 1728, "timeframe": "5m", **beside_itself}
    report.print_report(Console(), measured)
    printed = capsys.readouterr().out
    assert printed.index("11 of 11 metrics") < printed.index("grid, numba")


def test_a_history_too_short_to_train_on_is_passed_over(candles, capsys):
    tasks = tasks_of(("train_grid",), None, 1)
    measured = measure_trees(candles, None, ("market=no_such_market",), (), tasks, Console())
    assert measured["rows"] == []
    assert "no_such_market" in capsys.readouterr().err


def test_every_task_has_work():
    assert all(hasattr(Side, f"_{task.task}") for task in TASKS if task.task)


def test_a_name_that_moved_is_found_in_its_former_place():
    assert imported("json.nowhere:dumps", "json:dumps") is json.dumps
    with pytest.raises(ImportError, match=r"json\.nowhere:dumps, json:nothing"):
        imported("json.nowhere:dumps", "json:nothing")


def test_a_folder_that_is_no_tree_is_a_sentence(tmp_path, capsys):
    assert bench.main(["--against", str(tmp_path)]) == 2
    assert "no folder gpu_engine and no folder pipeline" in capsys.readouterr().err


def test_a_command_that_fails_says_what_it_said(tmp_path):
    with pytest.raises(UserError, match="no_such_market"):
        Tree(HERE).train(("market=no_such_market",), tmp_path)
