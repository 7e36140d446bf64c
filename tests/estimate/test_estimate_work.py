"""Counted work against counts by hand: a year of 5m candles, 90 + 7 + 30 days, 8 windows.

Windows roll where a count is the same for each of them.
"""

import pytest

from pipeline.estimate.estimate import CANDLE_BYTES, LUCK, TRIAL, TRIAL_GROWTH, History, Work
from pipeline.estimate.probe import grid_of
from support.parameters import STOP

GRID, TABLES, BARS = 201_600, 35, 365 * 288


@pytest.fixture
def work(configured):
    def counted(*overrides, days=365):
        config = configured("market=demo", "validation=rolling", *overrides)
        return Work(config, grid_of(config), History.of(config, days), active_share=0.5)

    return counted


def test_the_year_is_cut_as_the_run_cuts_it(configured):
    history = History.of(configured("validation=rolling"), 365)
    assert history == History(365, BARS, 8, 8 * 30, 9 * 90, 90)
    assert (history.searches, history.days_a_search) == (9, 90)


def test_a_search_sees_ever_more_days_until_the_limit(configured):
    year = History.of(configured(), 365)
    assert (year.searched_days, year.final_days) == (sum(range(90, 301, 30)) + 365, 365)
    assert year.days_a_search == (1560 + 365) / 9
    four = History.of(configured(), 1460)
    assert (four.windows, four.final_days) == (45, 720)
    assert four.searched_days == sum(range(90, 720, 30)) + 24 * 720 + 720
    unlimited = History.of(configured("validation.max_train=null"), 1460)
    assert unlimited.searched_days == sum(90 + 30 * k for k in range(45)) + 1460


def test_a_growing_search_costs_in_proportion_to_its_days(configured, only):
    def seconds(method):
        config = configured(f"validation={method}", "validation.evidence=deciding")
        history = History.of(config, 365)
        return Work(config, grid_of(config), history, active_share=0.5).seconds(only(search=1.0))

    assert seconds("rolling") == GRID * (9 * 90 + 90)
    assert seconds("walk_forward") == GRID * (1560 + 365 + 365)


@pytest.mark.parametrize(
    ("overrides", "count"), [([], 99), (["validation.surrogate_count=479"], 479)]
)
def test_each_surrogate_is_a_search_of_the_whole_history(work, only, overrides, count):
    counted = work("optimizer=grid", *overrides)
    assert counted.surrogate_seconds(only(search=1.0)) == 2 * count * GRID * 365
    assert counted.surrogate_seconds(only(table=1.0)) == 2 * count * TABLES * BARS


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


SEARCHED = GRID * (9 * 90 + 90)  # nine searches, and the surface of the final one


@pytest.mark.parametrize(("piece", "seconds"), [("table", TABLES * BARS), ("search", SEARCHED)])
def test_each_piece_is_multiplied_by_its_own_count(work, only, piece, seconds):
    assert work("validation.evidence=deciding").seconds(only(**{piece: 1.0})) == seconds


def test_the_evidence_is_a_pass_more_over_the_whole_history_and_its_tests(work, only):
    tests = 0.5 * GRID * 365 * LUCK
    assert work().seconds(only(search=1.0)) == pytest.approx(SEARCHED + GRID * 365 + tests)
    assert work("validation.resamples=2000").seconds(only()) == pytest.approx(2 * tests)


def test_tpe_pays_for_the_trials_before_each(work, only):
    few, many = (
        work("optimizer=bayesian", f"optimizer.trials={n}", "backend.threads=1").seconds(only())
        for n in (200, 2000)
    )
    tests = 0.5 * GRID * 365 * LUCK
    assert few - tests == pytest.approx(9 * 200 * (TRIAL + 100 * TRIAL_GROWTH))
    assert many - tests > 10 * (few - tests)


@pytest.mark.parametrize(
    ("overrides", "threads", "at_once"),
    [
        (("optimizer=bayesian",), 3, 3),
        (("optimizer=bayesian",), 50, 9),  # one for each search
        (("optimizer=bayesian", "optimizer.trials=99"), 3, 1),
        (("optimizer=bayesian", "executor=processes"), 3, 1),
        (("optimizer=random", "space=continuous"), 3, 3),
        (("optimizer=random",), 3, 1),
        (("optimizer=grid",), 3, 1),
    ],
)
def test_slow_searches_run_at_once_in_processes_of_their_own(
    work, only, overrides, threads, at_once
):
    alone, shared = (
        work("validation.evidence=deciding", f"backend.threads={n}", *overrides)
        for n in (1, threads)
    )
    table = 1e-6 if "space=continuous" in overrides else 0.0
    kept = only(resident=10**8, table=table)
    assert alone.seconds(kept) == pytest.approx(at_once * shared.seconds(kept))
    held = 0 if at_once == 1 else at_once * (10**8 + BARS * CANDLE_BYTES)
    assert shared.memory_bytes(kept) - alone.memory_bytes(kept) == held


def test_every_point_of_a_continuous_space_has_its_own_table(work, only):
    one = ("validation.evidence=deciding", "backend.threads=1")
    drawn = work("optimizer=random", "space=continuous", *one)
    assert drawn.seconds(only(table=1.0)) == 9 * 1000 * BARS


def test_a_grid_too_large_to_hold_leaves_no_surface_and_has_no_evidence(work, only):
    fine = work(f"strategy.parameters.{STOP}.grid=[" + ",".join(
        str(k / 100) for k in range(1, 400)) + "]")  # fmt: skip
    assert fine.grid.size == GRID // 4 * 399 > 10**7
    assert fine.seconds(only(search=1.0)) == 9 * 90 * fine.grid.size
    assert fine.artifact_bytes() < 100_000


def test_memory_is_the_process_the_scores_and_the_returns(work, only):
    held = work().memory_bytes(only(resident=10**8)) - 10**8
    scores, returns, columns = 8 * GRID * (9 + 5), 8192 * 365 * 8 * 4, 8 * GRID
    assert held == BARS * 7 * 8 * 4 + scores + returns + columns


def test_the_surface_is_most_of_what_a_grid_leaves(work):
    assert work().artifact_bytes() == 6 * 4 * GRID + 30_000
    assert work("optimizer=random").artifact_bytes() == 30_000
