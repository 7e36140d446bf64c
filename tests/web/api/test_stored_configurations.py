"""What was trained is looked at, switched on and off, and judged again with live orders."""

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from pipeline.web.service.service import objection

ACTIVE = "/api/configurations/active"


@pytest.fixture
def service(trained_service):
    return trained_service


def told(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def test_activation_below_validation_names_the_failed_gate_and_changes_nothing(client, stored):
    path = stored(surrogate_p=0.3)
    said = told(client.post(f"{path}/activate", json={"reason": "looks right"}), 409)["detail"]
    assert "is in DISCOVERY, and VALIDATION is needed. Failed: surrogate_p (" in said
    assert "sample_size" not in said
    assert [entry["kind"] for entry in told(client.get(f"{path}/audit"))["audit"]] == ["stored"]
    assert told(client.get(ACTIVE))["configurations"] == []


def test_what_has_size_0_in_mature_needs_force_too(client, trained_service, stored):
    path = stored()
    identity = path.rpartition("/")[2]
    real = trained_service.configuration(identity)
    assert objection(real) == ""
    assert objection(replace(real, gates=[])) == "has size 0"
    assert objection(replace(real, synthetic=True)) == (
        "has size 0, because its candles were invented"
    )
    found = replace(real, synthetic=True)
    trained_service.configuration = lambda _: found
    said = told(client.post(f"{path}/activate", json={"reason": "looks right"}), 409)["detail"]
    assert said.startswith(f"{identity} has size 0, because its candles were invented. To activate")


def test_every_switch_is_in_the_audit_trail(client, stored):
    path = stored(surrogate_p=0.3)
    forced = {"reason": "a dry run", "force": True}
    off = {"reason": "enough"}
    assert told(client.post(f"{path}/deactivate", json=off))["switched_at"] is None
    came = [
        told(client.post(f"{path}/{word}", json=json))
        for word, json in (("activate", forced), ("deactivate", off))
        for _ in range(2)  # of the second there is nothing to keep
    ]
    assert [one["is_active"] for one in came] == [True, True, False, False]
    assert [one["recorded"] for one in came] == [True, False, True, False]
    first, *trail = told(client.get(f"{path}/audit"))["audit"]
    assert [one["switched_at"] for one in came[::2]] == [entry["at"] for entry in trail]
    assert [one["switched_at"] for one in came[1::2]] == [entry["at"] for entry in trail]
    assert first["kind"] == "stored"
    assert [(e["kind"], e["reason"], e["figures"]["forced"]) for e in trail] == [
        ("activated", "a dry run", True),
        ("deactivated", "enough", False),
    ]


def test_validation_and_above_need_no_force(client, stored):
    path = stored()
    assert told(client.post(f"{path}/activate", json={"reason": "it passed"}))["is_active"]
    _, entry = told(client.get(f"{path}/audit"))["audit"]
    assert entry["figures"] == {"forced": False}


def test_a_poll_is_answered_304_until_something_changes(client, stored):
    path = stored()
    nothing = client.get(ACTIVE).headers["etag"]
    client.post(f"{path}/activate", json={"reason": "it passed"})
    answer = client.get(ACTIVE, headers={"If-None-Match": nothing})
    (found,) = told(answer)["configurations"]
    assert (found["lifecycle_stage"], found["size"]) == ("MATURE", 1.0)
    tag = {"If-None-Match": answer.headers["etag"]}
    same = client.get(ACTIVE, headers=tag)
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == answer.headers["etag"]
    client.post(f"{path}/execution", json={"adverse_selection_score": 0.5})
    (found,) = told(client.get(ACTIVE, headers=tag))["configurations"]
    assert (found["lifecycle_stage"], found["size"]) == ("VALIDATION", 0.5)


def test_a_tag_is_found_in_any_form(client, stored):
    client.post(f"{stored()}/activate", json={"reason": "it passed"})
    tag = client.get(ACTIVE).headers["etag"]
    for given in (f"W/{tag}", f'"a", W/{tag} ,"b"', f'"a,b",{tag}', "*"):
        assert client.get(ACTIVE, headers={"If-None-Match": given}).status_code == 304
    two = [("If-None-Match", '"a"'), ("If-None-Match", tag)]
    assert client.get(ACTIVE, headers=two).status_code == 304
    for given in (tag.strip('"'), f'"a" {tag}', "", tag.upper()):
        assert client.get(ACTIVE, headers={"If-None-Match": given}).status_code == 200


def test_what_was_demoted_stays_listed_with_size_0_under_another_tag(client, stored):
    path = stored()
    client.post(f"{path}/activate", json={"reason": "it passed"})
    tags = [client.get(ACTIVE).headers["etag"]]
    for fill_rate, stage, size in ((0.2, "PAPER", 0.0), (0.9, "MATURE", 1.0)):
        client.post(f"{path}/execution", json={"fill_rate": fill_rate})
        answer = client.get(ACTIVE, headers={"If-None-Match": tags[-1]})
        (found,) = told(answer)["configurations"]
        assert (found["lifecycle_stage"], found["size"]) == (stage, size)
        assert found["document"]["risk_allocation"]["max_position_size"] == size
        tags.append(answer.headers["etag"])
    assert len(set(tags)) == 3
    assert told(client.get(f"{path}/audit"))["audit"][2]["reason"].startswith(
        "Live orders: fill_rate 0.2 ("
    )


def test_live_orders_judge_the_stage_anew(client, stored):
    path = stored()
    live = {"fill_rate": 0.9, "adverse_selection_score": 0.5, "slippage": 0.0004}
    assert told(client.post(f"{path}/execution", json=live))["lifecycle_stage"] == "VALIDATION"
    document = told(client.get(path))
    assert document["status"] == "VALIDATION"
    assert document["execution_metrics"]["slippage_vs_mid_bps"] == pytest.approx(4.0)
    assert told(client.post(f"{path}/execution", json={"fill_rate": 0.2}))["lifecycle_stage"] == (
        "PAPER"
    )
    first, *trail = told(client.get(f"{path}/audit"))["audit"]
    assert first["kind"] == "stored"
    assert [(e["from_stage"], e["to_stage"], e["figures"]) for e in trail] == [
        ("MATURE", "VALIDATION", live),
        ("VALIDATION", "PAPER", {"fill_rate": 0.2}),
    ]


def test_the_same_report_twice_is_recorded_once(client, stored):
    path = stored()
    for _ in range(2):
        told(client.post(f"{path}/execution", json={"fill_rate": 0.9}))
    assert len(told(client.get(f"{path}/audit"))["audit"]) == 1 + 1


def test_documents_are_described(client, stored):
    path = stored()
    described = client.get("/api/openapi.json").json()
    get = described["paths"]["/api/configurations/{configuration_id}"]["get"]
    (said,) = get["responses"]["200"]["content"].values()
    schema = {**said["schema"], "components": described["components"]}
    assert list(Draft202012Validator(schema).iter_errors(told(client.get(path)))) == []
    assert list(Draft202012Validator(schema).iter_errors({"id": "x"}))
    models = described["components"]["schemas"]
    section = models["ConfigurationV3"]["properties"]["risk_allocation"]["$ref"]
    assert "max_position_size" in models[section.rpartition("/")[2]]["properties"]
    found = (
        said["schema"],
        models["JobResults"]["properties"]["documents"]["items"],
        models["ActiveConfiguration"]["properties"]["document"],
    )
    assert {schema["$ref"] for schema in found} == {"#/components/schemas/ConfigurationV3"}


def test_the_audit_trail_comes_in_pages(client, stored):
    path = stored()
    client.post(f"{path}/activate", json={"reason": "it passed"})
    pages = [
        told(client.get(f"{path}/audit", params={"limit": 1, "offset": at})) for at in (0, 1, 2)
    ]
    assert [page["total"] for page in pages] == [2, 2, 2]
    assert [entry["kind"] for page in pages for entry in page["audit"]] == ["stored", "activated"]


def test_results_are_the_configuration_and_its_document(client):
    (job,) = told(client.get("/api/training/jobs"))["jobs"]
    found = told(client.get(f"/api/training/jobs/{job['id']}/results"))
    (summary,) = found["configurations"]
    assert found["job"]["status"] == "completed"
    assert summary["synthetic"] is True
    path = f"/api/configurations/{summary['id']}"
    assert found["documents"] == [told(client.get(path))]
    explained = told(client.get(f"{path}/explanation"))
    assert explained["stage"] == summary["lifecycle_stage"]
    told_luck = explained["luck"]["answer"], explained["luck"]["reason"]
    assert (summary["beats_luck"], summary["luck_reason"]) == told_luck
    page = told(client.get("/api/configurations", params={"synthetic": True, "limit": 1}))
    assert (page["total"], page["configurations"]) == (1, [summary])
