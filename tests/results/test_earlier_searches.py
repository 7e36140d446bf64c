"""Searches of the same market and days that a database holds already."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.results.database import Repository

MARKET = {"exchange": "binance", "pair": "BTC/USDT", "timeframe": "5m", "synthetic": False}
ORIGIN = {
    "config_hash": "c0",
    "seed": 9_000_000_000_000_000_000,
    "data_hash": "d0",
    "first_candle": "2023-02-01T00:00:00+00:00",
    "last_candle": "2023-03-31T23:55:00+00:00",
}
BEFORE = {"first_candle": "2022-02-01T00:00:00+00:00", "last_candle": "2023-01-31T23:55:00+00:00"}
ONE_BAR = {"first_candle": "2023-03-31T23:55:00+00:00", "last_candle": "2024-01-01T00:00:00+00:00"}


@pytest.fixture
def count(
    repository: Repository, example_job: dict[str, Any], example: Callable[..., Any]
) -> Callable[..., int]:
    """Store searches, each by what it differs in, and count those before `ORIGIN`."""

    def made(*searches: dict[str, Any], **asked: Any) -> int:
        for number, changes in enumerate(searches):
            job_id = repository.jobs.create(**example_job)
            repository.jobs.start(job_id)
            origin = {n: changes.get(n, value) for n, value in ORIGIN.items()}
            market = {n: changes[n] for n in MARKET if n in changes}
            identity = f"LIQUIDITY_SWEEP_V3_20230131_235959_{number:06x}"
            record = example(job_id, id=identity, provenance=origin, **market)
            repository.configurations.save(record)
        others = repository.configurations.earlier_searches(provenance=ORIGIN, **(MARKET | asked))
        assert others.uncounted == ()
        return others.count

    return made


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, 0),  # the same once more
        ({"seed": 8}, 1),
        ({"config_hash": "c1"}, 1),
        ({"data_hash": "d1"}, 1),
        ({"seed": 8, **ONE_BAR}, 1),
        ({"seed": 8, **BEFORE}, 0),
        ({"seed": 8, "pair": "ETH/USDT"}, 0),
        ({"seed": 8, "exchange": "kraken"}, 0),
        ({"seed": 8, "timeframe": "15m"}, 0),
        ({"seed": 8, "synthetic": True}, 0),
    ],
)
def test_a_search_counts_where_market_and_days_are_the_same(
    count: Callable[..., int], changes: dict[str, Any], counted: int
) -> None:
    assert count(changes) == counted


def test_a_search_that_was_made_twice_counts_once(count: Callable[..., int]) -> None:
    assert count({"seed": 8}, {"seed": 8}, {"seed": 9}, {}) == 2


def test_generated_candles_are_the_same_only_where_every_candle_is(
    count: Callable[..., int],
) -> None:
    others = ({"seed": 8}, {"seed": 8, "data_hash": "d1"})
    assert count(*({**one, "synthetic": True} for one in others), synthetic=True) == 1


#: Provenance that no training stores, and whether PostgreSQL takes it.
DAMAGE = {
    "{": False,
    '{"seed": NaN}': False,
    "[" * 5_000: False,
    "null": True,
    "7": True,
    "[]": True,
    "{}": True,
    json.dumps(ORIGIN | {"seed": "7"}): True,
    json.dumps(ORIGIN | {"config_hash": 7}): True,
    json.dumps(ORIGIN | {"data_hash": {}}): True,
    json.dumps(ORIGIN | {"first_candle": "soon"}): True,
    json.dumps(ORIGIN | {"last_candle": "2023-02-01"}): True,
}


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("synthetic", [False, True])
def test_what_cannot_be_counted_is_named_and_the_others_are_counted(
    repository: Repository, count: Callable[..., int], damage: str, synthetic: bool
) -> None:
    on_postgresql = repository.engine.dialect.name == "postgresql"
    if on_postgresql and not DAMAGE[damage]:
        pytest.skip("its columns take nothing but JSON")
    searches = [{"seed": 8}, {"seed": 9}, {"seed": 10}, {"seed": 11, "pair": "ETH/USDT"}]
    assert count(*(one | {"synthetic": synthetic} for one in searches), synthetic=synthetic) == 3
    first, *_, elsewhere = sorted(repository.configurations.ids())
    kind = "JSONB" if on_postgresql else "TEXT"
    edit = f"UPDATE trained_configurations SET provenance = CAST(:it AS {kind})"
    with repository.engine.begin() as connection:
        for identity in (first, elsewhere):
            connection.execute(text(f"{edit} WHERE id = :id"), {"it": damage, "id": identity})
    others = repository.configurations.earlier_searches(
        provenance=ORIGIN, **(MARKET | {"synthetic": synthetic})
    )
    assert (others.count, others.uncounted) == (2, (first,))


def test_a_job_that_cannot_be_read_hides_no_other_try(repository, example_job):
    first, second = (repository.jobs.create(**example_job) for _ in range(2))
    market = repository.jobs.read(second).market
    for config in ('"text"', '{"a'):  # the second is taken by SQLite alone
        if repository.engine.dialect.name == "sqlite" or config == '"text"':
            with repository.engine.begin() as connection:
                update = text("update training_jobs set config = :config where id = :id")
                connection.execute(update, {"config": config, "id": first})
            assert len(repository.tries.of([market], 10)) == 1
