"""What the Studio's own script makes of a figure's numbers, in a browser without a server."""

from pathlib import Path

import pytest

from pipeline.report.echart import option
from pipeline.report.spread import parameter_spread
from support.chromium import browser

__all__ = ["browser"]

SCRIPT = Path("pipeline/web/studio/figures.js")
CELL = """([text, width]) => {
  const values = ["1", "a", "", "#000", text];
  const api = { value: (i) => values[i], coord: () => [50, 50], size: () => [width, 40] };
  const { text: words, fontSize } = studioFigures.cell("#fff")({}, api).textContent.style;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${fontSize}px sans-serif`;
  return [words, fontSize, pen.measureText(words).width];
}"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "width", "written"),
    [
        ("400 ▲", 60, "400 ▲"),
        ("400 ▲", 14, "▲"),
        ("400", 14, ""),
        ("3", 14, "3"),
        ("400 ▲ ≠", 10, "▲≠"),
        ("off ≠", 8, "≠"),
    ],
)
def test_a_cell_has_no_text_that_is_wider_than_it(browser, text, width, written):
    """Colour, axis and pointer tell the value; the marks are told by nothing else."""
    page = browser.new_page()
    page.add_script_tag(content=SCRIPT.read_text("utf-8"))
    words, size, across = page.evaluate(CELL, [text, width])
    page.close()
    assert words == written
    assert 4 <= size <= 12
    assert across <= width + 1


@pytest.mark.slow
def test_the_pointer_tells_the_value_that_a_cell_has_no_room_for(browser):
    window = {"parameters": {"a": 2.0}}
    made = option(parameter_spread([window] * 64, {"a": 2.0}, {"a": (1.0, 2.0)}))
    bright = next(one for one in made["series"] if one["data"])
    item = {
        "seriesIndex": made["series"].index(bright),
        "seriesName": "",
        "value": bright["data"][0],
    }
    page = browser.new_page()
    page.add_script_tag(content=SCRIPT.read_text("utf-8"))
    told = page.evaluate(f"item => {made['tooltip'][':formatter']}(item)", item)
    page.close()
    assert told == "a, 1: 2 ▲"
