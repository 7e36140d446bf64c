"""Gather what a page draws as the JSON that `page.js` reads: figures without theme, both themes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Candles, Float
from pipeline.report import figures
from pipeline.report.heatmap import Scores, best, cut, heatmap
from pipeline.report.loading import ReportData
from pipeline.report.theme import Figure, bare, themed
from pipeline.report.trades import around, trades_on_candles
from pipeline.results.artifacts import ArtifactSet, ScoreSurface

#: Trades that can be looked at one by one, the newest: each brings its candles into the file.
DETAILED = 100
#: Candles drawn around one trade.
DETAIL_LIMIT = 150


def payload(report: ReportData) -> dict[str, Any]:
    """Return all that a report draws; what is missing is left out."""
    record = report.artifacts
    if record is None:
        return themed({})
    drawn = themed(fixed_figures(report, record))
    scores = scores_of(record)
    if scores is not None and len(choices(scores)) > 1:
        drawn["heatmap"] = heatmaps(scores, report.configuration.parameters)
    if report.candles is not None and len(record.trades):
        drawn["trades"] = [bare(figure) for figure in _trades(report.candles, record.trades)]
    return drawn


def fixed_figures(report: ReportData, record: ArtifactSet) -> dict[str, Figure]:
    """Return the figures that nobody chooses anything in, by their place in the sections."""
    stored, windows = report.configuration.parameters, record.windows
    made = {
        "equity": figures.equity(record.in_sample, record.out_of_sample),
        "drawdown": figures.drawdown(record.in_sample, record.out_of_sample),
        "windows": figures.window_spans(windows),
        "promises": figures.window_metric(windows),
        "spread": figures.parameter_spread(windows, stored, report.searched),
    }
    if record.null is not None:
        made["null"] = figures.null_distribution(record.null)
    return made


def scores_of(record: ArtifactSet) -> Scores | None:
    """Return the scores that were kept: whole, as the best of pairs, or not at all."""
    return record.scores if record.scores is not None else record.summary


def choices(scores: Scores) -> list[str]:
    """Parameters that a heatmap can show: those with more than one value, in grid order."""
    return [name for name, values in scores.axes.items() if len(values) > 1]


def heatmaps(scores: Scores, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of every pair of parameters, in both modes where both can be had.

    Tables have the later parameter of the pair across: shape (values of a, values of b).
    """
    names = choices(scores)
    settings = {n: [figures.setting(v) for v in scores.axes[n]] for n in names}
    on_grid = all(parameters.get(n) in list(values) for n, values in scores.axes.items())
    whole = isinstance(scores, ScoreSurface) and on_grid
    return {
        "names": names,
        "labels": settings,
        "chosen": {n: figures.setting(parameters[n]) for n in names},
        "best": _pairs(names, lambda x, y: best(scores, x, y)),
        "slice": _pairs(names, lambda x, y: cut(scores, x, y, parameters)) if whole else None,
        "figure": bare(heatmap(scores, names[0], names[1], "best", stored=parameters)),
    }


def _pairs(names: list[str], table: Callable[[str, str], Float]) -> dict[str, Any]:
    return {f"{a}|{b}": _rounded(table(b, a)) for a, b in combinations(names, 2)}


def _rounded(table: Float) -> list[list[float | None]]:
    """Five digits: what a colour and its label show."""
    return [[None if np.isnan(v) else float(f"{v:.5g}") for v in row] for row in table]


def _trades(candles: Candles, trades: NDArray[np.void]) -> list[Figure]:
    """Return the chart of all trades, then one for each of the newest."""
    closely = [
        trades_on_candles(candles, trades, around(candles, trade), limit=DETAIL_LIMIT)
        for trade in trades[-DETAILED:]
    ]
    return [trades_on_candles(candles, trades), *closely]
