"""What was edited by anything but the program is not served, and whoever asks hears why."""

import pytest
from sqlalchemy import create_engine, text

ACTIVE = "/api/configurations/active"
WHY = "column oos_net_profit is not what was stored"


@pytest.fixture
def service(trained_service):
    return trained_service


def test_an_edited_stage_is_named_nowhere_and_does_no_harm_once_put_back(client, service, tmp_path):
    repository = service.repository
    (genuine,) = repository.configurations.find()
    path = f"/api/configurations/{genuine.id}"
    forced = {"reason": "a dry run", "force": True}
    assert client.post(f"{path}/activate", json=forced).status_code == 200
    engine = create_engine(f"sqlite:///{tmp_path}/var/trainings.db")
    statement = text("UPDATE trained_configurations SET lifecycle_stage = :stage")
    with engine.begin() as connection:
        connection.execute(statement, {"stage": "MATURE"})
    explained = client.get(f"{path}/explanation").json()
    assert "MATURE" not in explained["verdict"] + explained["badge"] + explained["moves"][0]
    assert client.post(f"{path}/deactivate", json={"reason": "edited"}).status_code == 200
    with engine.begin() as connection:
        connection.execute(statement, {"stage": genuine.lifecycle_stage})
    engine.dispose()
    assert {entry["fault"] for entry in client.get(f"{path}/audit").json()["audit"]} == {None}
    assert client.post(f"{path}/activate", json=forced).status_code == 200
    assert listed(client)[1:] == ([genuine.id], [])


def test_artifacts_that_are_away_are_not_switched_on(client, service, tmp_path):
    (genuine,) = service.repository.configurations.find()
    path, root = f"/api/configurations/{genuine.id}/activate", tmp_path / "var/artifacts"
    root.rename(tmp_path / "away")
    refused = client.post(path, json={"reason": "a dry run", "force": True})
    assert (refused.status_code, "mount it" in refused.json()["detail"]) == (409, True)
    (tmp_path / "away").rename(root)
    assert client.post(path, json={"reason": "a dry run", "force": True}).status_code == 200


def test_of_edited_artifacts_nothing_is_advised_but_to_mend_them(client, service, tmp_path):
    (genuine,) = service.repository.configurations.find()
    path = f"/api/configurations/{genuine.id}/explanation"
    before = client.get(path).json()
    file = tmp_path / "var/artifacts" / genuine.id / "trades.parquet"
    stored = file.read_bytes()
    file.write_bytes(stored[:-9])
    explained = client.get(path).json()
    assert (explained["stage"], explained["size"]) == (None, 0.0)
    assert explained["next_step"]["action"] == "mend"
    report = service.report(genuine.id)
    assert (report.explanation.stage, report.daily) == (None, None)
    assert "artifact trades.parquet is not what was stored" in report.checked.objections
    file.write_bytes(stored)
    assert client.get(path).json() == before


def test_a_reason_that_is_too_short_is_asked_for(client, stored):
    refused = client.post(f"{stored()}/deactivate", json={"reason": "ok"})
    assert refused.status_code == 422
    assert "body.reason: say why, in at least 3 characters" in refused.json()["detail"]


def edit(folder, identity, profit):
    engine = create_engine(f"sqlite:///{folder}/var/trainings.db")
    statement = "UPDATE trained_configurations SET oos_net_profit = :profit WHERE id = :id"
    with engine.begin() as connection:
        connection.execute(text(statement), {"profit": profit, "id": identity})
    engine.dispose()


def listed(client, **headers):
    answer = client.get(ACTIVE, headers=headers)
    return answer, [one["id"] for one in answer.json()["configurations"]], answer.json()["refused"]


def test_a_row_that_cannot_be_read_is_switched_off(client, stored, tmp_path):
    path = stored()
    identity = path.rpartition("/")[2]
    client.post(f"{path}/activate", json={"reason": "it passed"})
    engine = create_engine(f"sqlite:///{tmp_path}/var/trainings.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE trained_configurations SET document = '{'"))
    assert client.get(path).status_code == 409
    refused = listed(client)[2]
    off = client.post(f"{path}/deactivate", json={"reason": "it is damaged"})
    assert off.status_code == 200
    assert off.json() | {**refused[0], "is_active": False, "recorded": True} == off.json()
    assert off.json()["id"] == identity
    assert listed(client)[1:] == ([], [])
    with engine.begin() as connection:
        flags = connection.execute(text("SELECT is_active FROM trained_configurations"))
        assert not any(flags.scalars())
        kinds = connection.execute(text("SELECT kind FROM configuration_events ORDER BY at"))
        assert kinds.scalars().all()[-2:] == ["activated", "deactivated"]
    engine.dispose()


def test_an_edited_row_is_refused_until_it_is_put_back(client, stored, tmp_path):
    path = stored()
    identity = path.rpartition("/")[2]
    profit = client.post(f"{path}/activate", json={"reason": "it passed"}).json()["oos_net_profit"]
    before, ids, refused = listed(client)
    assert (ids, refused) == ([identity], [])
    edit(tmp_path, identity, 9.0)
    tag = {"If-None-Match": before.headers["etag"]}
    assert client.get(ACTIVE, headers=tag).status_code == 304, "it holds what was true"
    after, ids, refused = listed(client)
    assert (ids, refused) == ([], [{"id": identity, "reason": WHY}])
    assert after.headers["etag"] != before.headers["etag"]
    again = {"If-None-Match": after.headers["etag"]}
    assert client.get(ACTIVE, headers=again).status_code == 304

    shown = client.get(path)
    assert (shown.status_code, WHY in shown.json()["detail"]) == (409, True)
    explained = client.get(f"{path}/explanation").json()
    assert explained["verdict"].startswith(f"NOT AS IT WAS STORED: {WHY}. ")
    assert (explained["size"], explained["stage"]) == (0, None)
    assert explained["badge"] == "NOT AS IT WAS STORED"
    report = client.post(f"{path}/execution", json={"fill_rate": 0.9})
    assert (report.status_code, WHY in report.json()["detail"]) == (409, True)

    off = client.post(f"{path}/deactivate", json={"reason": "it was edited"})
    assert off.json()["is_active"] is False
    on = client.post(f"{path}/activate", json={"reason": "all the same", "force": True})
    assert (on.status_code, WHY in on.json()["detail"]) == (409, True)
    edit(tmp_path, identity, profit)
    assert client.post(f"{path}/activate", json={"reason": "put back"}).status_code == 200
    assert listed(client)[1:] == ([identity], [])
