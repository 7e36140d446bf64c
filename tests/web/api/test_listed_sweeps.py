"""Sweeps over HTTP, as the database has them."""

from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.config import TrainConfig, load
from pipeline.results.sweeps import Claim, MarketSpec
from pipeline.training.job import description
from pipeline.validation.pooling import MarketSeries, pooled_verdict

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
    assert found["sweep"] == listed
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
