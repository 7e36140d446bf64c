"""What a search that draws keeps, over HTTP."""

import csv
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient

from pipeline.web.api.app import create_app
from pipeline.web.api.configurations import BestPage, TrialPage
from support.documents import queries
from support.parameters import DEPTH, SPREAD, STOP
from support.runs import QUICK, SMALL_GRID, run_here
from support.serving import service_over

SAMPLES = 30
DRAWN = (
    *QUICK,
    "optimizer=random",
    f"optimizer.samples={SAMPLES}",
    *SMALL_GRID,
    "validation=rolling",
    "validation.evidence=deciding",
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Ask a server over a random search; return the configuration, and a client of it."""
    finished = run_here(tmp_path_factory.mktemp("drawn"), *DRAWN)
    assert finished.status == 0, finished.err
    with (
        service_over(finished.folder) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8080") as client,
    ):
        (found,) = service.repository.configurations.find()

        def ask(key, status=200, **query):
            answer = client.get(f"/api/configurations/{found.id}/{key}", params=query)
            assert answer.status_code == status, answer.text
            return answer

        yield found, ask


def test_trials_are_what_it_asked_with_the_stored_one_among_them(asked):
    found, ask = asked
    page = ask("trials").json()
    TrialPage.model_validate(page)
    rows = page["trials"]
    assert page["total"] == SAMPLES == len({str(row["parameters"]) for row in rows})
    assert [row["index"] for row in rows] == list(range(SAMPLES))
    scores = [np.nan if row["score"] is None else row["score"] for row in rows]
    assert [row["admissible"] for row in rows] == (~np.isnan(scores)).tolist()
    best = rows[int(np.nanargmax(scores))]
    assert best["parameters"] == found.parameters
    text = ask("trials", format="csv").text
    assert len(list(csv.DictReader(io.StringIO(text)))) == SAMPLES
    ranked = ask("trials", sort="score", descending=True, limit=3).json()["trials"]
    assert ranked[0] == best


def test_the_best_are_on_both_kinds_of_days(asked):
    found, ask = asked
    page = ask("best").json()
    BestPage.model_validate(page)
    first = page["best"][0]
    assert (first["rank"], first["stored"]) == (1, True)
    kept = {name: found.in_sample[name] for name in first["in_sample"]}
    assert first["in_sample"] == pytest.approx(kept)
    assert first["unseen"]["sample_size"] > 0
    assert any("days before those of the search" in note for note in page["notes"])


def test_of_the_documented_heatmaps_the_slice_is_refused_with_what_to_do(asked):
    _, ask = asked
    best, held = queries("docs/api.md", "heatmap")
    assert ask("heatmap", **best).json()["data"][0]["type"] == "heatmap"
    refusal = ask("heatmap", status=422, **held).json()["detail"]
    assert "mode=best" in refusal
    assert "optimizer=grid" in refusal


def test_a_heatmap_shows_what_was_tried(asked):
    _, ask = asked
    rows = ask("trials").json()["trials"]
    (cells, mark) = ask("heatmap", x=STOP, y=DEPTH).json()["data"]
    for y, depth in enumerate(cells["y"]):
        for x, stop in enumerate(cells["x"]):
            at = [
                row["score"]
                for row in rows
                if f"{row['parameters'][DEPTH]:g}" == depth
                and f"{row['parameters'][STOP]:g}" == stop
                and row["score"] is not None
            ]
            assert cells["z"][y][x] == (pytest.approx(max(at)) if at else None)
    assert mark["name"] == "stored configuration"


def test_what_was_off_is_null(asked):
    _, ask = asked
    assert {row["parameters"][SPREAD] for row in ask("trials").json()["trials"]} == {None}
