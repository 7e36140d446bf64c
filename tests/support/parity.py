"""A backend against `reference` on one random market: everything the engine answers."""

import numpy as np

from gpu_engine import engine
from support.agreement import assert_same_metrics, assert_same_trades
from support.random_market import only


def assert_agrees(world, backend):
    """Metrics and daily returns of the whole batch; trades of every combination; return trades."""
    expected, actual = world.load("reference"), world.load(backend)
    assert_same_metrics(
        engine.evaluate(actual, world.batch, world.windows),
        engine.evaluate(expected, world.batch, world.windows),
    )
    n_trades = 0
    for window in world.windows:
        daily = engine.daily_returns(actual, world.batch, window)
        of_reference = engine.daily_returns(expected, world.batch, window)
        assert daily.shape == of_reference.shape
        np.testing.assert_allclose(daily, of_reference, rtol=0, atol=1e-12)
        for i in range(len(world.batch)):
            trades = engine.trades(actual, only(world.batch, i), window)
            assert_same_trades(trades, engine.trades(expected, only(world.batch, i), window))
            n_trades += len(trades)
    return n_trades
