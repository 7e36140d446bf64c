"""Counted work against counts by hand: a year of 5m candles, 90 + 7 + 30 days, 8 windows."""

import pytest

from pipeline.estimate.power import Traded
from pipeline.estimate.work import History, Work
from pipeline.search.space import make_space
from pipeline.strategies.registry import load_strategy

GRID, TABLES, BARS = 201_600, 35, 365 * 288
TRADED = Traded(mean=0.5, admissible_share=0.4, whole_share=0.8, typical=0.7, busy=1.0)


@pytest.fixture
def work(configured):
    def counted(*overrides, days=365):
        config = configured("market=demo", *overrides)
        space = make_space(load_strategy("liquidity_sweep"), config.strategy.parameters, False)
        return Work(config, space, History.of(config, days), TRADED)

    return counted


def test_the_year_is_cut_as_the_run_cuts_it(configured):
    history = History.of(configured(), 365)
    assert history == History(365, BARS, 8, 8 * 30, 9 * 90, 90)
    assert (history.searches, history.days_a_search) == (9, 90)


def test_an_anchored_search_sees_ever_more_days(configured):
    history = History.of(configured("validation.anchored=true"), 365)
    assert history.searched_days == sum(90 + 30 * k for k in range(8)) + 365


@pytest.mark.parametrize(
    ("overrides", "budget"),
    [
        (["optimizer=grid"], GRID),
        (["optimizer=random"], 1000),
        (["optimizer=bayesian"], 200),
        (["optimizer=random", "optimizer.samples=300000"], GRID),
        (["optimizer=random", "optimizer.samples=300000", "space=continuous"], 300_000),
    ],
)
def test_a_budget_that_covers_the_grid_is_the_grid(work, overrides, budget):
    assert work(*overrides).budget == budget
    assert work(*overrides).evaluations == 9 * budget


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        ("prepare", BARS),
        ("table", TABLES * BARS),
        ("combination", 10 * GRID),  # nine searches, and the surface of the final one
        ("trade", 0.5 * GRID * (9 * 90 + 90)),
        ("rank", 9 * GRID),
        ("reference", 9 * BARS),
        ("point", 0),
        ("trial", 0),
        ("luck", 0),
    ],
)
def test_each_rate_is_multiplied_by_its_own_count(work, only, rate, seconds):
    assert work("validation.evidence=deciding").seconds(only(**{rate: 1.0})) == seconds


def test_the_evidence_is_one_pass_more_and_its_returns(work, only):
    assert work().seconds(only(combination=1.0)) == 11 * GRID
    assert work().seconds(only(luck=1.0)) == pytest.approx(0.8 * GRID * 365)


def test_surrogates_repeat_the_events_and_the_pass(work, only):
    many = work("validation.surrogates=true", "validation.surrogate_count=50")
    assert many.seconds(only(combination=1.0)) == (11 + 2 * 50) * GRID
    assert many.seconds(only(prepare=1.0)) == (1 + 2 * 50) * BARS


def test_tpe_pays_for_the_trials_before_each(work, only):
    tpe = work("optimizer=bayesian", "validation.evidence=deciding")
    assert tpe.seconds(only(trial=1.0)) == 9 * 200
    assert tpe.seconds(only(trial_growth=1.0)) == 9 * 200 * 199 / 2
    assert tpe.seconds(only(point=1.0)) == 9 * 200


def test_every_point_of_a_continuous_space_has_its_own_table(work, only):
    drawn = work("optimizer=random", "space=continuous", "validation.evidence=deciding")
    assert drawn.seconds(only(table=1.0)) == 9 * 1000 * BARS


def test_a_grid_too_large_to_hold_leaves_no_surface_and_has_no_evidence(work, only):
    fine = work("strategy.parameters.stop_distance.grid=[" + ",".join(
        str(k / 100) for k in range(1, 400)) + "]")  # fmt: skip
    assert fine.grid.size == GRID // 4 * 399 > 10**7
    assert fine.seconds(only(combination=1.0)) == 9 * fine.grid.size
    assert fine.seconds(only(luck=1.0, rank=1.0)) == 0
    assert fine.artifact_bytes() < 100_000


def test_memory_is_the_process_the_scores_and_the_returns(work, only):
    held = work().memory_bytes(only(resident=10**8)) - 10**8
    scores, returns, columns = 8 * GRID * (9 + 5), 8192 * 365 * 8 * 4, 8 * GRID
    assert held == BARS * 7 * 8 * 4 + scores + returns + columns


def test_the_surface_is_most_of_what_a_grid_leaves(work):
    assert work().artifact_bytes() == 6 * 4 * GRID + 30_000
    assert work("optimizer=random").artifact_bytes() == 30_000
