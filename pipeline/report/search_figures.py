"""Draw what a search found: equity of its best, parallel coordinates, importance, a surface."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpu_engine import Float
from pipeline.report.best import Best
from pipeline.report.figures import curve, dates, equity_curve, over_time
from pipeline.report.heatmap import SCORE
from pipeline.report.importance import Importance
from pipeline.report.theme import FOUND, IN_SAMPLE, MUTED, OUT_OF_SAMPLE, SOFT, Figure, figure
from pipeline.review.replay import Period, Replay
from pipeline.validation.wording import of_combination, setting

#: Combinations whose equity is drawn.
TEN = 10
#: Lines of these, each of 3:1 contrast with both backgrounds; dotted where they come again.
_LINES = ("#3f85d6", "#c9731f", "#23966c", "#d6515a", "#8a7bd8")
_SEEN = "rgba(201, 115, 31, 0.13)"


def equity_of_best(best: Best, again: Replay) -> Figure:
    """Return the net profit of the ten best, day by day, on the days of the search and the others.

    Each part begins at zero: before the search's days, on them, after them. The stored combination
    is among the lines, and holding the market. The best and the stored one are thick.
    """
    rows = list(range(min(TEN, len(best.rows))))
    rows += [i for i, row in enumerate(best.rows) if row == best.stored and i not in rows]
    parts = _parts(again)
    data = []
    for place, row in enumerate(rows):
        stored = best.rows[row] == best.stored
        name = f"rank {best.rank[row]:,}" + (" (stored)" if stored else "")
        line = {"color": _LINES[place % len(_LINES)], "width": 3 if place == 0 else 1.5}
        line |= {"dash": "dot"} if place >= len(_LINES) else {}
        if stored:
            line = {"color": FOUND, "width": 3}
        data.append(_line(name, line, [(p.day, p.daily[row]) for p in parts]))
    line = {"color": MUTED, "width": 2, "dash": "dash"}
    data.append(_line("holding the market", line, [(p.day, p.hold) for p in parts]))
    first, last = dates(np.array([again.seen.day[0], again.seen.day[-1] + 1], np.int32))
    days = {"xref": "x", "yref": "paper", "x0": first, "x1": last, "y0": 0, "y1": 1}
    said = {"x": first, "y": 1, "xref": "x", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    return over_time(
        data,
        "net profit since the part began",
        shapes=[{"type": "rect", **days, "fillcolor": _SEEN, "line": {"width": 0}}],
        annotations=[{"text": "in sample: days of the search", "showarrow": False, **said}],
    )


def _parts(again: Replay) -> list[Period]:
    """Cut the days into runs, in their order."""
    if again.unseen is None:
        return [again.seen]
    unseen, parts, start = again.unseen, list[Period](), 0
    for days in (again.before, again.after, again.since):
        if days is not None:
            c = slice(start, start + len(days))
            parts.append(Period(days, unseen.daily[:, c], unseen.metrics, unseen.hold[c]))
            start = c.stop
    return [*parts[: again.before is not None], again.seen, *parts[again.before is not None :]]


def _line(name: str, line: Mapping[str, Any], parts: Sequence[tuple[Any, Float]]) -> dict[str, Any]:
    x: list[str | None] = []
    y: list[float | None] = []
    for day, daily in parts:
        # 0 at the beginning of the first day, then the end of each; a gap after each part.
        x += [*dates(np.append(day[:1], day + 1)), None]
        y += [0.0, *np.round(equity_curve(daily) - 1.0, 5).tolist(), None]
    return curve(name, x, y, dict(line), "%{x}: %{y:,.1%}")


def parallel_coordinates(
    best: Best,
    again: Replay | None,
    axes: Mapping[str, Sequence[Any]],
) -> Figure:
    """Return the best combinations as lines over their parameters and results, for ECharts.

    A parameter's values stand in the order of the grid, off first, at even distances; one with a
    single value is left out. The colour is the score, the last axis; an infinite one, of which
    nothing was lost, stands at the highest finite one. Plotly's take a browser a second.
    """
    drawn = [
        _axis(name, [one[name] for one in best.parameters], values)
        for name, values in axes.items()
        if len(values) > 1
    ]
    net = [("net in sample", again.seen)] if again is not None else []
    net += [("net unseen", again.unseen)] if again is not None and again.unseen else []
    for label, period in net:
        profit = 100.0 * period.metrics["net_profit"]
        drawn.append(({"name": f"{label}, %", "scale": True}, profit.tolist()))
    score = best.kept(SCORE).astype(np.float64)
    finite = score[np.isfinite(score)]
    colours = np.where(np.isfinite(score), score, finite.max() if len(finite) else 0.0)
    drawn.append(({"name": SCORE, "scale": True}, colours.tolist()))
    look = {"nameRotate": 20, "nameTextStyle": {**SOFT, "align": "left"}, "axisLabel": SOFT}
    ramp = {"min": min(drawn[-1][1], default=0.0), "max": max(drawn[-1][1], default=1.0)}
    ramp |= {"inRange": {"color": [MUTED, IN_SAMPLE]}}  # each is seen on both backgrounds
    return {
        "animation": False,
        "parallel": {"left": 24, "right": 60, "top": 110, "bottom": 24},
        "parallelAxis": [{"dim": i, **look, **axis} for i, (axis, _) in enumerate(drawn)],
        "visualMap": {"show": False, "dimension": len(drawn) - 1, **ramp},
        "series": {
            "type": "parallel",
            "lineStyle": {"width": 1.5, "opacity": 0.8},
            "data": tuple(zip(*(values for _, values in drawn), strict=True)),
        },
    }


def _axis(
    name: str, chosen: Sequence[Any], values: Sequence[Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the axis of a parameter, and where the chosen values lie on it."""
    places = {None if v is None else float(v): i for i, v in enumerate(values)}
    if not places.keys() >= {*chosen}:  # a range of many values
        return {"name": name, "scale": True}, list(chosen)
    written = [setting(value) for value in values]
    return {"name": name, "type": "category", "data": written}, [places[v] for v in chosen]


def importance_bars(found: Importance) -> Figure:
    """Return the importance of every parameter, the most important on top."""
    shares = sorted(found.shares.items(), key=lambda pair: pair[1])
    data = {
        "type": "bar",
        "orientation": "h",
        "x": [share for _, share in shares],
        "y": [name for name, _ in shares],
        "marker": {"color": OUT_OF_SAMPLE},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    return figure(
        [data],
        xaxis={"title": {"text": found.unit}, "tickformat": ".0%", "rangemode": "tozero"},
        yaxis={"title": {"text": "parameter", "standoff": 12}, "type": "category"},
    )


def relief(
    table: Float, labels: Mapping[str, Sequence[str]], x: str, y: str, title: str, metric: str
) -> Figure:
    """Return a metric over two parameters as a surface in three dimensions.

    Parameters
    ----------
    table : float64 array of shape (values of y, values of x)
        NaN where there is none; an infinite score has no height.
    labels : mapping of str to sequence of str
        Values of both parameters as they are written.
    title, metric : str
        The metric with its unit, and its name.
    """
    height = [[v if np.isfinite(v) else None for v in row] for row in table.tolist()]
    data = {
        "type": "surface",
        "z": height,
        "text": [
            [
                f"{x} {a}<br>{y} {b}<br>{of_combination(metric, z)}"
                for a, z in zip(labels[x], row, strict=True)
            ]
            for b, row in zip(labels[y], table.tolist(), strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": "Viridis",
        "colorbar": {"thickness": 12, "title": {"text": title, "side": "right"}},
    }
    scene: dict[str, Any] = {
        f"{axis}axis": {
            "title": {"text": name},
            "tickvals": list(range(len(labels[name]))),
            "ticktext": list(labels[name]),
        }
        for axis, name in (("x", x), ("y", y))
    }
    scene |= {
        "zaxis": {"title": {"text": title}},
        "camera": {"eye": {"x": -1.7, "y": -1.7, "z": 0.9}},
        "aspectmode": "manual",
        "aspectratio": {"x": 1.2, "y": 1.2, "z": 0.7},
    }
    return figure([data], scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 0})
