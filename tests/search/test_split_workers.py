"""A grid split over real processes, and a worker killed while it searches."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import ScoreRule, Window
from pipeline.executors.processes import Processes
from pipeline.search.grid import Scores
from pipeline.search.split import SplitEvaluator
from support.parameters import DEPTH, LOOKBACK, SIZE, TARGET
from support.spaces import coarse_market, small_space

WINDOWS = (Window(0, 900), Window(600, 1500))
GRIDS = {
    DEPTH: (0.001, 0.002, 0.004, 0.008),
    SIZE: (0.25, 0.5),
    LOOKBACK: (20, 100),
    TARGET: (1.5, 2.0, 3.0),
}


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
    given = (whole.candles, whole.space, whole.costs, whole.risk, whole.backend)
    evaluator = SplitEvaluator(*given, whole.block, 1, Processes(workers=2, retries=1))
    killed = []

    def kill_once(_):
        if not killed:
            killed.append(workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    found = evaluator.walk(asked, kill_once)
    assert len(killed) == 1
    assert workers() == []
    np.testing.assert_array_equal(found, whole.walk(asked, lambda n: None))
