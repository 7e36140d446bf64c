"""Whole searches: the winner, the counts, and that nothing but the seed decides them."""

import math
from dataclasses import replace

import numba
import numpy as np
import pytest

from gpu_engine import ScoreRule, Window, scores_of
from gpu_engine.numba_backend import set_threads
from pipeline.search import grid, loop
from pipeline.search.grid import score_grid
from pipeline.search.loop import SearchSettings, search
from pipeline.search.ranking import best, plateau, stability
from support.parameters import DENSITY, DEPTH, LOOKBACK, SIZE, STOP, TARGET
from support.spaces import coarse_market, small_space

N_BARS = 2000
WINDOWS = (Window(0, 1000), Window(500, 1500), Window(1000, 2000))
GRIDS = {
    DEPTH: (0.001, 0.008),
    SIZE: (0.25, 0.5),
    LOOKBACK: (20, 100),
    STOP: (0.5, 1.0, 2.0),
    TARGET: (1.5, 3.0),
    DENSITY: (0.0, 0.2, 0.5),  # 0 and 0.2 pass the same rows: ties
}
RANGES = {DEPTH: (0.001, 0.01), STOP: (0.5, 2.0), TARGET: (1.5, 4)}

GRID = SearchSettings("grid", 0, 10, "net_profit", "peak", 5, seed=7)
RANDOM = replace(GRID, method="random", budget=40)
BAYESIAN = replace(GRID, method="bayesian", budget=20)


def ignore(_):
    pass


@pytest.fixture(scope="module")
def space():
    return small_space(**GRIDS)


@pytest.fixture(scope="module")
def evaluator(space):
    return coarse_market(space, N_BARS)


def described(found):
    """Plain values of what was found, to compare."""
    point = None if found.point is None else tuple(found.point)
    return (found.window, found.evaluated, found.admissible, point, found.score,
            found.stability_score)  # fmt: skip


def described_all(evaluator, settings, windows=WINDOWS):
    return [described(found) for found in search(evaluator, windows, settings, ignore)]


@pytest.mark.parametrize("selection", ["peak", "plateau"])
@pytest.mark.parametrize("objective", ["net_profit", "sharpe_ratio", "profit_factor"])
def test_grid_finds_what_a_plain_search_finds(evaluator, space, objective, selection):
    settings = replace(GRID, objective=objective, selection=selection)
    points = space.points(np.arange(space.size))
    for window, found in zip(WINDOWS, search(evaluator, WINDOWS, settings, ignore), strict=True):
        scores = scores_of(evaluator.points(points, (window,))[0], ScoreRule(objective, 5))
        winner = best(plateau(scores, space.shape) if selection == "plateau" else scores)
        assert described(found) == (
            window,
            space.size,
            int((~np.isnan(scores)).sum()),
            tuple(points[winner]),
            scores[winner],
            stability(scores, space.shape, winner),
        )


def test_ties_go_to_the_lower_index_in_grid_order(evaluator, space):
    """Density 0 and 0.2 are the same; 0 comes first although it is the fastest axis."""
    for found in search(evaluator, WINDOWS, GRID, ignore):
        assert space.parameters(found.point)[DENSITY] in (0.0, 0.5)


def test_plateau_and_peak_can_differ(evaluator):
    peaks = described_all(evaluator, GRID)
    assert described_all(evaluator, replace(GRID, selection="plateau")) != peaks


@pytest.mark.parametrize("settings", [RANDOM, BAYESIAN], ids=["random", "bayesian"])
@pytest.mark.parametrize("continuous", [False, True], ids=["discrete", "continuous"])
def test_points_searches_keep_the_best_they_asked(settings, continuous):
    space = small_space(continuous, RANGES, **({} if continuous else GRIDS))
    evaluator = coarse_market(space, N_BARS)
    advanced = []
    results = search(evaluator, WINDOWS, settings, advanced.append)
    assert sum(advanced) == 3 * settings.budget == sum(found.evaluated for found in results)
    for found in results:
        metrics = evaluator.points(found.point[None], (found.window,))[0]
        assert scores_of(metrics, ScoreRule("net_profit", 5))[0] == found.score
        assert found.stability_score is None


@pytest.mark.parametrize("settings", [RANDOM, BAYESIAN], ids=["random", "bayesian"])
def test_the_last_window_keeps_what_it_asked(evaluator, settings, monkeypatch):
    *others, last = search(evaluator, WINDOWS, settings, ignore)
    assert [found.trials for found in others] == [None, None]
    trials = last.trials
    assert len(trials.points) == last.evaluated == settings.budget
    assert len(np.unique(trials.points, axis=0)) == settings.budget
    metrics = evaluator.points(trials.points, (last.window,))[0]
    np.testing.assert_array_equal(trials.scores, scores_of(metrics, settings.rule))
    for name in grid.SURFACE_METRICS:
        np.testing.assert_array_equal(trials.metrics[name], metrics[name])
    assert tuple(trials.points[best(trials.scores)]) == tuple(last.point)
    monkeypatch.setattr(loop, "TRIALS_KEPT", 7)
    fewer = search(evaluator, WINDOWS, settings, ignore)[-1]
    np.testing.assert_array_equal(fewer.trials.points, trials.points[:7])
    np.testing.assert_array_equal(fewer.trials.scores, trials.scores[:7])
    assert described(fewer) == described(last)
    assert search(evaluator, WINDOWS, GRID, ignore)[-1].trials is None


def test_no_points_search_beats_the_grid(evaluator):
    bounds = [found.score for found in search(evaluator, WINDOWS, GRID, ignore)]
    for settings in (RANDOM, BAYESIAN):
        scores = [found.score for found in search(evaluator, WINDOWS, settings, ignore)]
        assert all(s <= b for s, b in zip(scores, bounds, strict=True))


@pytest.mark.parametrize("settings", [RANDOM, BAYESIAN], ids=["random", "bayesian"])
def test_a_window_does_not_depend_on_those_after_it(evaluator, settings):
    assert described_all(evaluator, settings)[:2] == described_all(evaluator, settings, WINDOWS[:2])


def test_windows_draw_from_seeds_of_their_own(evaluator):
    same = [WINDOWS[0]] * 3
    assert len({d[4] for d in described_all(evaluator, replace(RANDOM, budget=5), same)}) > 1


CASES = {
    "grid": (GRID, False),
    "random": (RANDOM, False),
    "bayesian": (BAYESIAN, False),
    "random, continuous": (RANDOM, True),
    "bayesian, continuous": (BAYESIAN, True),
}


@pytest.mark.parametrize(("settings", "continuous"), CASES.values(), ids=CASES.keys())
def test_backend_block_and_threads_do_not_change_the_result(settings, continuous):
    space = small_space(continuous, RANGES, **({} if continuous else GRIDS))
    expected = described_all(coarse_market(space, N_BARS), settings)
    assert described_all(coarse_market(space, N_BARS, backend="numpy"), settings) == expected
    assert described_all(coarse_market(space, N_BARS, block=7), settings) == expected
    set_threads(1)
    try:
        assert numba.get_num_threads() == 1
        assert described_all(coarse_market(space, N_BARS), settings) == expected
    finally:
        set_threads(None)


@pytest.mark.parametrize("objective", ["net_profit", "profit_factor", "max_drawdown"])
@pytest.mark.parametrize("block", [7, None])
def test_peak_without_holding_scores_is_the_same_peak(space, monkeypatch, objective, block):
    evaluator = coarse_market(space, N_BARS, block=block)
    settings = replace(GRID, objective=objective)
    expected = described_all(evaluator, settings)
    monkeypatch.setattr(loop, "PLATEAU_LIMIT", 10)
    assert described_all(evaluator, settings) == expected


def test_a_grid_too_large_to_hold_is_summarised(evaluator, space, monkeypatch):
    (held,) = score_grid(evaluator, WINDOWS[:1], GRID.rule, ignore)
    monkeypatch.setattr(loop, "PLATEAU_LIMIT", 10)
    (found,) = search(evaluator, WINDOWS[:1], GRID, ignore)
    assert found.summary.index[0] == best(held)
    assert found.summary.score[0] == np.nanmax(held) == found.score
    for (a, b), table in found.summary.pairs.items():
        others = tuple(axis for axis in range(len(space.shape)) if axis not in (a, b))
        expected = np.fmax.reduce(held.reshape(space.shape), axis=others)
        np.testing.assert_array_equal(table, expected)


def test_fewer_windows_a_pass_find_the_same(evaluator, space, monkeypatch):
    settings = replace(GRID, selection="plateau")
    expected = described_all(evaluator, settings)
    for scores in (1, space.size, 2 * space.size):
        monkeypatch.setattr(grid, "SCORES_PER_PASS", scores)
        assert described_all(evaluator, settings) == expected


@pytest.mark.parametrize("settings", [GRID, RANDOM, BAYESIAN], ids=["grid", "random", "bayesian"])
def test_nothing_admissible_has_no_winner(evaluator, settings):
    for found in search(evaluator, WINDOWS, replace(settings, min_trades=10_000), ignore):
        assert described(found)[2:] == (0, None, None, None)


def test_nothing_admissible_without_holding_scores(evaluator, monkeypatch):
    monkeypatch.setattr(loop, "PLATEAU_LIMIT", 10)
    found = search(evaluator, WINDOWS[:1], replace(GRID, min_trades=10_000), ignore)
    assert described(found[0])[2:] == (0, None, None, None)


def test_grid_advances_by_every_evaluation(evaluator, space):
    advanced = []
    search(evaluator, WINDOWS, GRID, advanced.append)
    assert sum(advanced) == 3 * space.size


def test_stability_means_nothing_for_a_minimised_objective(evaluator):
    found = search(evaluator, WINDOWS[:1], replace(GRID, objective="max_drawdown"), ignore)[0]
    assert found.score < 0
    assert found.stability_score is None


@pytest.mark.parametrize(
    ("method", "budget", "selection", "resolved"),
    [
        ("grid", 0, "auto", ("grid", "plateau")),
        ("grid", 0, "peak", ("grid", "peak")),
        ("random", 143, "auto", ("random", "peak")),
        ("random", 144, "auto", ("grid", "plateau")),
        ("bayesian", 500, "auto", ("grid", "plateau")),
        ("bayesian", 500, "peak", ("grid", "peak")),
    ],
)
def test_a_budget_that_covers_the_grid_is_the_grid(space, method, budget, selection, resolved):
    settings = replace(GRID, method=method, budget=budget, selection=selection).resolved(space)
    assert space.size == 144
    assert (settings.method, settings.selection) == resolved
    assert settings.evaluations(space) == (144 if resolved[0] == "grid" else budget)


@pytest.mark.parametrize(("method", "at_once"), [("grid", 144), ("random", 99), ("bayesian", 16)])
def test_a_search_asks_its_grid_its_draw_or_a_batch_at_once(space, method, at_once):
    settings = replace(GRID, method=method, budget=99, batch=16)
    assert settings.at_once(space) == at_once


def test_a_continuous_space_is_never_covered():
    space = small_space(continuous=True, ranges=RANGES)
    settings = replace(RANDOM, budget=10**9, selection="auto").resolved(space)
    assert (settings.method, settings.selection) == ("random", "peak")


def test_plateau_is_not_the_default_of_a_huge_grid(space, monkeypatch):
    monkeypatch.setattr(loop, "PLATEAU_LIMIT", 143)
    assert replace(GRID, selection="auto").resolved(space).selection == "peak"


def test_surface_holds_the_score_and_metrics_of_every_combination(evaluator, space):
    surface = grid.surface_of(evaluator, WINDOWS[0], ScoreRule("net_profit", 5))
    metrics = evaluator.points(space.points(np.arange(space.size)), WINDOWS[:1])[0]
    layers = {"score": scores_of(metrics, ScoreRule("net_profit", 5))}
    layers |= {name: metrics[name] for name in grid.SURFACE_METRICS}
    assert surface.keys() == layers.keys()
    for name, layer in surface.items():
        assert (layer.dtype, layer.shape) == (np.float32, space.shape)
        np.testing.assert_array_equal(layer.ravel(), layers[name].astype(np.float32))
    assert math.isclose(surface["sample_size"].max(), metrics["sample_size"].max())
