"""A seed has one result, whatever computes it and however the work is cut."""

import functools

import numpy as np
import pytest

from support.parameters import LOOKBACK, REJECTION
from support.runs import SMALL_GRID, run_here

#: Two windows and the final search, in a moment: they train on days 0 to 90, 20 to 120, 60 to 160.
SHORT = (
    "market=demo_null",
    "market.timeframe=1h",
    "data.days=160",
    "min_trades=3",
    "validation.max_train=100",
    "validation.surrogate_count=20",
)
#: What tells two equal runs apart.
IDENTITY = ("configuration_id", "job_id", "timings")
#: Two tables of events instead of one for each draw, over thousands of thresholds and exits.
TWO_TABLES = tuple(word for word in SMALL_GRID if LOOKBACK in word or REJECTION in word)
OPTIMIZERS = {
    "grid": ("optimizer=grid", *SMALL_GRID),
    "random": ("optimizer=random", "optimizer.samples=20", *TWO_TABLES),
    "bayesian": ("optimizer=bayesian", "optimizer.trials=20", "optimizer.batch=5", *TWO_TABLES),
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """`result.json` of a run, less what no two runs share."""

    def fresh(*arguments):
        finished = run_here(tmp_path_factory.mktemp("run"), *SHORT, *arguments)
        assert finished.status == 0
        return {k: v for k, v in finished.result.items() if k not in IDENTITY}

    return fresh


@pytest.fixture(scope="module")
def known(fresh):
    """The same, run only once for the same arguments."""
    return functools.cache(fresh)


def assert_close(actual, expected):
    """Equal, but figures only to 1e-9: backends may differ in the last bits."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_close(actual[key], expected[key])
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, float):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    else:
        assert actual == expected


def without_backend(result):
    """A result that does not tell what computed it."""
    provenance = {k: v for k, v in result["provenance"].items() if k != "backend"}
    return {k: v for k, v in result.items() if k != "backend"} | {"provenance": provenance}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_gives_the_same_result(fresh, known, optimizer):
    arguments = ("backend=numba", *OPTIMIZERS[optimizer])
    assert fresh(*arguments) == known(*arguments)


@pytest.mark.parametrize("optimizer", ["random", "bayesian"])
def test_another_seed_searches_elsewhere(known, optimizer):
    one = known("backend=numba", *OPTIMIZERS[optimizer])
    other = known("backend=numba", "seed=1", *OPTIMIZERS[optimizer])
    assert [w["score"] for w in one["windows"]] != [w["score"] for w in other["windows"]]
    assert one["provenance"]["data_hash"] == other["provenance"]["data_hash"]


def test_other_seeds_on_the_same_candles_are_counted(tmp_path):
    for seed in (0, 1, 0):
        finished = run_here(tmp_path, *SHORT, *OPTIMIZERS["random"], f"seed={seed}")
    rows = finished.configurations[::-1]
    earlier = [row.statistics["earlier_searches"] for row in rows]
    assert [one["count"] for one in earlier] == [0, 1, 1]  # the last repeats the first
    p = rows[-1].statistics["p_value"]
    assert earlier[-1]["p_after"] == pytest.approx(1 - (1 - p) ** 2)


@pytest.mark.parametrize(
    ("backend", "optimizer"),
    [("numpy", "grid"), ("numpy", "random"), ("numpy", "bayesian"), ("reference", "grid")],
)
def test_backends_find_the_same(known, backend, optimizer):
    expected = known("backend=numba", *OPTIMIZERS[optimizer])
    found = known(f"backend={backend}", *OPTIMIZERS[optimizer])
    assert (expected["backend"], found["backend"]) == ("numba", backend)
    assert found["parameters"] == expected["parameters"]
    assert_close(without_backend(found), without_backend(expected))


#: Blocks in one thread: several spin between small ones, on a busy machine for half a minute.
WORK = {
    "one thread": ("backend.threads=1",),
    "two threads": ("backend.threads=2",),
    "blocks of 1": ("backend.threads=1", "backend.block=1"),
    "blocks of 17": ("backend.threads=1", "backend.block=17"),
}


@pytest.mark.parametrize(
    ("work", "optimizer"),
    [
        *((work, "grid") for work in WORK.values()),
        (WORK["two threads"], "random"),
        (WORK["blocks of 17"], "random"),
        pytest.param(WORK["one thread"], "random", marks=pytest.mark.slow),
        pytest.param(WORK["blocks of 1"], "random", marks=pytest.mark.slow),
    ],
)
def test_threads_and_blocks_change_nothing(known, work, optimizer):
    arguments = ("backend=numba", *OPTIMIZERS[optimizer])
    assert known(*work, *arguments) == known(*arguments)
