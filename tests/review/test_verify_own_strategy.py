"""`scripts/verify` of an own strategy: the stored text is what counts, its file may be another."""

import json
import os

import pytest

from pipeline import verify
from pipeline.strategies.registry import PATH_VARIABLE
from support.own_strategy import own_file
from support.runs import QUICK, run_here
from support.stored import command

TRAINING = (
    *QUICK,
    "strategy=mine",
    "optimizer=random",
    "optimizer.samples=30",
    "validation.evidence=deciding",
    "validation.surrogate_count=20",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of an own file that is no longer there."""
    folder = tmp_path_factory.mktemp("own")
    path = own_file(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PATH_VARIABLE, str(folder))
        finished = run_here(folder, *TRAINING)
    path.unlink()
    assert finished.result["configuration_id"].startswith("MINE_V1_"), finished.err
    return finished


def _gone(folder):
    pass


def _edited(folder):
    path = own_file(folder)
    path.write_text(path.read_text() + "# a thought\n")


def _twice(folder):
    (folder / "more").mkdir()
    for place in (folder, folder / "more"):
        own_file(place)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_gone, ()),
        (own_file, ()),
        (_edited, ("strategy=mine is now a file with another text",)),
        (_twice, ("compared with no file: strategy=mine stands for",)),
    ],
)
def test_the_stored_text_is_verified(trained, tmp_path, monkeypatch, change, said):
    change(tmp_path)
    monkeypatch.setenv(PATH_VARIABLE, os.pathsep.join((str(tmp_path), str(tmp_path / "more"))))
    finished = command(verify, trained.folder, "latest", "--json")
    receipt = json.loads(finished.out)
    assert (finished.status, receipt["agrees"]) == (0, True), receipt["first_difference"]
    assert len(receipt["notes"]) == len(said)
    assert all(part in note for part, note in zip(said, receipt["notes"], strict=True))


def test_a_built_in_strategy_may_have_taken_the_name(trained, tmp_path, monkeypatch):
    """It has no file to compare with; the stored text is still what is verified."""
    monkeypatch.setattr("pipeline.strategies.registry.BUILT_IN", ("mine",))
    receipt = json.loads(command(verify, trained.folder, "latest", "--json").out)
    assert receipt["agrees"]
    assert "strategy=mine is now a built-in strategy" in receipt["notes"][0]
