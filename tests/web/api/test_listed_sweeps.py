"""Sweeps over HTTP, as the database has them."""

import csv
import io
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.config import TrainConfig, load
from pipeline.results.rows.sweeps import Claim, MarketSpec
from pipeline.training.job import description
from pipeline.validation.pooling import MarketSeries, pooled_verdict
from pipeline.web.service.answers import SweepProgress
from pipeline.web.studio.pages.sweeps import in_words, outcome

MARKETS = ("btc_binance_1h", "btc_kraken_1h")
DAYS = {"since": datetime(2025, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
def begun(repository):
    """The id of a sweep whose first market failed."""
    specs = [
        MarketSpec(name, name, description(load([f"market={name}"], TrainConfig, "train")))
        for name in MARKETS
    ]
    sweeps = repository.sweeps
    claim = sweeps.begin(
        key="5eed" * 16,
        strategy="liquidity_sweep",
        optimizer="grid",
        config={},
        engine_version="1",
        markets=specs,
        has_artifacts=None,
        **DAYS,
    )
    sweeps.claim_market(claim, 0)
    sweeps.settle(claim, 0, "No candles.")
    return claim.sweep_id


def test_a_sweep_is_shown_with_its_markets(client, begun):
    (listed,) = client.get("/api/sweeps").json()["sweeps"]
    found = client.get(f"/api/sweeps/{begun}").json()
    assert listed == found["sweep"] | {
        "markets": 2,
        "statuses": {"failed": 1, "pending": 1},
        "stages": {},
    }
    assert (listed["id"], listed["status"], listed["until"]) == (
        *(begun, "running", "2026-01-01T00:00:00Z"),
    )
    assert [(one["market"], one["status"], one["error"]) for one in found["markets"]] == [
        ("btc_binance_1h", "failed", "No candles."),
        ("btc_kraken_1h", "pending", None),
    ]


def test_a_judged_sweep_is_shown_with_its_pool(client, repository, begun):
    listed = client.get("/api/sweeps").json()["sweeps"]
    assert listed[0]["pooled"] is None, "not judged yet"
    sweep = repository.sweeps.sweep(begun)
    claim = Claim(begun, sweep.owner)
    day = np.arange(40, dtype=np.int32)
    series = [MarketSeries(coin, day, np.sin(day + i)) for i, coin in enumerate(("BTC", "ETH"))]
    pool = pooled_verdict(series, strategy="S", synthetic=False, left_out=1)
    repository.sweeps.write_judgement(claim, {}, [pool])
    (shown,) = client.get(f"/api/sweeps/{begun}").json()["sweep"]["pooled"]
    assert shown == asdict(pool)


def test_sweeps_come_in_pages(client, begun):
    first, beyond = (
        client.get("/api/sweeps", params={"limit": 1, "offset": at}).json() for at in (0, 1)
    )
    assert [one["id"] for one in first["sweeps"]] == [begun]
    assert beyond == {"sweeps": [], "refused": [], "total": 1, "limit": 1, "offset": 1}


def test_nothing_of_this_machine_is_shown(client, begun):
    (listed,) = client.get("/api/sweeps").json()["sweeps"]
    assert not {"owner", "config"} & listed.keys()


def test_its_markets_are_a_table(client, repository, begun):
    path = f"/api/sweeps/{begun}/markets"
    page = client.get(path).json()
    assert (page["total"], page["offset"]) == (2, 0)
    first, second = page["markets"]
    said = ("binance", "BTC/USDT", "1h", "real", "failed", "", "No candles.")
    names = ("exchange", "pair", "timeframe", "candles", "status", "stage", "error")
    assert tuple(first[name] for name in names) == said
    assert (second["net_profit"], second["q_value"], second["configuration"]) == (None, None, "")
    assert repository.sweeps.of_job(first["job"]) == [begun]
    rows = list(csv.DictReader(io.StringIO(client.get(path, params={"format": "csv"}).text)))
    assert [row["market"] for row in rows] == list(MARKETS)
    ends = repository.sweeps.outcomes([begun])[begun]
    assert [end[1:] for end in ends] == [("failed", None), ("pending", None)]
    assert ends[0][0] == "binance:BTC/USDT:1h"
    assert client.get(f"/api/sweeps/{'0' * 32}/markets").status_code == 404


def test_a_text_with_commas_is_quoted(client, repository, begun):
    sweeps = repository.sweeps
    claim = Claim(begun, sweeps.sweep(begun).owner)
    sweeps.claim_market(claim, 1)
    sweeps.settle(claim, 1, 'It said "no", twice.')
    text = client.get(f"/api/sweeps/{begun}/markets", params={"format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["error"] for row in rows] == ["No candles.", 'It said "no", twice.']


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([("a", "done", "PAPER")] * 2 + [("b", "done", "VALIDATION")], "1 VALIDATION, 2 PAPER"),
        ([("a", "done", None), ("b", "failed", None)], "1 failed, 1 nothing stored"),
        (
            [("a", "done", "SYNTHETIC PAPER"), ("b", "pending", None)],
            "1 SYNTHETIC PAPER, 1 waiting",
        ),
    ],
)
def test_an_outcome_counts_stages_the_highest_first(ends, said):
    assert outcome(ends).partition(": ")[2] == said


def test_several_strategies_are_counted_as_trainings():
    ends = [(market, "done", "PAPER") for market in ("a", "a", "b", "b")]
    assert outcome(ends) == "4 trainings of 2 markets: 4 PAPER"
    progress = SweepProgress(ended=1, total=4, progress=0.25, seconds_left=None)
    assert in_words(progress, "running", 2) == "1 of 4 trainings ended, 25 %"
    assert in_words(progress, "running", 4) == "1 of 4 markets ended, 25 %"
