"""scripts/bench: what it reports, and that it refuses to time what is wrong. No stopwatch here."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from gpu_engine import choose, numpy_backend
from pipeline.cli.console import Console
from pipeline.studies.bench import __main__ as bench
from pipeline.studies.bench.parity import check_parity
from pipeline.studies.bench.setting import REFINED, repeated
from pipeline.studies.bench.timing import Training, time_grid
from pipeline.training.provenance import describe, peak_memory
from support.coarse import coarse_candles
from support.parameters import LOOKBACK, REJECTION, SIZE, VOLUME

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
NUMPY, NUMBA = (choose(name).backend for name in ("numpy", "numba"))


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
    assert (training.validation.train, training.validation.test) == (90, 30)


def test_refined_grid_has_16_times_the_combinations_between_the_same_ends():
    setting = Training.default().setting
    refined = setting.refined()
    assert refined.space.size == 16 * 201_600
    for before, after in zip(setting.space.dimensions, refined.space.dimensions, strict=True):
        assert (after.choices[0], after.choices[-1]) == (before.choices[0], before.choices[-1])
        twice = 2 if before.parameter.name in REFINED else 1
        assert len(after.choices) == twice * len(before.choices)


def test_repeated_candles_go_on_in_time(candles):
    four = repeated(candles, 4)
    assert len(four) == 4 * len(candles)
    np.testing.assert_array_equal(np.diff(four.timestamp), candles.step_ms)
    np.testing.assert_array_equal(four.close[len(candles) : 2 * len(candles)], candles.close)
    np.testing.assert_array_equal(four.filled[-len(candles) :], candles.filled)


def test_parity_holds_and_counts(setting, candles):
    parity = check_parity(setting, candles, [NUMPY, NUMBA], 20, seed=0)
    assert parity.combinations == 20
    assert parity.trades > 20
    assert parity.disagreements == []


def test_parity_of_more_combinations_than_there_are(setting, candles):
    assert setting.space.size == 576
    assert check_parity(setting, candles, [], 10**6, seed=0).combinations == 576


def test_stages_add_up_to_the_total(setting, candles):
    seconds = time_grid(setting, candles, NUMPY, repeats=1)
    assert min(seconds) > 0
    assert seconds.total == pytest.approx(seconds.events + seconds.outcomes + seconds.walk)


def test_report(training, candles, capsys):
    history = bench.History(candles, "5m", "random candles", synthetic=True)
    parity = check_parity(training.setting, candles, [NUMBA], 5, seed=0)
    report = bench.measure(training, history, [NUMBA], parity, Console())
    assert json.loads(json.dumps(report)) == report
    assert report.keys() == {
        "machine",
        "candles",
        "combinations",
        "parity",
        "backends",
        "growth",
        "walk_forward",
    }
    assert report["combinations"] == 576
    assert report["candles"]["synthetic"] is True
    assert report["candles"]["sha256"] == candles.sha256
    assert report["parity"]["combinations"] == 5
    measured = report["backends"]["numba"]
    assert measured["seconds"].keys() == {"events", "outcomes", "walk", "total"}
    rate = 576 / measured["seconds"]["total"]
    assert measured["combinations_per_second"] == pytest.approx(rate)
    assert measured["bar_combinations_per_second"] == pytest.approx(rate * len(candles))
    assert 1e7 < measured["peak_bytes"] < 1e9
    sizes = [(g["bars"], g["combinations"]) for g in report["growth"]["grids"].values()]
    assert sizes == [(1728, 576), (4 * 1728, 576), (1728, 16 * 576)]
    assert report["walk_forward"]["grid"]["evaluations"] >= 3 * 576
    assert 15 <= report["walk_forward"]["bayesian"]["evaluations"] < 30

    bench.print_report(Console(), report)
    printed = capsys.readouterr().out
    assert "no disagreement" in printed
    assert "576 combinations" in printed
    assert "0.4" in printed  # the target beside the time


def test_json_is_one_object(file, training, capsys, monkeypatch):
    monkeypatch.setattr(Training, "default", lambda: training)
    assert bench.main(["--data", file, "--backend", "numpy", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["candles"]["source"] == "candles.parquet"
    assert report["candles"]["timeframe"] == "5m"
    assert report["parity"]["combinations"] == 200


def test_short_history_has_no_walk_forward(training, candles):
    report = bench.measure(
        training,
        bench.History(candles.cut(0, 500), "5m", "random candles", synthetic=True),
        [NUMPY],
        check_parity(training.setting, candles, [], 1, seed=0),
        Console(),
    )
    assert report["walk_forward"] == {"grid": None, "bayesian": None}


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
