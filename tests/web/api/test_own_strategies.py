"""Strategies of the server's own folder are choices; nobody sends code or a path over the API."""

import hashlib
import os
import re
import sys

import pytest

from pipeline.strategies.registry import BUILT_IN
from pipeline.web.service import trial
from support.own_strategy import own_file

BROKEN = "import numpy as np\n\nSTRATEGY = Breakout(\n"
START, CHOICES = "/api/training/start", "/api/training/choices"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a strategy that works, one that is broken, and one that tells when it runs."""
    folder = tmp_path / "strategies"
    folder.mkdir()
    own_file(folder)
    (folder / "broken.py").write_text(BROKEN)
    (folder / "loud.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\nSTRATEGY = 1 / 0\n"
    )
    monkeypatch.setenv("STRATEGY_PATH", str(folder))
    return folder


def test_files_are_choices_behind_the_default_and_none_is_run(client, folder, tmp_path):
    words = client.get(CHOICES).json()["strategies"]
    assert words == [*BUILT_IN, "broken", "loud", "mine"]
    assert words[0] == "liquidity_sweep"
    assert client.get(f"{CHOICES}/mine").status_code == 200
    assert not (tmp_path / "ran").exists()


def test_a_choice_shows_what_its_class_declares(client, folder):
    choice = client.get(f"{CHOICES}/mine").json()
    text = (folder / "mine.py").read_text("utf-8")
    assert choice["name"] == "MINE_V1"
    assert choice["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert "text" not in choice
    for parameter in choice["parameters"]:
        assert parameter["unit"]
        assert parameter["meaning"].endswith(".")
        assert parameter["grid"]
    built_in = client.get(f"{CHOICES}/liquidity_sweep").json()
    assert built_in["sha256"] is None
    first = built_in["parameters"][0]
    assert (first["name"], first["low"], first["high"]) == ("pierce_depth", 0.0005, 0.005)


@pytest.mark.parametrize("word", ["broken", "loud"])
def test_a_broken_file_is_refused_when_it_is_chosen_and_harms_nobody_else(client, folder, word):
    for refused in (
        client.get(f"{CHOICES}/{word}"),
        client.post(START, json={"strategy": word, "markets": ["demo"]}),
        client.post("/api/training/estimate", json={"strategy": word, "markets": ["demo"]}),
    ):
        assert refused.status_code == 422
        assert re.search(rf"{word}\.py, line \d", refused.json()["detail"])
    assert client.get("/api/training/jobs").json()["jobs"] == []
    assert client.post(START, json={"markets": ["demo"]}).status_code == 202


def test_a_word_of_two_files_and_a_name_of_a_built_in_strategy_are_refused(
    client, repository, folder, tmp_path, monkeypatch
):
    (tmp_path / "more").mkdir()
    monkeypatch.setenv("STRATEGY_PATH", os.pathsep.join((str(folder), str(tmp_path / "more"))))
    own_file(tmp_path / "more", stored="OTHER_V1")
    own_file(folder, "fake", "SUPPLY_SHOCK_V3")
    for word, why in (("mine", "stands for .*more/mine.py"), ("fake", "'MY_SUPPLY_SHOCK_V3'")):
        for refused in (
            client.get(f"{CHOICES}/{word}"),
            client.post(START, json={"strategy": word, "markets": ["demo"]}),
        ):
            assert refused.status_code == 422
            assert re.search(why, refused.json()["detail"])
    assert repository.jobs.find() == []


def test_a_mended_file_is_taken_at_once(client, folder):
    body = {"strategy": "broken", "markets": ["demo"]}
    assert client.post(START, json=body).status_code == 422
    own_file(folder, "broken", "MENDED_V1")
    assert client.post(START, json=body).status_code == 202


def test_a_job_carries_the_text_as_it_was_and_lists_only_its_hash(client, repository, folder):
    texts = [(folder / "mine.py").read_text("utf-8")]
    texts.append(texts[0] + "# edited\n")
    ids = []
    for text in texts:
        (folder / "mine.py").write_text(text, "utf-8")
        (job_id,) = client.post(START, json={"strategy": "mine", "markets": ["demo"]}).json()[
            "job_ids"
        ]
        ids.append(job_id)
    (folder / "mine.py").unlink()
    assert [repository.jobs.read(i).config["strategy"]["text"] for i in ids] == texts
    listed = client.get("/api/training/jobs")
    hashes = {job["id"]: job["strategy_sha256"] for job in listed.json()["jobs"]}
    assert hashes == {
        i: hashlib.sha256(text.encode()).hexdigest() for i, text in zip(ids, texts, strict=True)
    }
    assert "def events" not in listed.text
    assert len(listed.text) < 5000


def test_ranges_reach_a_continuous_space(client, repository, folder):
    choice = client.get(f"{CHOICES}/mine").json()
    ranged = next(p for p in choice["parameters"] if p["low"] is not None)
    ends = [ranged["low"], ranged["low"] + (ranged["high"] - ranged["low"]) / 2]
    if ranged["integer"]:
        ends = [int(end) for end in ends]
    body = {
        "strategy": "mine",
        "markets": ["demo"],
        "optimizer": {"method": "random", "samples": 5},
        "space": "continuous",
        "ranges": {ranged["name"]: ends},
    }
    (job_id,) = client.post(START, json=body).json()["job_ids"]
    stored = repository.jobs.read(job_id).config["strategy"]["parameters"][ranged["name"]]
    assert [stored["low"], stored["high"]] == ends
    assert client.post(START, json=body | {"space": "grid"}).status_code == 422
    wrong = body | {"ranges": {"no_such": [1, 2]}}
    assert client.post(START, json=wrong).status_code == 422


CODE = "open('hacked', 'w')\nSTRATEGY = None\n"


@pytest.mark.parametrize(
    "sent",
    [
        {"strategy": "FOLDER/mine.py"},
        {"strategy": "../mine"},
        {"strategy": "mine.py"},
        {"strategy": "/etc/passwd"},
        {"strategy": "mine strategy_path=FOLDER"},
        {"strategy": "${oc.env:HOME}"},
        {"strategy": "unheard_of"},
        {"strategy": CODE},
        {"strategy": {"name": "mine", "text": CODE}},
        {"strategy": ["mine"]},
        {"strategy": None},
        {"text": CODE},
        {"file": "FOLDER/mine.py"},
        {"strategy_path": "FOLDER"},
        {"strategy_path": ["FOLDER"]},
        {"strategy.text": CODE},
        {"strategy.file": "FOLDER/mine.py"},
        {"parameters": {"strategy.text": [1]}},
        {"parameters": {"text": [CODE]}},
        {"parameters": {"../mine": [1]}},
        {"ranges": {"text": [CODE, CODE]}, "space": "continuous"},
        {"objective": "FOLDER/mine.py"},
        {"markets": ["FOLDER/mine.py"]},
        {"settings": {"strategy": "mine.py"}},
    ],
)
@pytest.mark.parametrize("address", [START, "/api/training/estimate"])
def test_neither_code_nor_a_path_is_taken(client, repository, folder, tmp_path, address, sent):
    written = {"markets": ["demo"]} | {
        key: value.replace("FOLDER", str(folder))
        if isinstance(value, str)
        else [v.replace("FOLDER", str(folder)) for v in value]
        if key in ("strategy_path", "markets")
        else value
        for key, value in sent.items()
    }
    refused = client.post(address, json=written)
    assert refused.status_code == 422
    detail = refused.json()["detail"]
    assert len(detail) > 20
    assert CODE not in detail
    assert repository.jobs.find() == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("query", ["strategy=mine", "strategy_path=/tmp", "strategy.text=1"])
def test_an_address_chooses_no_strategy(client, repository, folder, query):
    refused = client.post(f"{START}?{query}", json={"markets": ["demo"]})
    assert (refused.status_code, repository.jobs.find()) == (422, [])


@pytest.mark.parametrize(
    "word", ["mine.py", "..%2Fmine", "%2Fetc%2Fpasswd", "mine%00", "unheard_of", "a" * 65]
)
def test_the_address_of_a_choice_is_no_path(client, folder, word):
    assert client.get(f"{CHOICES}/{word}").status_code in (404, 422)


@pytest.mark.drill
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("while True: pass", 422),
        ("__import__('os')._exit(0)", 422),
        ("raise KeyboardInterrupt", 422),
        ("__import__('os').environ['STRATEGY_PATH'] = '/'", 200),
        ("__import__('sys').setrecursionlimit(50)", 422),
    ],
)
def test_no_file_takes_the_server_along(client, folder, monkeypatch, line, status):
    monkeypatch.setattr(trial, "LIMIT", 3.0)
    with (folder / "mine.py").open("a") as file:
        file.write(f"\n{line}\n")
    before, depth = os.environ["STRATEGY_PATH"], sys.getrecursionlimit()
    answer = client.get(f"{CHOICES}/mine")
    assert answer.status_code == status, answer.text
    assert (os.environ["STRATEGY_PATH"], sys.getrecursionlimit()) == (before, depth)
    assert client.get("/api/health").status_code == 200
    assert "loud" in client.get(CHOICES).json()["strategies"]
