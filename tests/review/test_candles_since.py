"""Candles that came into the store after a training, which its search has not seen."""

import re
from contextlib import chdir
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.config import TrainConfig, load
from pipeline.market_data.sources import GENERATORS
from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.review.stored import stored_since
from support.runs import SMALL_GRID, run_here
from support.serving import service_over

START = round(datetime(2023, 1, 1, tzinfo=UTC).timestamp() * 1000)
TRAINED = datetime(2023, 4, 11, tzinfo=UTC)  # 100 days
MADE = GENERATORS["clock"](130, "1h", 7, 0.6)
ROWS = replace(MADE, timestamp=MADE.timestamp - MADE.timestamp[0] + START)


def keep(store, days, *answered):
    """Put candles of the first days into the store, which answers for some days."""
    spans = [(START + first * DAY_MS, START + round(after * DAY_MS)) for first, after in answered]
    folder = candle_path(store, "binance", "BTC/USDT", "1h")
    save(folder, EMPTY.overlay(ROWS.take(ROWS.timestamp < START + days * DAY_MS), spans), "x")


@pytest.mark.parametrize(
    ("answered", "last"),
    [
        ([(0, 100)], None),
        ([(0, 100.5)], None),
        ([(0, 103.5)], 103),
        ([(0, 102), (105, 130)], 102),
        ([(0, 230)], 200),  # as many again at most
    ],
)
def test_full_days_that_follow_without_a_hole_are_taken(tmp_path, answered, last):
    keep(tmp_path, 100, *answered)
    config = load(["market=btc_binance_1h", f"data.store={tmp_path}"], TrainConfig, "train")
    first, end = ("2023-01-01T00:00:00+00:00", "2023-04-10T23:00:00+00:00")
    told = {"first_candle": first, "last_candle": end}
    data, hole = stored_since(config, SimpleNamespace(provenance=told, timeframe="1h"))
    said = "from 2023-04-16 00:00.*USDT:1h data.since=2023-04-13 data.until=2023-04-16 asks"
    assert hole == "" if last != 102 else re.match(said, hole)
    if last is None:
        assert data is None
    else:
        assert (data.since_ms, data.until_ms) == (START, START + last * DAY_MS)


@pytest.mark.slow
def test_the_best_are_simulated_on_the_days_since_the_training(tmp_path):
    store = tmp_path / "var" / "candles"
    keep(store, 100, (0, 100))
    days = ("data.since=2023-01-01", f"data.until={TRAINED:%Y-%m-%d}", "data.archive=never")
    quality = ("data.quality.outliers=null", "data.quality.largest_volume_change=null")
    split = ("validation=train_test_split", "validation.test=20", "validation.evidence=deciding")
    market = ("market=btc_binance_1h", "optimizer=grid", "min_trades=3", *days, *quality, *split)
    finished = run_here(tmp_path, *market, *SMALL_GRID)
    assert finished.status == 0, finished.err
    with chdir(finished.folder), service_over(finished.folder) as service:
        (own,) = service.repository.configurations.find()
        search = service.searches.of(own.id)
        before = service.searches.replayed(search)
        assert before.since is None
        keep(store, 130, (0, 130))
        after = service.searches.replayed(search)
        assert (len(after.since), after.refused) == (30, "")
        assert np.array_equal(after.seen.daily, before.seen.daily)
        assert len(after.unseen.day) == 30 + (
            0 if before.unseen is None else len(before.unseen.day)
        )
