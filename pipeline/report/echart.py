"""Turn a figure of plotly's form into ECharts' options: plain dicts.

Figures are defined once, in plotly's JSON. The Studio draws them with ECharts, whose script it
loads for its candles anyway: plotly's alone takes a browser most of a second to run. Colours of
texts and lines are names of the page's style, so a figure follows the theme of its page without its
data. Shapes and words that the browser reckons are those of `pipeline/web/studio/figures.js`.

What is known here is what the project's figures use: lines, markers, bars, written cells, panels.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.report.echart_heatmap import add_bar, cells
from pipeline.report.theme import INK, LINE, SOFT, TOOLTIP, Figure

_KINDS = ("scatter", "bar", "heatmap")
_DASHES = {"solid": "solid", "dash": "dashed", "dot": [2, 2], "dashdot": [8, 3, 2, 3]}
#: Columns of a row of data; x and y are first, as they are told; what lies outside is not drawn.
_COLUMNS = ("x", "y", "text", "base", "customdata")
#: Steps of a time axis, in whole days, months and years; how each is written; labels at most.
_STEPS = (
    ("D", "{d} {MMM}", (1, 2, 7, 14)),
    ("M", "{yyyy}-{MM}", (1, 2, 3, 6)),
    ("Y", "{yyyy}", (1, 2, 5, 10)),
)
_LABELS = 7
#: Names of a legend above which no colour tells all lines.
_MANY = 8
#: Pixels of a row of the legend, and of a letter and a mark in it.
_ROW, _LETTER, _MARK = 22, 7, 45
#: Figures of this width at most, px, give a legend rows as if it had the second.
_WIDTHS = ((1100, 700), (700, 550), (550, 330))
#: Pixels for a name beside its row on a phone, where a longer one is broken.
_BESIDE = 145
#: A log axis has a label a power of ten: of fewer than this times its least it would have one.
_DECADE = 30.0
#: Names of rows that are all written.
_ROWS = 24
_DAY_MS = 86_400_000


def is_known(drawn: Figure) -> bool:
    """Tell whether ECharts draws the figure."""
    return "series" in drawn or all(trace["type"] in _KINDS for trace in drawn["data"])


def option(drawn: Figure) -> dict[str, Any]:
    """Return the options of a figure that `is_known`; its numbers are those of the figure.

    Rows of data are those of a trace: x, y, then what `_COLUMNS` of it there are, then what a shape
    needs. Dates are milliseconds since the epoch; None is a gap.
    """
    if "series" in drawn:  # it was made of options
        return drawn
    layout = drawn["layout"]
    traces = [trace | {"x": _moments(trace["x"])} for trace in drawn["data"]]
    names = [name for name in layout if name.startswith("yaxis")] or ["yaxis"]
    grids = [name for name in names if "overlaying" not in layout.get(name, {})]
    listed = [t for t in traces if t.get("showlegend", True) and t.get("name") and len(t["x"])]
    listed = listed if layout.get("showlegend", len(listed) > 1) else []
    unified = any("lines" in trace.get("mode", "") for trace in traces)  # which have no points
    bare = {"lines": {"itemStyle": {"opacity": 0}}}  # a line has no mark in the legend
    made: dict[str, Any] = {
        "animation": False,
        "useUTC": True,
        "legend": {"show": bool(listed), "left": 0, "top": 0, "textStyle": INK}
        | {"data": [{"name": t["name"]} | bare.get(t.get("mode", ""), {}) for t in listed]},
        "grid": [
            _grid(
                layout.get(name, {}),
                len(grids) > 1,
                bool(listed),
                "title" in layout.get("xaxis", {}),
            )
            for name in grids
        ],
        "xAxis": _across(layout, traces, len(grids)),
        "yAxis": [
            _axis(layout.get(name, {}), [t for t in traces if _on(t) == name], "y")
            | {"gridIndex": grids.index(name) if name in grids else 0}
            | _titled(layout, name)
            for name in names
        ],
        "tooltip": _tooltip(traces, unified),
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "series": [],
    }
    for trace in traces:
        place = grids.index(_on(trace)) if _on(trace) in grids else 0
        axes = {"xAxisIndex": place, "yAxisIndex": names.index(_on(trace))}
        series, rows = _series(trace, made["series"], layout)
        series |= axes | {"name": trace.get("name", ""), "emphasis": {"disabled": True}}
        if len(listed) > _MANY:  # the line that is pointed at, or its name, stands out
            series |= {"emphasis": {"focus": "series"}, "triggerLineEvent": True}
        # Tuples: NiceGUI watches each list that it is given, which takes more than the page.
        still = tuple(tuple(row) if isinstance(row, list) else row for row in rows)
        made["series"].append(series | {"data": still})
    if bar := layout.get("coloraxis", {}).get("colorbar"):
        add_bar(made, traces[0], bar["title"]["text"])
    if shapes := layout.get("shapes"):
        made["series"][0]["markArea"] = _areas(shapes, layout.get("annotations", ()))
    return _with_room(made, [trace["name"] for trace in listed])


def _on(trace: Mapping[str, Any]) -> str:
    """Return the name of the y axis of a trace."""
    return f"yaxis{trace.get('yaxis', 'y')[1:]}"


def _columns(trace: Mapping[str, Any]) -> list[str]:
    """Return what a row of the trace begins with."""
    written = _COLUMNS if trace["type"] != "heatmap" else ("x", "y", "customdata")
    return [name for name in written if name in trace]


def _across(
    layout: Mapping[str, Any], traces: Sequence[Mapping[str, Any]], panels: int
) -> list[dict[str, Any]]:
    """Return the x axis of every panel; the lowest one's has labels, and all have one range."""
    axis = _axis(layout.get("xaxis", {}), traces, "x")
    if panels > 1:  # one of them may have no data of its own
        moments = [m for trace in traces for m in trace["x"] if m is not None]
        half = _step(traces[0]["x"]) / 2
        axis |= {"min": min(moments) - half, "max": max(moments) + half} if moments else {}
    labels = [axis["axisLabel"] | {"show": place == panels - 1} for place in range(panels)]
    return [axis | {"gridIndex": i, "axisLabel": label} for i, label in enumerate(labels)]


def _grid(axis: Mapping[str, Any], panels: bool, legend: bool, titled: bool) -> dict[str, Any]:
    if not panels:
        bottom = 8 if titled else 28
        return {"left": 16, "right": 16, "top": 12 + _ROW * legend, "bottom": bottom}
    low, high = axis["domain"]
    height = {"top": f"{100 - 100 * high:g}%", "bottom": f"{6 + 94 * low:g}%"}
    return {"left": 64, "right": 16, "outerBoundsMode": "none"} | height


def _axis(
    axis: Mapping[str, Any], traces: Sequence[Mapping[str, Any]], side: str
) -> dict[str, Any]:
    """Return an axis; its kind is told, or that of the first value on it."""
    values = [v for trace in traces for v in trace.get(side, ()) if v is not None]
    kind = axis.get("type") or _kind(values[:1])
    if kind == "log":
        drawn = [v for t in traces if t["type"] == "scatter" for v in t[side] if v]
        kind = "log" if drawn and max(drawn) > _DECADE * min(drawn) else "near"
    seen = axis.get("visible", True)
    room = any(trace["type"] == "bar" or trace.get("fill") for trace in traces)
    made: dict[str, Any] = {
        "type": {"date": "time", "category": "category", "log": "log"}.get(kind, "value"),
        "axisLabel": {**SOFT, "hideOverlap": True, "show": seen},
        "axisLine": {"show": side == "x", **LINE},
        "axisTick": {"show": side == "x", **LINE},
        "splitLine": {"show": seen and kind != "category", **LINE},
        "inverse": axis.get("autorange") == "reversed",
        "position": axis.get("side", "bottom" if side == "x" else "left"),
    }
    if kind == "category":
        made["data"] = axis.get("categoryarray") or list(dict.fromkeys(values))
        every = side == "y" and len(made["data"]) <= _ROWS
        made["axisLabel"] |= {"interval": 0 if every else "auto", "showMaxLabel": True}
    elif "range" in axis:
        made["min"], made["max"] = axis["range"]
        if not axis.keys() & {"tickformat", "tickvals"}:  # its ends are no round numbers
            made["axisLabel"] |= {"showMinLabel": False, "showMaxLabel": False}
    elif kind != "date":
        made["scale"] = kind == "near" or (axis.get("rangemode") != "tozero" and not room)
    if kind == "date" and values:
        form, moments = _ticks(min(values), max(values))
        made["axisTick"]["customValues"] = moments
        made["axisLabel"] |= {"customValues": moments, "formatter": form}
    if "dtick" in axis:
        made["minInterval"] = axis["dtick"]
    if "tickvals" in axis:
        made["axisTick"]["customValues"] = made["axisLabel"]["customValues"] = axis["tickvals"]
        words = json.dumps([axis["tickvals"], axis["ticktext"]])
        made["axisLabel"][":formatter"] = f"studioFigures.named(...{words})"
    elif kind not in ("category", "date"):
        words = json.dumps([axis.get("tickformat", ""), axis.get("ticksuffix", "")])
        made["axisLabel"][":formatter"] = f"studioFigures.tick(...{words})"
    if title := axis.get("title", {}).get("text"):
        made |= {"name": title, "nameLocation": "middle", "nameGap": 28 if side == "x" else 36}
        made["nameTextStyle"] = {**INK, "fontSize": 12}
    return made


def _ticks(first: float, last: float) -> tuple[str, list[int]]:
    """Return how labels are written, and moments at even steps, ms; the ends where less is seen."""
    for unit, form, steps in _STEPS:
        low, high = np.array([first, last], "M8[ms]").astype(f"M8[{unit}]").astype(np.int64)
        for step in steps:
            whole = np.arange(-(-low // step) * step, high + 1, step).astype(f"M8[{unit}]")
            moments = [m for m in whole.astype("M8[ms]").astype(np.int64).tolist() if m >= first]
            if len(moments) <= _LABELS:
                return form, moments if len(moments) > 1 else sorted({int(first), int(last)})
    return form, moments


def _step(moments: Iterable[float]) -> float:
    """Return the least distance of two moments, ms; of one alone a day."""
    return float(min(np.diff(list(moments)), default=_DAY_MS))


def _kind(values: Sequence[Any]) -> str:
    if not values or not isinstance(values[0], str):
        return "linear"
    return "date" if values[0][:4].isdigit() and values[0][4:5] == "-" else "category"


def _titled(layout: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the title of a panel, which stands above its left corner."""
    for note in layout.get("annotations", ()):
        if note.get("yref") == f"{name.replace('axis', '')} domain":
            style = {**INK, "fontWeight": "bold", "align": "left"}
            words = note["text"].removeprefix("<b>").removesuffix("</b>")
            return {"name": words, "nameLocation": "end", "nameGap": 8, "nameTextStyle": style}
    return {}


def _tooltip(traces: Sequence[Mapping[str, Any]], unified: bool) -> dict[str, Any]:
    """Return what is told of a point: the templates of all traces, and what their rows hold."""
    words = [
        [
            "" if trace.get("hoverinfo") == "skip" else trace.get("hovertemplate", "%{x}: %{y}"),
            _columns(trace),
        ]
        for trace in traces
    ]
    return {
        "trigger": "axis" if unified else "item",
        "axisPointer": {"type": "line", "lineStyle": {"color": "var(--soft)"}},
        **TOOLTIP,
        ":formatter": f"studioFigures.tip({json.dumps(words)}, {json.dumps(unified)})",
    }


def _series(
    trace: Mapping[str, Any], before: list[dict[str, Any]], layout: Mapping[str, Any]
) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return a trace as a series without its data, and its rows of `_COLUMNS`."""
    if trace["type"] == "heatmap":
        return cells(trace)
    if trace.get("fill") == "toself":
        return _rectangles(trace)
    columns = (trace[name] for name in _columns(trace))
    rows = [list(row) for row in zip(*columns, strict=True)]
    if trace["type"] == "bar":
        return _bars(trace, rows, layout)
    if trace["mode"] == "markers":
        marker = trace["marker"]
        crossed = marker.get("symbol") == "x"
        style = {"color": marker["color"], "opacity": marker.get("opacity", 1.0)}
        if crossed:
            style |= {"color": "none", "borderColor": marker["color"], "borderWidth": 2}
        elif "line" in marker:
            style |= {"borderColor": marker["line"]["color"], "borderWidth": 2}
        symbol = "path://M0,0L10,10M10,0L0,10" if crossed else "circle"
        size = marker["size"]
        return {
            "type": "scatter",
            "clip": False,
            "symbol": symbol,
            "symbolSize": size,
            "itemStyle": style,
        }, rows
    return _line(trace, rows, before)


def _line(
    trace: Mapping[str, Any], rows: list[list[Any]], before: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[list[Any]]]:
    line = trace["line"]
    dash = _DASHES[line.get("dash", "solid")]
    series: dict[str, Any] = {
        "type": "line",
        "lineStyle": {"color": line["color"], "width": line.get("width", 2), "type": dash},
        "itemStyle": {"color": line["color"]},
        "symbol": "circle" if "markers" in trace["mode"] else "none",
    }
    if line.get("shape") == "hvh":
        series["step"] = "middle"
        half = _step(row[0] for row in rows) / 2  # from the beginning of a day to its end
        ends = [(rows[0], -half), (rows[-1], half - 1)] if rows else []
        padded = [[row[0] + by, *row[1:]] for row, by in ends]
        rows = [*padded[:1], *rows, *padded[1:]]
    if trace.get("fill") == "tozeroy":
        colour = trace.get("fillcolor")
        series["areaStyle"] = {"color": colour} if colour else {"opacity": 0.3}
    if trace.get("fill") == "tonexty":  # as much as it lies above the one before
        below = before[-1]
        below |= {"stack": "band", "stackStrategy": "all"}
        place = len(_columns(trace))
        rows = [[*row, row[1] - under[1]] for row, under in zip(rows, below["data"], strict=True)]
        series |= {"stack": "band", "stackStrategy": "all", "encode": {"x": 0, "y": place}}
        series["areaStyle"] = {"color": trace["fillcolor"]}
    return series, rows


def _bars(
    trace: Mapping[str, Any], rows: list[list[Any]], layout: Mapping[str, Any]
) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return bars beside or over each other; those with a width of their own lie on the axis."""
    marker = trace["marker"]
    style: dict[str, Any] = {"color": marker["color"], "opacity": trace.get("opacity", 1.0)}
    if marker.get("pattern", {}).get("shape"):
        lines = {"dashArrayX": [1, 0], "dashArrayY": [2, 5], "rotation": -0.785}
        style["decal"] = {"symbol": "rect", "color": "var(--paper)", **lines}
    if trace.get("orientation") == "h" or ("width" not in trace and "base" not in trace):
        gap = {"barGap": "-100%"} if layout.get("barmode") == "overlay" else {"barGap": "10%"}
        return {"type": "bar", "itemStyle": style, "barMaxWidth": 40, **gap}, rows
    place = len(_columns(trace))
    width = trace.get("width") or _step(row[0] for row in rows)
    base = trace.get("base", [0.0] * len(rows))
    for row, low in zip(rows, base, strict=True):
        top = None if None in (low, row[1]) else low + row[1]
        row += [row[0] - width / 2, row[0] + width / 2, low, top]
    return _rectangle(style, place), rows


def _rectangles(trace: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return outlined rectangles of six points each, the last of them a gap."""
    x, y = trace["x"], trace["y"]
    rows = [[x[i], y[i], x[i], x[i + 2], y[i], y[i + 1]] for i in range(0, len(x), 6)]
    colour = trace["fillcolor"]
    return _rectangle({"color": colour, "borderColor": colour}, 2) | {"silent": True}, rows


def _rectangle(style: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Return shapes from and to the values of four columns: x, x, y, y."""
    return {
        "type": "custom",
        ":renderItem": f"studioFigures.rectangle({place}, {json.dumps(style)})",
        "encode": {"x": [0, place, place + 1], "y": [place + 2, place + 3]},
        "itemStyle": {"color": style["color"]},
        "clip": True,
    }


def _moments(values: Sequence[Any]) -> list[Any]:
    """Return dates as milliseconds since the epoch, UTC: ECharts takes them for local ones."""
    if _kind([value for value in values[:1] if value is not None]) != "date":
        return list(values)
    known = np.array([value or "NaT" for value in values], "datetime64[ms]").astype(np.int64)
    return [None if value is None else k for value, k in zip(values, known.tolist(), strict=True)]


def _areas(
    shapes: Sequence[Mapping[str, Any]], notes: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return spans of the x axis over its whole height, each with the note that begins with it."""
    said = {note["x"]: note["text"] for note in notes}
    label = {"position": "insideTopLeft", **INK}
    areas = []
    for shape in shapes:
        start, end = _moments([shape["x0"], shape["x1"]])
        look = {"itemStyle": {"color": shape["fillcolor"]}, "label": label}
        areas.append([{"xAxis": start, "name": said.get(shape["x0"], ""), **look}, {"xAxis": end}])
    return {"silent": True, "data": areas}


def _with_room(made: dict[str, Any], legend: Sequence[str]) -> dict[str, Any]:
    """Give the legend its rows, and long names beside rows their width, by the figure's own."""
    across = [_LETTER * len(name) + _MARK for name in legend]
    tall = sum(across) > _WIDTHS[-1][1]
    axis = made["yAxis"][0]
    long = max(map(len, map(str, axis.get("data", ()))), default=0) * _LETTER > _BESIDE
    if not (tall or long):
        return made

    def room(width: int) -> dict[str, Any]:
        rows, left = 1, width
        for one in across:  # which is not broken
            rows, left = (rows, left - one) if one <= left else (rows + 1, width - one)
        narrow = width <= _WIDTHS[-1][1]
        label = {"width": _BESIDE, "overflow": "break", "fontSize": 11, "lineHeight": 13}
        label[":formatter"] = "(name) => name.replaceAll(' ', '\\n')"
        whole = {"width": None, "overflow": "none", "fontSize": 12, "lineHeight": None}
        whole[":formatter"] = "(name) => name"
        named = {"name": "" if narrow else axis.get("name", "")}
        return ({"grid": [{"top": 12 + _ROW * rows}]} if tall else {}) | (
            {"yAxis": [{"axisLabel": label if narrow else whole} | named]} if long else {}
        )

    media = [{"query": {"maxWidth": most}, "option": room(width)} for most, width in _WIDTHS]
    return {"baseOption": made, "media": [*media, {"option": room(_WIDTHS[0][0])}]}
