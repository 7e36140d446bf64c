"""The heatmap of a stored score surface, over HTTP."""

import pytest

from pipeline.report.loading import load_report
from support.documents import queries
from support.parameters import DEPTH, SPREAD, STOP, TARGET

PATH = "/api/configurations/{}/heatmap"


@pytest.fixture
def service(trained_service):
    return trained_service


@pytest.fixture
def report(service, client):
    (found,) = client.get("/api/configurations").json()["configurations"]
    return load_report(service.repository, service.settings.storage, found["id"])


@pytest.fixture
def surface(client, report):
    """Ask for the heatmap of stop_distance and target_multiple."""
    path = PATH.format(report.configuration.id)

    def asked(**parameters):
        pair = {"x": STOP, "y": TARGET}
        return client.get(path, params=pair | parameters)

    return asked


def shown(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]


def test_best_is_over_all_others(surface, report):
    scores = report.artifacts.scores.metrics["score"]
    found = shown(surface())
    assert found["x"] == ["1", "2"]
    assert found["y"] == ["2", "3", "4"]
    best = scores.max(axis=(0, 1, 2, 3, 4, 7, 8)).T
    assert found["z"] == [pytest.approx(row) for row in best.tolist()]


def test_a_slice_holds_what_is_named_and_leaves_the_rest_as_stored(surface, report):
    scores, stored = report.artifacts.scores, report.configuration.parameters
    held = stored | {DEPTH: 0.0005, SPREAD: None}
    index = tuple(
        slice(None) if name in (STOP, TARGET) else values.index(held[name])
        for name, values in scores.axes.items()
    )
    found = shown(surface(mode="slice", at=["pierce_depth=0.0005", "max_spread_tolerance=null"]))
    table = scores.metrics["score"][index].T
    assert found["z"] == [pytest.approx(row, nan_ok=True) for row in table.tolist()]


def test_the_documented_heatmaps_are_those_of_a_grid(surface):
    best, held = (shown(surface(**query)) for query in queries("docs/api.md", "heatmap"))
    assert (best["x"], best["y"]) == (held["x"], held["y"]) == (["1", "2"], ["2", "3", "4"])
    assert best["z"] != held["z"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"x": "colour"}, "There is no parameter colour; choose of pierce_depth"),
        ({"x": TARGET}, "two different parameters"),
        ({"mode": "slice", "at": "pierce_depth=0.5"}, "pierce_depth=0.5 is not on the grid"),
        ({"at": "colour=1"}, "at: there is no parameter colour; allowed are pierce_depth"),
        ({"at": DEPTH}, "it must be a parameter and its value"),
        ({"at": "pierce_depth=1e9"}, "it must be a parameter and its value"),
        ({"at": ["pierce_depth=1"] * 65}, "at most 64 items"),
        ({"mode": "worst"}, "'best' or 'slice'"),
    ],
)
def test_what_is_not_there_is_refused(surface, parameters, said):
    answer = surface(**parameters)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
