"""Turn a heatmap of plotly's form into a series of ECharts, and the bar of its colours."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.report.theme import SOFT, mixed

#: Plotly's Viridis: even steps, the least first.
_VIRIDIS = (
    *("440154", "482878", "3e4989", "31688e", "26828e"),
    *("1f9e89", "35b779", "6ece58", "b5de2b", "fde725"),
)


def cells(trace: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return cells with their text; a colour is mixed of both that it lies between."""
    told, (low, high) = trace["customdata"], _ends(trace)
    if "colorscale" in trace:
        ramp = [tuple(map(int, colour[4:-1].split(","))) for _, colour in trace["colorscale"]]
        written, ink = told, trace["textfont"]["color"]
    else:  # what is written is at the bright end
        ramp = [tuple(bytes.fromhex(colour)) for colour in _VIRIDIS]
        written, ink = trace["text"], "#000000"
    rows = [
        [x, y, told[i][j], f"rgb{mixed(ramp, (value - low) / (high - low))}", written[i][j]]
        for i, y in enumerate(trace["y"])
        for j, x in enumerate(trace["x"])
        if (value := trace["z"][i][j]) is not None
    ]
    ink = json.dumps(ink)
    words = [{"name": name, "type": "ordinal"} for name in ("x", "y", "told", "colour", "text")]
    drawn = f"studioFigures.cell({ink})"
    return {"type": "custom", ":renderItem": drawn, "dimensions": words}, rows


def add_bar(made: dict[str, Any], trace: Mapping[str, Any], title: str) -> None:
    """Add the bar that tells what the colours of a heatmap stand for."""
    low, high = _ends(trace)
    made["title"] = {"text": title, "right": 0, "top": 0, "textStyle": SOFT}
    made["grid"][0] |= {"right": 72, "top": 32}
    made["visualMap"] = {"min": low, "max": high, "seriesIndex": [], "right": 0, "top": "middle"}
    made["visualMap"] |= {"text": [f"{high:.4g}", f"{low:.4g}"], "textStyle": SOFT, "itemWidth": 12}
    made["visualMap"]["inRange"] = {"color": [f"#{colour}" for colour in _VIRIDIS]}


def _ends(trace: Mapping[str, Any]) -> tuple[float, float]:
    """Return the values at the ends of a heatmap's colours."""
    known = [value for row in trace["z"] for value in row if value is not None]
    low, high = trace.get("zmin", min(known, default=0.0)), trace.get("zmax", max(known, default=1))
    return low, high if high > low else low + 1.0
