"""From a start to a live trader's poll: a real server, dispatcher and worker over PostgreSQL."""

import httpx2 as httpx

from support.serving import served, until

#: Two windows, so that a hundred searches against luck take seconds.
SMALL = {
    "markets": ["demo"],
    "optimizer": {"method": "random", "samples": 20},
    "validation": {
        "method": "walk_forward",
        "train": 45,
        "gap": 1,
        "test": 10,
        "evidence": "deciding",
    },
    "history": {"days": 70},
}


def test_from_a_start_to_a_poll(server, tmp_path):
    url = server.empty_database()
    with served(tmp_path, url=url) as (_, address), httpx.Client(base_url=address) as client:
        (job,) = client.post("/api/training/start", json=SMALL).json()["job_ids"]
        path = f"/api/training/jobs/{job}"
        told = client.get(f"{path}/events", timeout=60).text.split("\n\n")
        statuses = [event for event in told if "event: status" in event]
        assert [event.count('"completed"') for event in statuses] == [0, 0, 1]
        (found,) = until(lambda: client.get(f"{path}/results").json()["configurations"])
        assert (found["job_id"], found["synthetic"]) == (job, True)
        page = client.get("/api/configurations", params={"sort": "p_value", "pair": "DEMO/USDT"})
        assert page.json()["configurations"] == [found]
        follow(client, f"/api/configurations/{found['id']}")


def follow(client, path):
    """Switch a configuration on, poll, report its orders, and switch it off."""
    client.post(f"{path}/activate", json={"reason": "a dry run", "force": True})
    poll = client.get("/api/configurations/active")
    assert [one["document"] for one in poll.json()["configurations"]] == [client.get(path).json()]
    tag = {"If-None-Match": poll.headers["etag"]}
    assert client.get("/api/configurations/active", headers=tag).status_code == 304
    report = {"fill_rate": 0.2, "slippage": 0.001}
    assert client.post(f"{path}/execution", json=report).json()["lifecycle_stage"] == "PAPER"
    assert client.get("/api/configurations/active", headers=tag).status_code == 200
    client.post(f"{path}/deactivate", json={"reason": "hardly anything is filled"})
    kinds = [entry["kind"] for entry in client.get(f"{path}/audit").json()["audit"]]
    assert kinds == ["stored", "activated", "execution", "deactivated"]
