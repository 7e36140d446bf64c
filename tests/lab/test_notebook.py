"""The notebook runs, and shows what it stores."""

import json

import pytest

from support.documents import ROOT
from support.notebooks import cells, run

NOTEBOOK = ROOT / "docs/notebooks/first_steps.ipynb"


@pytest.fixture(scope="module")
def stored():
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_runs_and_shows_what_it_stores(stored):
    results = list(run(NOTEBOOK))
    assert len(results) == len(stored) == len(list(cells(NOTEBOOK)))
    for (printed, value), outputs in zip(results, stored, strict=True):
        streams = [output for output in outputs if output["output_type"] == "stream"]
        assert "".join("".join(output["text"]) for output in streams) == printed
        shown = [output["data"] for output in outputs if "data" in output]
        assert len(shown) == (value is not None)
        if value is not None and not hasattr(value, "to_plotly_json"):
            assert "".join(shown[0]["text/plain"]) == repr(value)


def test_its_pictures_are_stored(stored):
    data = [output["data"] for outputs in stored for output in outputs if "data" in output]
    assert sum("image/png" in d for d in data) == 2
