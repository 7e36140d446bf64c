"""An objective in a file of one's own ranks as a named one does, and travels as its text."""

import json

import numpy as np
import pytest

from gpu_engine import METRICS, ScoreRule, scores_of
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.search.objective import OwnObjective, own_objective
from pipeline.training.provenance import config_hash
from support.runs import QUICK, SMALL_GRID, run_here

#: Evidence of few searches: it takes most of the time.
FEW = ("validation.surrogate_count=20",)
SAME = "def score(metrics):\n    return metrics['sharpe_ratio'].copy()\n"
#: Enough to have the text sent to another process.
ONE_WORKER = ("executor=processes", "executor.workers=1")
#: What tells apart two runs that found the same.
NAMED = ("objective", "configuration_id", "job_id", "timings", "provenance")


@pytest.fixture
def objective(tmp_path):
    """Write a file, and return the word that chooses it."""

    def write(text, name="mine"):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return f"objective={path}"

    return write


def configured(*words):
    return load([*QUICK, *words], TrainConfig, "train")


@pytest.mark.parametrize(
    "search",
    [
        ("optimizer=grid", *SMALL_GRID),
        pytest.param(
            ("optimizer=grid", "selection=peak", *ONE_WORKER, *SMALL_GRID), marks=pytest.mark.slow
        ),
        ("optimizer=grid", "backend=numpy", *SMALL_GRID),
        ("optimizer=random", "optimizer.samples=50", *SMALL_GRID[1:5]),  # few tables of events
        ("optimizer=bayesian", "optimizer.trials=20", "optimizer.batch=10", "space=continuous"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_file_that_returns_a_metric_finds_what_the_metric_finds(
    tmp_path_factory, objective, search
):
    runs = [
        run_here(tmp_path_factory.mktemp("run"), *QUICK, *search, *FEW, word)
        for word in (objective(SAME), "objective=sharpe_ratio")
    ]
    assert [run.status for run in runs] == [0, 0]
    own, named = ({k: v for k, v in run.result.items() if k not in NAMED} for run in runs)
    assert own == named
    assert [run.result["objective"] for run in runs] == ["mine", "sharpe_ratio"]


def test_the_configuration_carries_the_text(objective):
    config = configured(objective(SAME))
    stored = json.loads(config.model_dump_json())
    assert (stored["objective"], stored["objective_text"]) == ("mine", SAME)
    assert "objective_file" not in stored
    again = TrainConfig.model_validate_json(config.model_dump_json())
    assert own_objective(again) == OwnObjective(SAME, "mine.py")
    assert config_hash(again) == config_hash(config)
    assert config_hash(configured(objective(SAME + "#"))) != config_hash(config)


def test_a_named_objective_has_no_text():
    config = configured()
    assert own_objective(config) is None
    assert not [key for key in config.model_dump(mode="json") if key.startswith("objective_")]


def test_trades_too_few_nan_and_minus_infinity_are_inadmissible():
    metrics = np.zeros(4, METRICS)
    metrics["sample_size"] = [3, 10, 10, 10]
    metrics["net_profit"] = [9.0, 1.0, np.nan, -np.inf]
    own = OwnObjective("def score(metrics):\n    return 2 * metrics['net_profit']\n", "mine.py")
    scores = scores_of(metrics.reshape(2, 2), ScoreRule("mine", 10, own))
    np.testing.assert_array_equal(scores, [[np.nan, 2.0], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("return metrics['profit']", r"mine\.py, line 3: ValueError: no field of name profit"),
        ("return 1.0", "must return a float64 array of shape .* given: float"),
        ("return metrics['net_profit'][:-1]", "given: ndarray of shape"),
        ("return metrics['sample_size']", r"given: int64: write \.astype\(np\.float64\)"),
        ("metrics['net_profit'] = 0", "line 3: what it is handed cannot be written to"),
        ("return np.random.rand(len(metrics))", "must score each combination by its own"),
        ("return metrics['net_profit'] - metrics['net_profit'].max()", "by its own metrics"),
        ("return metrics['net_profit'] * (np.arange(len(metrics)) % 2)", "by its own metrics"),
        ("import os, sys; sys.exit(3)", "mine.py, line 3: SystemExit: 3"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path_factory, objective, body, fault):
    word = objective(f"import numpy as np\ndef score(metrics):\n    {body}\n")
    finished = run_here(tmp_path_factory.mktemp("run"), *QUICK, *SMALL_GRID, word)
    assert finished.status == 2
    assert "Traceback" not in finished.err
    with pytest.raises(UserError, match=fault):
        raise UserError(finished.err)


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        (SAME, "net_profit", "net_profit is a metric: call the file otherwise"),
        ("x = 1\n", "mine", r"must define score\(metrics\)"),
        ("def score(metrics:\n", "mine", "line 1: this is no Python"),
    ],
)
def test_a_file_that_is_no_objective_is_refused(objective, text, name, fault):
    with pytest.raises(UserError, match=fault):
        own_objective(configured(objective(text, name)))(np.zeros(1, METRICS))


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"nowhere\.py cannot be read: No such file"):
        configured("objective=nowhere.py")
