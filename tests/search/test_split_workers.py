"""A grid, and searches that draw, over real processes, and a worker killed while it searches."""

import os
import pickle
import signal
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import ScoreRule, Window
from pipeline.errors import UserError
from pipeline.executors import Local
from pipeline.executors.processes import Processes
from pipeline.search.grid import Scores
from pipeline.search.loop import SearchSettings, search
from pipeline.search.split import SharedEvaluator, SplitEvaluator
from support.parameters import DEPTH, LOOKBACK, SIZE, TARGET
from support.spaces import coarse_market, small_space

WINDOWS = (Window(0, 900), Window(600, 1500))
GRIDS = {
    DEPTH: (0.001, 0.002, 0.004, 0.008),
    SIZE: (0.25, 0.5),
    LOOKBACK: (20, 100),
    TARGET: (1.5, 2.0, 3.0),
}


RANGES = {DEPTH: (0.001, 0.01), TARGET: (1.5, 4)}
DRAWN = {
    "bayesian": SearchSettings("bayesian", 40, 10, "net_profit", "peak", 3, seed=7),
    "random": SearchSettings("random", 40, 1, "net_profit", "peak", 3, seed=7),
}
MANY = (*WINDOWS, Window(0, 1500), Window(300, 1200))


def over(executor, whole, kind=SharedEvaluator):
    """What the evaluator ``whole`` is, with its work given to an executor."""
    market = (whole.candles, whole.space, whole.costs, whole.risk, whole.backend)
    return kind(*market, whole.block, 1, executor)


def exactly(results):
    """Every field of some results, to the last bit."""
    return [pickle.dumps(astuple(result)) for result in results]


@pytest.mark.parametrize(
    ("method", "ranges"),
    [
        pytest.param("random", None, id="random, discrete"),
        pytest.param("bayesian", RANGES, id="bayesian, continuous"),
        # Methods and spaces do not know each other: two pairs by default have all four.
        pytest.param("random", RANGES, id="random, continuous", marks=pytest.mark.slow),
        pytest.param("bayesian", None, id="bayesian, discrete", marks=pytest.mark.slow),
    ],
)
def test_searches_are_the_same_with_any_number_of_workers(method, ranges):
    whole = coarse_market(small_space(ranges is not None, ranges, **GRIDS), 1500)
    expected = exactly(search(whole, MANY, DRAWN[method], lambda n: None))
    for executor in (Local(), Processes(1, 0), Processes(3, 0)):
        steps = []
        shared = over(executor, whole)
        assert exactly(search(shared, MANY, DRAWN[method], steps.append)) == expected
        assert sum(steps) == len(MANY) * 40
        assert len(steps) >= len(MANY)
    assert workers() == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="children are found in /proc")
@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_killed_in_its_search_is_replaced_or_gets_a_sentence(retries):
    whole = coarse_market(small_space(**GRIDS), 1500)
    steps = []

    def kill_once(n):
        if not steps:
            os.kill(workers()[0], signal.SIGKILL)
        steps.append(n)

    shared = over(Processes(2, retries), whole)
    if retries:
        found = search(shared, MANY, DRAWN["bayesian"], kill_once)
        assert exactly(found) == exactly(search(whole, MANY, DRAWN["bayesian"], lambda n: None))
        assert sum(steps) == len(MANY) * 40
    else:
        sentence = r"^Window [1-4] of 4 could not be searched: .* by SIGKILL; .*\.$"
        with pytest.raises(UserError, match=sentence):
            search(shared, MANY, DRAWN["bayesian"], kill_once)
    assert workers() == []


def workers():
    """Process ids of the children of this process that are workers."""
    found = []
    for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        if b"pipeline.executors" in Path(f"/proc/{child}/cmdline").read_bytes():
            found.append(int(child))
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="children are found in /proc")
def test_a_worker_killed_changes_nothing():
    whole = coarse_market(small_space(**GRIDS), 1500)
    asked = Scores(WINDOWS, ScoreRule("net_profit", 3))
    evaluator = over(Processes(workers=2, retries=1), whole, SplitEvaluator)
    killed = []

    def kill_once(_):
        if not killed:
            killed.append(workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    found = evaluator.walk(asked, kill_once)
    assert len(killed) == 1
    assert workers() == []
    np.testing.assert_array_equal(found, whole.walk(asked, lambda n: None))
