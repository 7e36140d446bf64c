"""An estimate against the run itself: it must say the order of magnitude."""

import time

import pytest

from pipeline.estimate.estimate import estimate
from pipeline.estimate.probe import measure_speed
from pipeline.training.run import Reporter, train


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["grid", "random", "bayesian"])
def test_a_run_takes_about_as_long_and_trades_about_as_often(configured, optimizer):
    config = configured("market=demo_null", f"optimizer={optimizer}")
    found = estimate(config, measure_speed(config))
    start = time.perf_counter()
    trained = train(config, Reporter())
    seconds = time.perf_counter() - start - trained.timings["candles"]
    # Other processes may hold the cores at either time.
    assert seconds / 6 < found.seconds < 6 * seconds
    assert found.evaluations == sum(w.search.evaluated for w in trained.validation.windows) + (
        trained.validation.final.evaluated
    )
    assert found.windows == len(trained.validation.windows)
    assert found.bars == len(trained.market.candles)
    trades = int(trained.validation.metrics["sample_size"])
    assert trades / 4 < found.expected_trades < 4 * trades
