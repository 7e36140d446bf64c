"""Define the colours of figures and pages: one set of marks that reads on both backgrounds.

Only the layout knows whether it is light or dark, so a figure changes its theme without its data.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Theme = Literal["light", "dark"]
Figure = dict[str, Any]

#: Marks. Each has at least 3:1 contrast with both backgrounds (WCAG 2.2, 1.4.11), and no meaning is
#: in the colour alone: lines differ in dash, markers in shape.
OUT_OF_SAMPLE, IN_SAMPLE = "#3f85d6", "#c9731f"
GAIN, LOSS, MUTED, FOUND = "#23966c", "#d6515a", "#868d97", "#b457c9"

_SURFACES = {
    "light": {"paper": "#ffffff", "ink": "#1c2026", "line": "#dfe3e8"},
    "dark": {"paper": "#171a1f", "ink": "#e4e7eb", "line": "#353b44"},
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


#: How ECharts writes and draws: by names of the page's style, which change with its theme.
SOFT = {"color": "var(--soft)", "fontSize": 12}
INK = {"color": "var(--ink)", "fontSize": 13}
LINE = {"lineStyle": {"color": "var(--line)"}}
TOOLTIP = {
    "backgroundColor": "var(--card)",
    "borderColor": "var(--line)",
    "textStyle": INK,
    "confine": True,
}


def template(theme: Theme) -> dict[str, Any]:
    """Return the plotly layout template of a theme."""
    surface = _SURFACES[theme]
    axis = {
        "gridcolor": surface["line"],
        "linecolor": surface["line"],
        "zerolinecolor": surface["line"],
        "automargin": True,
    }
    return {
        "layout": {
            "paper_bgcolor": surface["paper"],
            "plot_bgcolor": surface["paper"],
            "font": {"color": surface["ink"], "family": _FONT, "size": 13},
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"font": {"family": _FONT}},
            "coloraxis": {"colorbar": {"thickness": 12, "outlinewidth": 0}},
        }
    }


def figure(data: list[dict[str, Any]], **layout: Any) -> Figure:
    """Return a figure in plotly's JSON form, without a theme: who draws it chooses one."""
    return {"data": data, "layout": layout}


def dressed(drawn: Figure, theme: Theme) -> Figure:
    """Return a figure in a theme, for whoever draws it as it is."""
    return drawn | {"layout": {"template": template(theme), **drawn["layout"]}}


def neutral(drawn: Figure, invented: bool) -> Figure:
    """Return a figure without green and red where candles were invented: nobody gained or lost."""
    quiet: Figure = json.loads(re.sub(f"{GAIN}|{LOSS}", OUT_OF_SAMPLE, json.dumps(drawn)))
    return quiet if invented else drawn


def themed(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures by their ids, and both themes."""
    templates = {"light": template("light"), "dark": template("dark")}
    return {"templates": templates, "figures": figures}


def mixed(ramp: Sequence[tuple[int, ...]], place: float) -> tuple[int, int, int]:
    """Return the colour at a place from 0 to 1 on a ramp of even steps, as plotly mixes it."""
    at = min(max(place, 0.0), 1.0) * (len(ramp) - 1)
    low = min(int(at), len(ramp) - 2)
    channels = (a + (b - a) * (at - low) for a, b in zip(ramp[low], ramp[low + 1], strict=True))
    red, green, blue = (round(channel) for channel in channels)
    return red, green, blue
