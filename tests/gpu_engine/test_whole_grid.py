"""A whole grid, decoded by the backend itself: the same scores, the same best, the same pairs."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import (
    Axis,
    ExitSettings,
    Grid,
    ScoreRule,
    SummaryBuilder,
    Tables,
    Window,
    cuda_backend,
    cuda_summary,
    engine,
    exhaustive,
    scores_of,
)
from gpu_engine.cuda_backend import CudaBackend
from support.backends import ALL, COMPILED, CUDA, CUDA_ON_HOST, named
from support.host_device import HostDevice, needs_compiler
from support.random_market import random_exits, random_market

RULES = [
    ScoreRule("net_profit", 3),
    ScoreRule("sharpe_ratio", 1),
    ScoreRule("max_drawdown", 2),
    ScoreRule("profit_factor", 1),
]
STOPS, TARGETS = (0.5, 1.0, 2.0), (1.0, 1.5, 4.0, 5.0)
#: The fastest axis is no exit parameter, and the tables' axis is neither first nor last.
GRID = Grid(
    (
        Axis("threshold", np.array([0.0, 1.0, 2.0]), 0),
        Axis("exit", np.array(STOPS)),
        Axis("structural", np.array([1.0, 2.0])),
        Axis("exit", np.array(TARGETS)),
        Axis("threshold", np.array([1.0, 2.0, np.inf]), 1),
    )
)


@pytest.fixture(scope="module")
def world():
    drawn = random_market(np.random.default_rng(7), 900, n_tables=2)
    pairs = np.array([(s, t) for s in STOPS for t in TARGETS])
    return drawn._replace(
        exits=ExitSettings(stop_distance=pairs[:, 0].copy(), target_multiple=pairs[:, 1].copy())
    )


def load(world, backend):
    return engine.load(*world[:5], backend)


WINDOWS = (Window(0, 900), Window(100, 500))


@pytest.fixture(scope="module")
def one_by_one(world):
    """Indices, decoded here, and their metrics in each window, evaluated alone as the reference."""
    market = load(world, named("reference"))
    return [(index, engine.evaluate(market, batch, WINDOWS)) for index, batch in GRID.units(1)]


def test_units_decode_the_index_row_major():
    seen = np.concatenate([index for index, _ in GRID.units(2)])
    assert sorted(seen) == list(range(3 * 3 * 2 * 4 * 3))
    index, batch = next(GRID.units(GRID.n_units))
    low, stop, table, target, high = np.unravel_index(index, GRID.shape)
    units = np.repeat(np.arange(GRID.n_units), GRID.n_exits)
    np.testing.assert_array_equal(batch.table[units], table)
    np.testing.assert_array_equal(batch.thresholds[units, 0], np.array([0.0, 1.0, 2.0])[low])
    np.testing.assert_array_equal(batch.thresholds[units, 1], np.array([1.0, 2.0, np.inf])[high])
    np.testing.assert_array_equal(np.tile(np.arange(12), GRID.n_units), stop * 4 + target)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.objective)
def test_scores_are_those_of_the_reference(world, one_by_one, backend, rule):
    market = load(world, named(backend))
    advanced = []
    actual = exhaustive.score(market, GRID, WINDOWS, rule, advanced.append, block=50)
    assert sum(advanced) == 2 * GRID.size
    for w, scores in enumerate(actual):
        expected = np.full(GRID.size, np.nan)
        for index, metrics in one_by_one:
            expected[index] = scores_of(metrics[w], rule)
        np.testing.assert_allclose(scores, expected, rtol=1e-11)


@pytest.mark.parametrize("backend", ["numpy", CUDA_ON_HOST, CUDA])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.objective)
def test_summaries_are_the_same_everywhere(world, backend, rule):
    windows = (Window(0, 900),)
    expected = exhaustive.summarise(
        load(world, named("numba")), GRID, windows, rule, 9, lambda n: None
    )
    actual = exhaustive.summarise(
        load(world, named(backend)), GRID, windows, rule, 9, lambda n: None
    )
    assert_same_summary(actual[0], expected[0])


def assert_same_summary(actual, expected):
    np.testing.assert_array_equal(actual.index, expected.index)
    np.testing.assert_array_equal(actual.score, expected.score)
    assert actual.admissible == expected.admissible
    for pair, table in expected.pairs.items():
        np.testing.assert_array_equal(actual.pairs[pair], table)


@pytest.mark.parametrize("backend", ["numpy", CUDA_ON_HOST, CUDA])
@pytest.mark.parametrize("n_settings", [1, 16, 17, 40])
def test_any_number_of_exit_settings(backend, n_settings):
    """On a GPU few settings share a warp among units; many fill warps of their own."""
    rng = np.random.default_rng(n_settings)
    drawn = random_market(rng, 400, n_tables=3, every_exit=True)
    drawn = drawn._replace(exits=random_exits(rng, n_settings))
    grid = Grid(
        (
            Axis("threshold", np.array([0.0, 2.0]), 0),
            Axis("exit", np.arange(float(n_settings))),
            Axis("structural", np.arange(3.0)),
            Axis("threshold", np.array([1.0, 2.0, np.inf]), 1),
        )
    )
    windows = (Window(0, 400), Window(37, 301), Window(390, 391))
    for rule in RULES:
        actual, expected = (
            exhaustive.score(drawn.load(b), grid, windows, rule, lambda n: None)
            for b in (backend, "numba")
        )
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("backend", ["numpy", CUDA_ON_HOST, CUDA])
def test_a_strategy_without_thresholds(world, backend):
    tables = tuple(replace(t, features=np.zeros((len(t), 0))) for t in world.tables.tables)
    every_row = world._replace(tables=Tables(tables, ()))
    grid = Grid(tuple(axis for axis in GRID.axes if axis.kind != "threshold"))
    windows = (Window(0, 900), Window(100, 500))
    actual, expected = (
        exhaustive.score(load(every_row, named(b)), grid, windows, RULES[0], lambda n: None)
        for b in (backend, "numba")
    )
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.objective)
@pytest.mark.parametrize("most", [72, 150])
def test_parts_add_up_to_the_whole(world, backend, rule, most):
    market, window = load(world, named(backend)), (Window(100, 500),)
    scores, best = [], SummaryBuilder(GRID, 9)
    for part in GRID.parts(most):
        options = {"rule": rule, "advance": lambda n: None, "part": part}
        scores.append(exhaustive.score(market, GRID, window, **options))
        best.take(exhaustive.summarise(market, GRID, window, k=9, **options)[0])
    whole = exhaustive.score(market, GRID, window, rule, lambda n: None)
    np.testing.assert_array_equal(np.concatenate(scores, axis=1), whole)
    (expected,) = exhaustive.summarise(market, GRID, window, rule, 9, lambda n: None)
    assert_same_summary(best.finish(), expected)


@needs_compiler
@pytest.mark.parametrize("stretch", [1, 17, 64])
def test_stretches_and_devices_change_nothing(world, monkeypatch, stretch):
    rule, window = ScoreRule("net_profit", 1), Window(0, 900)
    expected = load(world, named("cuda on host"))
    whole = expected.backend.summarise_grid(
        expected.loaded, GRID, GRID.whole, window, rule, 5, lambda n: None
    )
    monkeypatch.setattr(cuda_backend, "STRETCH", stretch)
    monkeypatch.setattr(cuda_summary, "STRIP", 4)
    several = CudaBackend([HostDevice(multiprocessors=m) for m in (1, 132, 2)])
    market = load(world, several)
    parts = several.summarise_grid(market.loaded, GRID, GRID.whole, window, rule, 5, lambda n: None)
    assert_same_summary(parts, whole)
    evaluated = (engine.evaluate(some, world.batch, (window,)) for some in (market, expected))
    assert_identical(*evaluated)


@needs_compiler
@pytest.mark.parametrize("devices", [1, 3])
def test_a_tie_with_the_worst_of_the_best_is_not_collected(world, monkeypatch, devices):
    """Of equal scores the lower index is better, and in this grid it came first."""
    offered = []
    kinds = ("structural", "threshold", "exit")
    grid = Grid(tuple(sorted(GRID.axes, key=lambda axis: kinds.index(axis.kind))))

    class Counting(SummaryBuilder):
        def offer(self, index, scores):
            offered.append(len(index))
            super().offer(index, scores)

    monkeypatch.setattr(cuda_backend, "SummaryBuilder", Counting)
    monkeypatch.setattr(cuda_backend, "STRETCH", 24)
    market = load(world, CudaBackend([HostDevice() for _ in range(devices)]))
    no_trades, rule = Window(0, 1), ScoreRule("net_profit", 0)
    actual = market.backend.summarise_grid(
        market.loaded, grid, grid.whole, no_trades, rule, 5, lambda n: None
    )
    assert actual.index.tolist() == [0, 1, 2, 3, 4]
    assert actual.score.tolist() == [0.0] * 5
    assert actual.admissible == grid.size == 216
    first_stretches, others = devices, 216 // 24 - devices
    merged = [5] * (devices - 1)
    assert sorted(offered, reverse=True) == [24] * first_stretches + merged + [0] * others


def assert_identical(actual, expected):
    """NaN included, which equality of records would not forgive."""
    assert actual.tobytes() == expected.tobytes()
