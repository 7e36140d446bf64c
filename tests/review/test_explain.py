"""`scripts/explain`: what a database says of a configuration."""

import json
from contextlib import chdir

from pipeline import explain
from pipeline.config import StorageOnly, load
from pipeline.review.stored import find, open_existing, searched_grid
from support.runs import QUICK, SMALL_SIZE, run
from support.stored import command


def test_a_training_is_explained(fading):
    identity = fading.result["configuration_id"]
    finished = command(explain, fading.folder, identity)
    assert (finished.status, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert lines[:3] == [
        f"{identity}, binance:BTC/USDT:15m",
        "VALIDATION (beats luck: not known yet, a stricter test is not made; not asked: other"
        " markets, fill rate, adverse selection), size 0.5: it earned out of sample, and whether it"
        " beats luck is not known yet: a stricter test is not made. It earned more than holding the"
        " market.",
        "Next: Watch it on paper for a month. If it stays in its band, trade half of the full size"
        " at most: stricter tests are not passed.",
    ]
    assert "- number of trades out of sample is 31, at least 30 is needed: passed" in lines
    assert [line for line in lines if line and not line.startswith("- ")][3:] == [
        "Gates", "What would move it", "What came out of sample", "What the numbers do not prove",
    ]  # fmt: skip


def test_json_is_the_same(fading):
    found = json.loads(command(explain, fading.folder, "latest", "--json").out)
    assert found["stage"] == fading.result["lifecycle_stage"]
    assert [gate["name"] for gate in found["gates"]] == [g["name"] for g in fading.result["gates"]]
    text = command(explain, fading.folder, "latest").out
    said = (*found["moves"], *found["facts"], *found["caveats"])
    sentences = [*said, *(g["sentence"] for g in found["gates"])]
    assert [sentence for sentence in sentences if f"- {sentence}\n" not in text] == []


def test_invented_candles_are_marked(here):
    trained = here(*QUICK, "optimizer=random", "validation.evidence=deciding")
    finished = command(explain, trained.folder, "latest")
    assert finished.out.startswith("SYNTHETIC candles: nothing below says anything about a market.")
    assert f"\nSYNTHETIC {trained.result['lifecycle_stage']} (beats luck: " in finished.out


def test_the_grid_that_was_searched_is_counted(fading):
    with chdir(fading.folder), open_existing(load([], StorageOnly, "stored")) as repository:
        assert searched_grid(repository, find(repository, "latest")) == SMALL_SIZE


def test_it_takes_no_candles(fading):
    finished = command(explain, fading.folder, "latest", "data=file", "data.path=x.parquet")
    assert finished.status == 2
    assert "data is not a key: the keys are storage." in finished.err


def test_the_real_command(fading):
    finished = run(fading.folder, "latest", module="pipeline.explain")
    assert (finished.status, finished.err) == (0, "")
    assert "\nGates\n- net profit out of sample is +34.9 %" in finished.out


def test_a_damaged_artifact_is_said_as_by_the_studio(fading):
    identity = fading.result["configuration_id"]
    file = sorted((fading.folder / "var" / "artifacts" / identity).iterdir())[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    try:
        found = json.loads(command(explain, fading.folder, identity, "--json").out)
    finally:
        file.write_bytes(whole)
    assert (found["stage"], found["size"]) == (None, 0.0)
    assert file.name in found["verdict"]
