"""Configurations side by side over HTTP, and their list as a table."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from pipeline.results.rows.sweeps import MarketSpec
from support.runs import Finished
from support.stored import sql

_BACK = "lifecycle_stage = 'MATURE', synthetic = 0 WHERE id = :id"


@pytest.fixture
def service(trained_service):
    return trained_service


@pytest.fixture
def two(client, stored):
    """The ids of the trained configuration and its copy, which keeps no artifacts."""
    stored()
    page = client.get("/api/configurations", params={"sort": "created_at"}).json()
    return sorted((one["id"] for one in page["configurations"]), key=lambda one: "abcdef" in one)


def compare(client, *ids):
    answer = client.get("/api/compare", params=[("id", one) for one in ids])
    return answer.status_code, answer.json()


def test_two_are_set_side_by_side(client, two):
    status, found = compare(client, *two)
    assert status == 200
    assert (found["ids"], found["refused"]) == (two, [])
    lines = {line["name"]: line for line in found["figures"]}
    summaries = [client.get("/api/configurations").json()["configurations"]]
    net = {one["id"]: one["oos_net_profit"] for one in summaries[0]}
    assert lines["net_profit"]["values"] == [net[one] for one in two]
    assert lines["stage"]["values"][1] == "MATURE"
    assert not any(line["differs"] for line in found["parameters"])
    days = len(client.get(f"/api/configurations/{two[0]}/equity").json()["equity"])
    assert found["days"] == [[days, 0], [0, 0]]
    assert found["correlation"][1] == [None, None]


@pytest.mark.parametrize(
    ("names", "status", "said"),
    [
        ((0,), 422, "id: name 2 to 6 configurations; 1 were named."),
        ((0, 1, 0), 422, "id: a configuration was named twice."),
        ((0, "LIQUIDITY_SWEEP_V3_20230101_000000_ffffff"), 404, "no configuration has this id"),
        ((0, "nothing"), 422, "PATTERN_DATE_TIME_HEX"),
    ],
)
def test_what_cannot_be_compared_is_said_in_words(client, two, names, status, said):
    got, problem = compare(client, *(two[one] if isinstance(one, int) else one for one in names))
    assert got == status
    assert said in problem["detail"]


def test_one_that_was_edited_is_refused(client, two, tmp_path):
    finished = Finished(0, "", "", tmp_path)
    sql(finished, "UPDATE trained_configurations SET p_value = 0.5 WHERE id = :id", id=two[1])
    status, problem = compare(client, *two)
    assert status == 409
    assert two[1] in problem["detail"]


def test_edited_days_are_not_drawn(client, two, tmp_path):
    (tmp_path / "var/artifacts" / two[0] / "out_of_sample.parquet").write_bytes(b"PAR1")
    status, found = compare(client, *two)
    assert status == 200
    assert found["days"] == [[0, 0], [0, 0]]
    assert any("A has no curve" in remark for remark in found["remarks"])


def test_the_list_is_a_table(client, two, tmp_path):
    path = "/api/configurations/table"
    rows = list(csv.DictReader(io.StringIO(client.get(path, params={"format": "csv"}).text)))
    assert {row["id"] for row in rows} == set(two)
    page = client.get(path, params={"exchange": "binance"}).json()
    (row,) = page["configurations"]
    listed = client.get("/api/configurations", params={"exchange": "binance"}).json()
    (summary,) = listed["configurations"]
    assert page["total"] == 1
    assert (row["net_profit"], row["q_value"]) == (summary["oos_net_profit"], None)
    assert (row["method"], row["seed"]) == (summary["optimizer"], summary["seed"]) == ("grid", 0)
    assert row["first_day"] == summary["first_day"]
    finished = Finished(0, "", "", tmp_path)
    sql(finished, "UPDATE trained_configurations SET p_value = 0.5 WHERE id = :id", id=two[1])
    parquet = client.get(path, params={"format": "parquet"}).content
    read = pq.read_table(io.BytesIO(parquet)).to_pylist()
    refused = {row["id"]: row["refused"] for row in read}
    assert refused[two[0]] == ""
    assert "p_value" in refused[two[1]]
    assert next(row for row in read if row["id"] == two[1])["net_profit"] is None


def test_a_sweep_does_not_show_what_was_edited(client, service, stored, tmp_path, repository):
    path = stored()
    (found,) = client.get("/api/configurations", params={"exchange": "binance"}).json()[
        "configurations"
    ]
    assert path.endswith(found["id"])
    job = repository.jobs.read(found["job_id"])
    names = ("exchange", "pair", "timeframe", "strategy", "optimizer", "config", "config_hash")
    spec = {name: getattr(job, name) for name in (*names, "seed")}
    sweeps, now = repository.sweeps, datetime.now(UTC)
    claim = sweeps.begin(
        key="5eed" * 16,
        strategy=job.strategy,
        optimizer=job.optimizer,
        config={},
        engine_version="1",
        markets=[MarketSpec("real", "real", spec)],
        has_artifacts=None,
        since=now,
        until=now,
    )
    job_id = sweeps.claim_market(claim, 0)
    row = repository.configurations.read(found["id"])
    identity = f"{row.id[:-6]}fedcba"
    copy = replace(row, id=identity, job_id=job_id, document=row.document | {"id": identity})
    repository.configurations.save(copy)
    sweeps.settle(claim, 0, None)
    address = f"/api/sweeps/{claim.sweep_id}/markets"
    (market,) = client.get(address).json()["markets"]
    assert (market["stage"], market["configuration"]) == ("MATURE", identity)
    assert market["net_profit"] == found["oos_net_profit"]
    sql(
        Finished(0, "", "", tmp_path),
        "UPDATE trained_configurations SET oos_net_profit = 9 WHERE id = :id",
        id=identity,
    )
    (market,) = client.get(address).json()["markets"]
    assert (market["stage"], market["net_profit"]) == ("", None)
    assert market["status"] == "not as it was stored"
    assert identity in market["error"]

    def stages():
        (listed,) = client.get("/api/sweeps").json()["sweeps"]
        return listed["stages"]

    assert stages() == {"MATURE": 1}
    for change in ("lifecycle_stage = 'PAPER'", "synthetic = 1"):
        statement = f"UPDATE trained_configurations SET {change} WHERE id = :id"
        sql(Finished(0, "", "", tmp_path), statement, id=identity)
        assert stages() == {"not as it was stored": 1}
        sql(Finished(0, "", "", tmp_path), f"{statement[:34]}{_BACK}", id=identity)
    sql(Finished(0, "", "", tmp_path), "UPDATE configuration_events SET digests = '{'")
    assert stages() == {"not as it was stored": 1}
