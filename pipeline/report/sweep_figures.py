"""Figures over all markets of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.sweep_loading import SweptMarket
from pipeline.report.theme import FOUND, IN_SAMPLE, MUTED, OUT_OF_SAMPLE, Figure, Theme, figure
from pipeline.validation.stages import REQUIREMENTS

#: Of the false-discovery rate (validation rules §6).
Q_LIMIT = next(r.threshold for r in REQUIREMENTS if r.name == "fdr_q_value")


def sharpe_ratios(markets: Sequence[SweptMarket], theme: Theme = "light") -> Figure:
    """Return the out-of-sample Sharpe ratio of every market that stored something, best on top."""
    known = [
        (market.configuration.out_of_sample["sharpe_ratio"], market)
        for market in markets
        if market.configuration is not None
    ]
    known.sort(key=lambda pair: (pair[0], pair[1].market))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [ratio for ratio, market in known if market.synthetic is synthetic],
            "y": [market.market for _, market in known if market.synthetic is synthetic],
            "marker": {"color": color, "pattern": {"shape": shape}},
            "hovertemplate": "%{y}: %{x:.3g}<extra></extra>",
        }
        for name, synthetic, color, shape in (
            ("market", False, OUT_OF_SAMPLE, ""),
            ("SYNTHETIC", True, MUTED, "/"),
        )
    ]
    order = [market.market for _, market in known]
    axis = {"type": "category", "categoryorder": "array", "categoryarray": order}
    return figure(data, theme, barmode="overlay", yaxis=axis)


def discoveries(markets: Sequence[SweptMarket], theme: Theme = "light") -> Figure:
    """Return p-values in ascending order under ``rank / tests`` times the limit of q.

    Benjamini and Hochberg (1995): every market up to the last one under the line is a discovery.
    Generated candles are a family of their own (validation rules §3.2).
    """
    data = []
    for name, synthetic, color, line in (
        ("markets", False, OUT_OF_SAMPLE, FOUND),
        ("SYNTHETIC", True, IN_SAMPLE, MUTED),
    ):
        tested = sorted(
            (market.p_value, market.market)
            for market in markets
            if market.p_value is not None and market.synthetic is synthetic
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
                "text": [market for _, market in tested],
                "marker": {"color": color, "size": 9},
                "hovertemplate": "%{text}: p = %{y:.3g}<extra></extra>",
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
        "xaxis": {"title": {"text": "rank"}, "dtick": max(1, len(markets) // 8)},
        "yaxis": {"title": {"text": "p-value"}, "rangemode": "tozero"},
    }
    return figure(data, theme, **axes)
