"""Artifacts of the wrong kind: whoever reads them says so in a sentence, without waiting."""

import os

import pytest
from fastapi.testclient import TestClient

from pipeline import explain, verify
from pipeline.report import __main__ as report
from pipeline.web.api.app import create_app
from support.serving import service_over
from support.stored import command

pytestmark = pytest.mark.drill


def pipe(path):
    os.mkfifo(path)


def link(path):
    path.symlink_to("/dev/zero")


def holes(path):
    path.touch()
    os.truncate(path, 5 << 30)


ODD = [pipe, link, holes]
NAMES = ["out_of_sample.parquet", "windows.json", "scores.npz"]


@pytest.fixture(params=list(zip(ODD, NAMES, strict=True)), ids=NAMES)
def spoilt(request, fading):
    """A training with one odd file among its artifacts."""
    odd, name = request.param
    path = fading.artifacts[0] / name
    path.unlink()
    odd(path)
    return fading


def test_verify_says_so(spoilt):
    finished = command(verify, spoilt.folder, "latest")
    assert finished.status == 1
    assert "is not what was stored" in " ".join((finished.out + finished.err).split())
    assert "Traceback" not in finished.err


def test_explain_needs_none(spoilt):
    assert command(explain, spoilt.folder, "latest").status == 0


def test_report_says_so(spoilt):
    finished = command(report, spoilt.folder, "latest", "-o", "page.html")
    said = finished.out + finished.err + (spoilt.folder / "page.html").read_text()
    assert "is not what was stored" in " ".join(said.split())
    assert "Traceback" not in finished.err


def test_the_api_says_so(spoilt):
    with (
        service_over(spoilt.folder) as service,
        TestClient(create_app(service), base_url="http://127.0.0.1:8080") as client,
    ):
        configuration = f"/api/configurations/{spoilt.artifacts[0].name}"
        for path in ("", "/explanation", "/heatmap?x=pierce_depth&y=stop_distance"):
            answer = client.get(configuration + path)
            assert answer.status_code < 500, answer.text
