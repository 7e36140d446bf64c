"""What the windows chose beside what is stored."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.spread import colour, evidence_sentences, luminance, parameter_spread

WINDOWS = [
    {"parameters": {"a": 2.0, "b": None, "c": 1.0}},
    {"parameters": None},
]
STORED = {"a": 3.0, "b": None, "c": 1.25}
SEARCHED = {"a": (1.0, 3.0), "b": (0.0, 1.0), "c": (1.0, 2.0)}
CHOICES = {
    "a": {"chosen_in": 0, "windows": 1, "edge": "high"},
    "b": {"chosen_in": 1, "windows": 1, "edge": None},
    "c": {"chosen_in": None, "windows": 1, "edge": None},
}


def drawn():
    return parameter_spread(WINDOWS, STORED, SEARCHED, CHOICES)["data"]


def test_each_cell_is_in_one_layer_with_its_place_in_what_was_searched():
    layers = [layer["z"] for layer in drawn()]
    cells = [[[z[r][c] for z in layers if z[r][c] is not None] for c in range(3)] for r in range(3)]
    assert cells == [[[0.5], [0.0], [1.0]], [[0.0], [0.0], [0.0]], [[0.0], [0.0], [0.25]]]
    grey = layers[2]
    assert [[z is not None for z in row] for row in grey] == [
        [False, True, False],
        [True, True, True],
        [False, True, False],
    ]


def test_ends_and_what_no_window_chose_are_marked():
    """Each text is in the layer of its cell alone: plotly writes it over empty cells too."""
    layers = drawn()
    said = [["".join(layer["text"][r][c] for layer in layers) for c in range(3)] for r in range(3)]
    assert said == [["2", "–", "3 ▲ ≠"], ["off", "–", "off"], ["1 ▼", "–", "1.25"]]
    for layer in layers:
        assert layer["x"] == ["1", "2", "stored"]
        written = [[text != "" for text in row] for row in layer["text"]]
        assert written == [[z is not None for z in row] for row in layer["z"]]


@pytest.mark.parametrize(("windows", "written"), [(10, "3 ▲"), (64, "▲")])
def test_of_many_windows_a_report_writes_the_marks_alone(windows, written):
    made = parameter_spread([{"parameters": STORED}] * windows, STORED, SEARCHED, CHOICES)["data"]
    assert [layer["text"][0][0] for layer in made if layer["text"][0][0]] == [written]
    assert [layer["customdata"][0][0] for layer in made if layer["text"][0][0]] == ["3 ▲"]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rgb(text):
    """A colour as `#ffffff` or `rgb(1, 2, 3)`."""
    if text.startswith("#"):
        return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(int(part) for part in text.removeprefix("rgb(").rstrip(")").split(","))


@given(st.floats(0.0, 1.0))
def test_every_cell_can_be_read(place):
    data = parameter_spread([], {"a": place}, {"a": (0.0, 1.0)})["data"]
    ((layer, z),) = [(one, one["z"][0][0]) for one in data if one["z"][0][0] is not None]
    ground = colour(z)
    assert contrast(rgb(layer["textfont"]["color"]), ground) >= 4.5
    stops = [(at, rgb(text)) for at, text in layer["colorscale"]]
    below, above = max(s for s in stops if s[0] <= z), min(s for s in stops if s[0] >= z)
    for channel, low, high in zip(ground, below[1], above[1], strict=True):
        assert min(low, high) <= channel <= max(low, high)


def test_grey_cells_can_be_read():
    grey = drawn()[2]
    assert contrast(rgb(grey["textfont"]["color"]), rgb(grey["colorscale"][0][1])) >= 4.5


@pytest.mark.parametrize(("stored", "same"), [(STORED, 0), (WINDOWS[0]["parameters"], 1)])
def test_in_how_many_windows_it_was_tested_is_counted(stored, same):
    row = SimpleNamespace(parameters=stored, statistics={"parameter_choices": CHOICES})
    whole, values, _ = evidence_sentences(row, WINDOWS)
    assert f"in {same} of 2 windows" in whole
    assert values == f"These values were tested in 0 of 1 window: a {stored['a']:g}."
