"""Draw figures of a configuration and of a sweep as plotly's JSON: plain dicts.

Returns are fractions of equity and drawn in percent; days are ISO 8601 dates in UTC. Every number
drawn is a stored one or follows from stored ones by the formula named; nothing is simulated.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gpu_engine import Float, Int32
from pipeline.report.loading import SweptMarket
from pipeline.report.theme import FOUND, IN_SAMPLE, MUTED, OUT_OF_SAMPLE, Figure, figure
from pipeline.results.artifacts.artifact_set import DailySeries, NullDistribution
from pipeline.validation.band import EquityBand
from pipeline.validation.stages import Q_LIMIT

_PERCENT = ",.1%"
#: Beside a curve that peaks at over this many times its equity another is a flat line; and the
#: least equity that a logarithmic axis shows.
_DWARFED, _FLOOR = 3.0, 1e-3
#: Labels of that axis at most.
_TICKS = 10
_BINS = 40
#: Days of a band after the newest one of a paper account, and days that are too few for a line.
AHEAD, _FEW = 30, 3
_SERIES = (
    ("out of sample", OUT_OF_SAMPLE, "solid", 2),
    ("in sample", IN_SAMPLE, "dash", 2),
    ("buy and hold", MUTED, "dot", 1),
    ("by closed trades", OUT_OF_SAMPLE, "dashdot", 1),
)


def equity_curve(returns: Float) -> Float:
    """Equity after each day, of 1 at the start: ``prod(1 + r)``, float64 of shape (D,)."""
    return np.cumprod(1.0 + returns, dtype=np.float64)


def drawdown_curve(returns: Float) -> Float:
    """Loss since the highest equity so far, the 1 at the start included; <= 0, shape (D,)."""
    curve = equity_curve(returns)
    return curve / np.maximum(np.maximum.accumulate(curve), 1.0) - 1.0


def equity(in_sample: DailySeries, out_of_sample: DailySeries) -> Figure:
    """Return net profit since the start of each series, day by day, marked to market.

    Out of sample is the procedure of all windows, in sample the stored configuration on the days
    on which it was found: two series, each from zero. Beside the first is what holding the market
    gave on the same days, and itself by closed trades where that differs.
    """
    title = "net profit, % of the start"
    return _series(in_sample, out_of_sample, title, lambda r: equity_curve(r) - 1.0)


def drawdown(in_sample: DailySeries, out_of_sample: DailySeries) -> Figure:
    """Return the drawdown of the same series."""
    title = "drawdown, % of the peak"
    return _series(in_sample, out_of_sample, title, drawdown_curve, fill="tozeroy")


def curve(
    name: str, x: list[Any], y: list[Any], line: dict[str, Any], said: str, **more: Any
) -> dict[str, Any]:
    """Return a trace of a line as plotly has it; ``said`` is its template of a tooltip."""
    named = {"name": name, "x": x, "y": y, "line": line, "hovertemplate": said}
    return {"type": "scatter", "mode": "lines", **named, **more}


def logarithmic(curves: Iterable[Float]) -> Callable[[Any], Any] | None:
    """Return how high net profits are drawn where one curve would dwarf another; None: as they are.

    The height is ``log10(1 + r)``, of an equity of `_FLOOR` at least.
    """
    peaks = [1.0 + np.max(each, initial=0.0, where=np.isfinite(each)) for each in curves]
    if max(peaks, default=1.0) <= _DWARFED * min(peaks, default=1.0):
        return None
    return lambda profit: np.log10(np.maximum(1.0 + profit, _FLOOR))


def over_time(traces: list[dict[str, Any]], title: str, **layout: Any) -> Figure:
    """Return curves of net profit or drawdown over days, on an axis that ends at -100 %.

    What is no number is a gap. On a logarithmic axis (`logarithmic`) ``customdata`` is the profit.
    """
    profits = [np.array(trace["y"], np.float64) for trace in traces]
    height = logarithmic(profits)
    heights = [np.round(height(profit), 5) if height else profit for profit in profits]
    drawn = [trace | {"y": _gaps(y)} for trace, y in zip(traces, heights, strict=True)]
    every = np.concatenate([*heights, [0.0]])
    low, high = (float(end(every[np.isfinite(every)])) for end in (np.min, np.max))
    axis: dict[str, Any] = {"tickformat": _PERCENT, "title": {"text": title}}
    if height:
        for trace, profit in zip(drawn, profits, strict=True):
            trace["customdata"] = _gaps(profit)
            trace["hovertemplate"] = trace["hovertemplate"].replace("%{y", "%{customdata")
        room, places = 0.03 * (high - low), _round_equities(10.0**low, 10.0**high)
        told = [f"{100.0 * (place - 1.0):+,.1f} %".replace(".0 %", " %") for place in places]
        axis = {
            "title": {"text": f"{title.partition(',')[0]}, logarithmic"},
            "range": [low - room, high + room],
            "tickvals": np.log10(places).tolist(),
            "ticktext": ["0 %" if one == "+0 %" else one for one in told],
        }
    elif 1.5 * low - 0.5 * high < -1.0:  # its round end might lie below
        axis["range"] = [-1.0, None]
    layout = {"xaxis": {"type": "date", "title": {"text": "UTC day"}}, **layout}
    return figure(drawn, yaxis=axis, hovermode="x unified", **layout)


def _gaps(values: Float) -> list[float | None]:
    """Return numbers for a browser: None for what is none."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _round_equities(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two equities, or the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        found = [digit * 10.0**power for power in powers for digit in digits]
        found = [one for one in found if low * 0.999 <= one <= high * 1.001]
        if len(found) <= _TICKS:
            break
    return found


def _series(
    in_sample: DailySeries, out_of_sample: DailySeries, title: str, height: Any, **more: Any
) -> Figure:
    drawn = zip(
        _SERIES,
        (out_of_sample, in_sample, out_of_sample, out_of_sample),
        (out_of_sample.returns, in_sample.returns, out_of_sample.hold, _closed(out_of_sample)),
        strict=True,
    )
    data = [
        curve(
            name,
            dates(series.day),
            height(returns).tolist(),
            {"color": color, "dash": dash, "width": width},
            f"%{{x}}: %{{y:{_PERCENT}}}",
            **(more if width > 1 else {}),
        )
        for (name, color, dash, width), series, returns in drawn
        if returns is not None
    ]
    return over_time(data, title)


def _closed(series: DailySeries) -> Float | None:
    """Return the days by closed trades; None where they are those of the series, or not known."""
    if series.closed is None or np.allclose(series.closed, series.returns, rtol=0.0, atol=1e-9):
        return None
    return series.closed


def dates(day: Int32) -> list[str]:
    """ISO 8601 dates of days since the epoch."""
    return [str(date) for date in day.astype("datetime64[D]")]


def paper_equity(day: Int32, equity: Float, band: EquityBand | None) -> Figure:
    """Return the net profit of a paper account day by day, in the band that was promised.

    Parameters
    ----------
    day : int32 array of shape (D,)
        Since the epoch, one after the other.
    equity : float64 array of shape (D,)
        At the end of each, of 1 before the first.
    band : EquityBand or None
        From the first of those days on; `AHEAD` days more than those are shown.
    """
    paper = curve(
        "paper",
        dates(np.append(day[:1], day + 1)),  # each day's stands at its end, 0 at the beginning
        [0.0, *(equity - 1.0).tolist()],
        {"color": OUT_OF_SAMPLE, "width": 2},
        f"%{{y:{_PERCENT}}}",
        mode="lines+markers" if len(day) < _FEW else "lines",
    )
    traces = [] if band is None else _band(int(day[0]), len(day) + AHEAD, band)
    return over_time([*traces, paper], "net profit since the start", showlegend=True)


def _band(first: int, count: int, band: EquityBand) -> list[dict[str, Any]]:
    ahead = dates(np.arange(first, first + count + 1, dtype=np.int32))
    lines: tuple[tuple[str, Float, str, dict[str, Any]], ...] = (
        ("lower edge", band.path_low, "solid", {"showlegend": False}),
        ("nine in ten paths", band.path_high, "solid", {"fill": "tonexty"}),
        ("median path", band.median, "dot", {}),
    )
    return [
        curve(
            name,
            ahead[: len(edge) + 1],  # a long account is ahead of its band
            [0.0, *(edge[:count] - 1.0).tolist()],
            {"color": MUTED, "width": 1, "dash": dash},
            f"%{{y:{_PERCENT}}}",
            fillcolor="rgba(134, 141, 151, 0.18)",
            **more,
        )
        for name, edge, dash, more in lines
    ]


def window_spans(windows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return what each walk-forward window trained and tested on, first window on top."""
    parts = (("test", OUT_OF_SAMPLE, 12), ("train", IN_SAMPLE, 6))
    data = []
    for part, color, width in parts:
        x: list[str | None] = []
        y: list[str | None] = []
        for number, window in enumerate(windows, 1):
            # A gap after each span: one trace a part, whatever the number of windows.
            x += [window[part][0], str(np.datetime64(window[part][1], "D") + 1), None]
            y += [str(number)] * 2 + [None]
        data.append(curve(part, x, y, {"color": color, "width": width}, "%{x}"))
    axis = {"type": "category", "autorange": "reversed", "title": {"text": "window"}}
    return figure(data, yaxis=axis, xaxis={"type": "date", "title": {"text": "UTC day"}})


def window_metric(windows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the Sharpe ratio of every window: what its search promised, and what came.

    A window whose search found nothing admissible has no bars.
    """
    data = [
        {
            "type": "bar",
            "name": name,
            "x": [str(number) for number in range(1, len(windows) + 1)],
            "y": [None if w[part] is None else w[part]["sharpe_ratio"] for w in windows],
            "marker": {"color": color, "pattern": {"shape": shape}},
            "hovertemplate": f"window %{{x}}, {name}: %{{y:.2f}}<extra></extra>",
        }
        for name, part, color, shape in (
            ("promised in sample", "in_sample", IN_SAMPLE, "/"),
            ("out of sample", "out_of_sample", OUT_OF_SAMPLE, ""),
        )
    ]
    title = "Sharpe ratio, annualised"
    window = {"type": "category", "title": {"text": "window"}}
    return figure(data, barmode="group", xaxis=window, yaxis={"title": {"text": title}})


def null_distribution(null: NullDistribution) -> Figure:
    """Return what luck shows as a best Sharpe ratio, with the found one in it.

    Shares of the bootstrap maxima and of each kind of surrogates, over the same bins. A surrogate
    in which nothing was admissible (-inf) has no bin, and still counts in its share.
    """
    samples = {"bootstrap of the search": null.maxima} if len(null.maxima) else {}
    samples |= {f"{kind.replace('_', ' ')} candles": best for kind, best in null.surrogates.items()}
    marks = {"found": null.observed, "best 1 % of the search": null.best}
    marked = {name: value for name, value in marks.items() if value is not None}
    finite = [sample[np.isfinite(sample)] for sample in samples.values()]
    edges = np.histogram_bin_edges(np.concatenate([*finite, [*marked.values()]]), _BINS)
    colors, width = (MUTED, OUT_OF_SAMPLE, IN_SAMPLE), float(edges[1] - edges[0])
    data = [
        {
            "type": "bar",
            "name": name,
            "x": ((edges[1:] + edges[:-1]) / 2.0).tolist(),
            "y": (np.histogram(part, edges)[0] / len(sample)).tolist(),
            "width": width,
            "marker": {"color": color},
            "opacity": 0.7,
            "hovertemplate": "%{x:.2f}: %{y:.1%}",
        }
        for (name, sample), part, color in zip(samples.items(), finite, colors, strict=False)
    ]
    data += [_mark(name, value) for name, value in marked.items()]
    return figure(
        data,
        barmode="overlay",
        # Room at both ends, or a line at one is not seen.
        xaxis={
            "title": {"text": "best Sharpe ratio, annualised"},
            "range": [float(edges[0]) - 3 * width, float(edges[-1]) + 3 * width],
        },
        yaxis={"tickformat": ".0%", "title": {"text": "share"}},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )


def _mark(name: str, value: float) -> dict[str, Any]:
    """Draw a vertical line over the whole height."""
    dash = "solid" if name == "found" else "dot"
    line = {"color": FOUND, "width": 3, "dash": dash}
    said = f"{name}: {value:.3f}<extra></extra>"
    return curve(f"{name}: {value:.2f}", [value, value], [0, 1], line, said, yaxis="y2")


def sharpe_ratios(markets: Sequence[SweptMarket]) -> Figure:
    """Return the out-of-sample Sharpe ratio of every market that stored something, best on top."""
    ratios = [
        (market.configuration.out_of_sample["sharpe_ratio"], market)
        for market in markets
        if market.configuration is not None
    ]
    ratios.sort(key=lambda pair: (pair[0], pair[1].name))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [ratio for ratio, market in ratios if market.synthetic is synthetic],
            "y": [market.name for _, market in ratios if market.synthetic is synthetic],
            "marker": {"color": color, "pattern": {"shape": shape}},
            "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
        }
        for name, synthetic, color, shape in (
            ("market", False, OUT_OF_SAMPLE, ""),
            ("SYNTHETIC", True, MUTED, "/"),
        )
    ]
    order = [market.name for _, market in ratios]
    axis = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": order,
        "title": {"text": "market"},
    }
    across = {"title": {"text": "Sharpe ratio, annualised"}, "zeroline": True}
    ends = [0.0, *(ratio for ratio, _ in ratios if np.isfinite(ratio))]
    room = 0.05 * (max(ends) - min(ends)) or 1.0  # of zeros alone plotly would make up a scale
    across["range"] = [min(ends) - room * (min(ends) < 0), max(ends) + room]
    return figure(data, barmode="overlay", yaxis=axis, xaxis=across)


def discoveries(markets: Sequence[SweptMarket]) -> Figure:
    """Return deciding p-values in ascending order under ``rank / tests`` times the limit of q.

    Benjamini and Hochberg (1995): every market up to the last one under the line is a discovery.
    Generated candles are a family of their own (validation rules §3.2).
    """
    data = []
    for name, synthetic, color, line in (
        ("markets", False, OUT_OF_SAMPLE, FOUND),
        ("SYNTHETIC", True, IN_SAMPLE, MUTED),
    ):
        tested = sorted(
            (market.deciding_p, market.name)
            for market in markets
            if market.deciding_p is not None and market.synthetic is synthetic
        )
        if not tested:
            continue
        ranks = list(range(1, len(tested) + 1))
        data += [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": ranks,
                "y": [p for p, _ in tested],
                "text": [f"{market}: p = {p:.3g}" for p, market in tested],
                "marker": {"color": color, "size": 9},
                "hovertemplate": "%{text}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"limit of {name}",
                "x": ranks,
                "y": [rank / len(tested) * Q_LIMIT for rank in ranks],
                "line": {"color": line, "dash": "dash"},
                "hoverinfo": "skip",
            },
        ]
    axes = {
        "xaxis": {
            "title": {"text": "rank of the market, smallest p first"},
            "dtick": max(1, len(markets) // 8),
            "range": [0.5, len(markets) + 0.5],
        },
        "yaxis": {"title": {"text": "deciding p-value, 0 to 1"}, "rangemode": "tozero"},
    }
    return figure(data, **axes)
