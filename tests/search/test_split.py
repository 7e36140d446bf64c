"""A grid split over an executor: whatever the parts and their order, the search of one process."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_engine import Window
from pipeline.errors import UserError
from pipeline.executors import TaskResult
from pipeline.search import loop, split
from pipeline.search.grid import surface_of
from pipeline.search.loop import SearchSettings, search
from pipeline.search.split import SplitEvaluator
from support.parameters import DENSITY, DEPTH, LOOKBACK, STOP, TARGET
from support.spaces import coarse_market, small_space

N_BARS = 1000
WINDOWS = (Window(0, 600), Window(400, 1000))
#: Eight slabs of 12: stops and targets vary in each, and so does the density, which is fastest.
GRIDS = {
    DEPTH: (0.001, 0.002, 0.004, 0.008),
    LOOKBACK: (20, 100),
    STOP: (0.5, 1.0),
    TARGET: (1.5, 2.0, 3.0),
    DENSITY: (0.0, 0.2),  # both pass the same rows: ties
}
SETTINGS = SearchSettings("grid", 0, 1, "net_profit", "plateau", 3, seed=0)


class Disordered:
    """An executor of this process: everything travels as to a worker, and ends in any order."""

    def __init__(self, slots=1, seed=0, failing=()):
        self.slots, self.failing = slots, failing
        self.rng = np.random.default_rng(seed)
        self.tasks, self.closed = [], 0

    def run(self, work, shared, tasks, advance):
        there = pickle.loads(pickle.dumps(shared))
        self.tasks = list(tasks)
        try:
            for number in self.rng.permutation(len(self.tasks)):
                task = self.tasks[number]
                if number in self.failing:
                    yield TaskResult(task, None, "its worker was ended 3 times.")
                else:
                    arrived = pickle.loads(pickle.dumps(task))
                    result = pickle.loads(pickle.dumps(work(there, arrived, advance)))
                    yield TaskResult(task, result, None)
        finally:
            self.closed += 1


def over(executor, whole):
    """The evaluator that splits the grid of another."""
    given = (whole.candles, whole.space, whole.costs, whole.risk, whole.backend)
    return SplitEvaluator(*given, whole.block, None, executor)


def ignore(_):
    pass


@pytest.fixture(scope="module")
def whole():
    return coarse_market(small_space(**GRIDS), N_BARS)


def plain(found):
    """All that was found, to the last bit."""
    summary = found.summary
    described = (found.window, found.evaluated, found.admissible, found.point.tolist(),
                 found.score, found.stability_score)  # fmt: skip
    if summary is None:
        return described
    pairs = {axes: table.tobytes() for axes, table in summary.pairs.items()}
    return (*described, summary.index.tolist(), summary.score.tolist(), summary.admissible, pairs)


@settings(max_examples=25)
@given(
    slots=st.integers(1, 3),
    largest=st.integers(1, 200),
    seed=st.integers(0, 9),
    selection=st.sampled_from(["plateau", "peak"]),
    objective=st.sampled_from(["net_profit", "profit_factor", "max_drawdown"]),
    held=st.booleans(),
)
def test_any_split_finds_what_the_whole_finds(
    whole, slots, largest, seed, selection, objective, held
):
    asked = replace(SETTINGS, objective=objective, selection=selection if held else "peak")
    executor = Disordered(slots, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "LARGEST_PART", largest)
        patch.setattr(loop, "PLATEAU_LIMIT", 10**7 if held else 10)
        found = search(over(executor, whole), WINDOWS, asked, ignore)
        expected = search(whole, WINDOWS, asked, ignore)
    assert [plain(f) for f in found] == [plain(f) for f in expected]
    assert (found[0].summary is None) is held


@pytest.mark.parametrize("slots", [1, 2])
def test_the_surface_is_the_same(whole, slots):
    expected = surface_of(whole, WINDOWS[0], SETTINGS.rule)
    found = surface_of(over(Disordered(slots), whole), WINDOWS[0], SETTINGS.rule)
    assert found.keys() == expected.keys()
    for name, layer in expected.items():
        assert found[name].dtype == layer.dtype
        np.testing.assert_array_equal(found[name], layer)


@pytest.mark.parametrize(
    ("slots", "largest", "sizes"),
    [(1, 99, [24] * 4), (1, 23, [12] * 8), (1, 1, [12] * 8), (9, 99, [12] * 8)],
)
def test_a_slot_gets_four_parts_of_whole_slabs(whole, monkeypatch, slots, largest, sizes):
    monkeypatch.setattr(split, "LARGEST_PART", largest)
    executor = Disordered(slots)
    search(over(executor, whole), WINDOWS, SETTINGS, ignore)
    assert [len(task.part) for task in executor.tasks] == sizes


def test_every_evaluation_is_heard_of(whole):
    advanced = []
    search(over(Disordered(2), whole), WINDOWS, SETTINGS, advanced.append)
    assert sum(advanced) == 2 * whole.space.size


def test_a_worker_builds_its_market_once(whole, monkeypatch):
    built = []
    monkeypatch.setattr(split, "Evaluator", lambda *given: built.append(given) or whole)
    search(over(Disordered(2), whole), WINDOWS, SETTINGS, ignore)
    assert len(built) == 1


def test_a_part_that_ends_with_an_error_ends_the_search(whole):
    executor = Disordered(2, failing=(0,))
    sentence = r"^Combinations 0 to 11 of the grid .*: its worker was ended 3 times\.$"
    with pytest.raises(UserError, match=sentence):
        search(over(executor, whole), WINDOWS, SETTINGS, ignore)
    assert executor.closed == 1


def test_points_are_evaluated_here(whole):
    executor = Disordered(2)
    point = whole.space.points(np.array([5]))
    assert over(executor, whole).points(point, WINDOWS).tobytes() == (
        whole.points(point, WINDOWS).tobytes()
    )
    assert executor.tasks == []
