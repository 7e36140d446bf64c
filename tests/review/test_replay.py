"""Combinations of a search simulated again, against an account that is kept day by day."""

from contextlib import chdir
from typing import NamedTuple

import numpy as np
import pytest

from gpu_engine import DAY_MS, Candles, Window
from pipeline.config import SimulationConfig, StorageOnly, load
from pipeline.report.loading import load_candles_again
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.records import Configuration
from pipeline.review.replay import Replay, replay
from pipeline.review.stored import evaluator_of, find, open_existing, read_record, simulation_config
from support.parameters import STOP, TARGET
from support.runs import QUICK, SMALL_GRID, run_here

GAP, TRAIN = 7, 90
ROLLING = (
    *QUICK,
    "optimizer=grid",
    *SMALL_GRID,
    "validation=rolling",
    "validation.evidence=deciding",
)


class Case(NamedTuple):
    configuration: Configuration
    record: ArtifactSet
    config: SimulationConfig
    candles: Candles
    combinations: list
    again: Replay


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A training that rolled, its candles, and four combinations simulated again."""
    finished = run_here(tmp_path_factory.mktemp("replay"), *ROLLING)
    assert finished.status == 0, finished.err
    settings = load((), StorageOnly, "stored")
    with chdir(finished.folder), open_existing(settings) as repository:
        own = find(repository, "latest")
        record = read_record(settings.storage, own)
        config = simulation_config(repository, own)
        candles = load_candles_again(repository, own)
    combinations = [own.parameters | {STOP: s, TARGET: t} for s in (1.0, 2.0) for t in (2.0, 3.0)]
    combinations.append(own.parameters)
    again = replay(config, candles, combinations, record.in_sample.day, GAP)
    return Case(own, record, config, candles, combinations, again)


def kept_by_hand(case, combination, first, last):
    """Daily returns and trades of the reference path, marked by an account of its own."""
    per_day = DAY_MS // case.candles.step_ms
    begin = int(np.searchsorted(case.candles.day, first))
    window = Window(begin, begin + (last - first + 1) * per_day)
    alone = evaluator_of(case.config, case.candles, combination)
    trades = alone.trades(alone.space.point(combination), window)
    size, fee = case.config.risk.exposure, case.config.costs.fee_rate
    returns, before = [], 1.0
    for day in range(first, last + 1):
        end = begin + (day - first + 1) * per_day - 1
        equity = 1.0
        for trade in trades:
            if trade["exit_bar"] <= end:
                equity *= 1.0 + size * trade["ret"]
            elif trade["entry_bar"] <= end:
                moved = case.candles.close[end] / trade["entry"] - 1.0
                equity *= 1.0 + size * (trade["side"] * moved - fee)
        returns.append(equity / before - 1.0)
        before = equity
    return np.array(returns), len(trades)


def test_the_stored_one_has_the_days_of_its_record(case):
    assert np.array_equal(case.again.seen.day, case.record.in_sample.day)
    assert case.again.seen.daily[-1] == pytest.approx(case.record.in_sample.returns, abs=1e-12)
    assert case.again.seen.metrics["net_profit"][-1] == case.configuration.in_sample["net_profit"]


def test_unseen_are_the_days_before_less_the_gap(case):
    seen, unseen = case.again.seen.day, case.again.unseen.day
    assert len(seen) == TRAIN
    assert unseen[-1] == seen[0] - GAP - 1
    assert np.array_equal(unseen, np.arange(unseen[0], unseen[-1] + 1))
    assert unseen[0] == case.candles.day[0]
    assert case.again.after is None


def test_both_results_are_those_of_an_account_kept_by_hand(case):
    for period in (case.again.seen, case.again.unseen):
        first, last = int(period.day[0]), int(period.day[-1])
        for row, combination in enumerate(case.combinations):
            returns, trades = kept_by_hand(case, combination, first, last)
            assert period.daily[row] == pytest.approx(returns, abs=1e-9)
            figures = period.metrics[row]
            assert figures["sample_size"] == trades
            assert figures["net_profit"] == pytest.approx(np.prod(1.0 + returns) - 1.0, abs=1e-9)
            equity = np.cumprod(np.append(1.0, 1.0 + returns))
            lost = 1.0 - equity / np.maximum.accumulate(equity)
            assert figures["max_drawdown"] == pytest.approx(lost.max(), abs=1e-9)
    assert len(np.unique(case.again.unseen.metrics["net_profit"])) > 2


def test_of_a_search_that_saw_all_days_none_are_unseen(case):
    days = np.arange(case.candles.day[0], case.candles.day[-1] + 1, dtype=np.int32)
    again = replay(case.config, case.candles, case.combinations[:1], days, GAP)
    assert again.unseen is None


def test_days_after_those_of_the_search(case):
    seen = case.record.in_sample.day[:60] - 50
    again = replay(case.config, case.candles, case.combinations[:1], seen, GAP)
    assert again.after[0] == seen[-1] + GAP + 1
    assert again.after[-1] == case.candles.day[-1]
    assert len(again.unseen.day) == len(again.before) + len(again.after)
    first, last = int(again.after[0]), int(again.after[-1])
    returns, _ = kept_by_hand(case, case.combinations[0], first, last)
    assert again.unseen.daily[0][len(again.before) :] == pytest.approx(returns, abs=1e-9)


def test_days_since_the_training_are_told_from_those_that_it_had(case):
    seen, per_day = case.record.in_sample.day[:60] - 50, DAY_MS // case.candles.step_ms
    trained = len(case.candles) - 20 * per_day - 3  # it ended within a day, which it did not search
    again = replay(case.config, case.candles, case.combinations[:1], seen, GAP, trained)
    last = int(case.candles.day[-1])
    assert again.since.tolist() == list(range(last - 20, last + 1))
    assert (again.after[0], again.after[-1]) == (seen[-1] + GAP + 1, last - 21)
    returns, _ = kept_by_hand(case, case.combinations[0], last - 20, last)
    assert again.unseen.daily[0][-21:] == pytest.approx(returns, abs=1e-9)
    days = np.arange(case.candles.day[0], last - 10, dtype=np.int32)
    later = replay(case.config, case.candles, case.combinations[:1], days, GAP, trained)
    assert (later.after, later.since[0]) == (None, days[-1] + GAP + 1)
