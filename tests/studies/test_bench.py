"""scripts/bench: what it reports, and that it refuses to time what is wrong. No stopwatch here."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from gpu_engine import numpy_backend
from pipeline.studies.bench import __main__ as bench
from pipeline.studies.bench.parity import check_parity
from pipeline.studies.bench.setting import repeated
from pipeline.studies.bench.training import Training
from pipeline.training.provenance import describe, peak_memory
from support.backends import named
from support.coarse import coarse_candles
from support.parameters import DEPTH, LOOKBACK, REJECTION, SIZE, STOP, TARGET, VOLUME

SMALL = (
    f"strategy.parameters.{LOOKBACK}.grid=[20,50]",
    f"strategy.parameters.{SIZE}.grid=[0.5]",
    f"strategy.parameters.{VOLUME}.grid=[1.5,2]",
    f"strategy.parameters.{REJECTION}.grid=[3]",
    "optimizer.trials=5",
    "optimizer.batch=5",
    "validation.train=2",
    "validation.gap=1",
    "validation.test=1",
)


@pytest.fixture(scope="module")
def candles():
    return coarse_candles(np.random.default_rng(0), 288 * 6)


@pytest.fixture(scope="module")
def training():
    return Training.default(SMALL)


@pytest.fixture(scope="module")
def setting(training):
    return training.setting


@pytest.fixture
def file(tmp_path, candles):
    columns = ("timestamp", "open", "high", "low", "close", "volume")
    table = pa.table({name: getattr(candles, name) for name in columns})
    pyarrow.parquet.write_table(table, tmp_path / "candles.parquet")
    return str(tmp_path / "candles.parquet")


def test_setting_is_the_default_grid():
    training = Training.default()
    assert training.setting.space.size == 201_600
    assert (training.search.budget, training.search.method) == (200, "bayesian")


def test_refined_grid_has_16_times_the_combinations_between_the_same_ends():
    setting = Training.default().setting
    refined = setting.refined()
    assert refined.space.size == 16 * 201_600
    for before, after in zip(setting.space.dimensions, refined.space.dimensions, strict=True):
        assert (after.choices[0], after.choices[-1]) == (before.choices[0], before.choices[-1])
        twice = 2 if before.parameter.name in (DEPTH, VOLUME, STOP, TARGET) else 1
        assert len(after.choices) == twice * len(before.choices)


def test_repeated_candles_go_on_in_time(candles):
    four = repeated(candles, 4)
    assert len(four) == 4 * len(candles)
    np.testing.assert_array_equal(np.diff(four.timestamp), candles.step_ms)
    np.testing.assert_array_equal(four.close[len(candles) : 2 * len(candles)], candles.close)
    np.testing.assert_array_equal(four.filled[-len(candles) :], candles.filled)


def test_parity_holds_and_counts(setting, candles):
    parity = check_parity(setting, candles, [named("numpy"), named("numba")], 20)
    assert parity.combinations == 20
    assert parity.trades > 20
    assert parity.disagreements == []


def test_parity_of_more_combinations_than_there_are(setting, candles):
    assert setting.space.size == 576
    assert check_parity(setting, candles, [], 10**6).combinations == 576


@pytest.fixture
def untimed(training, monkeypatch):
    """All of the command but the processes that are timed."""
    monkeypatch.setattr(Training, "default", lambda overrides: training)
    measured = []

    def measure_trees(candles, other, words, overrides, tasks, console):
        measured.append((len(candles), other, words, [task.name for task in tasks]))
        cell = {"medians": [0.25], "range": [0.2, 0.3]}
        return {"trees": ["here"], "rows": [{"what": "grid", "runs": 1, "amount": cell}]}

    monkeypatch.setattr(bench, "measure_trees", measure_trees)
    return measured


def test_json_is_one_object(file, untimed, capsys):
    assert bench.main(["--data", file, "--backend", "numpy", "--json", "--only", "grid"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["source"] == "candles.parquet"
    assert (report["timeframe"], report["bars"]) == ("5m", 1728)
    assert report["machine"]["numpy"] == np.__version__
    assert report["parity"]["combinations"] == 200
    words = ("market=btc_binance_5m", "data=file", f"data.path={file}")
    assert untimed == [(1728, None, words, ["grid"])]


def test_a_person_reads_a_table(file, untimed, capsys):
    assert bench.main(["--data", file, "--backend", "numba"]) == 0
    printed = capsys.readouterr().out
    assert "no disagreement" in printed
    assert "0.25 (0.2-0.3)" in printed


@pytest.fixture
def wrong_profit(monkeypatch):
    """NumPy's backend, off by a millionth of the capital."""
    right = numpy_backend.evaluate

    def evaluate(*arguments):
        metrics = right(*arguments)
        metrics["net_profit"] += 1e-6
        return metrics

    monkeypatch.setattr(numpy_backend, "evaluate", evaluate)


@pytest.mark.usefixtures("wrong_profit")
def test_a_backend_that_disagrees_is_not_timed(file, capsys, monkeypatch):
    monkeypatch.setattr(bench, "PARITY_SAMPLE", 3)
    assert bench.main(["--data", file, "--backend", "numpy"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    named = [line for line in printed.err.splitlines() if "metrics.net_profit" in line]
    assert len(named) == 3
    assert all(line.startswith("numpy, combination ") for line in named)
    assert "nothing was timed" in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "none.parquet"], "none.parquet does not exist"),
        (["--backend", "nunba"], "Did you mean 'numba'?"),
        (["--backend", "reference"], "is not timed"),
        (["--runs", "0"], "--runs must be 1 or more"),
    ],
)
def test_a_mistake_is_a_sentence(arguments, said, capsys, file):
    given = arguments if "--data" in arguments else [*arguments, "--data", file]
    assert bench.main(given) == 2
    assert said in capsys.readouterr().err


def test_machine():
    machine = describe()
    assert machine["cores"] >= 1
    assert machine["numpy"] == np.__version__
    assert 1e7 < peak_memory() < 1e11
