"""Draw a metric of a grid over two of its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import UserError, suggestion
from pipeline.report.theme import template
from pipeline.validation.wording import setting

if TYPE_CHECKING:
    import pandas as pd


def heatmap(
    frame: pd.DataFrame,
    x: str,
    y: str,
    metric: str = "net_profit",
    over: Literal["median", "max", "min", "mean"] = "median",
) -> Any:
    """Return a plotly figure of a metric at every pair of values of two parameters.

    Parameters
    ----------
    frame : DataFrame
        What `grid` returned, or some of its rows.
    x, y : str
        Two parameters.
    metric : str
        A column of the frame.
    over : {"median", "max", "min", "mean"}
        What stands for all combinations of the other parameters. The median shows whether a
        neighbourhood is good; the maximum finds a lucky one everywhere.

    Returns
    -------
    plotly.graph_objects.Figure
        Its colours are the metric; a pair without a row, or with NaN alone, is empty.

    Raises
    ------
    UserError
        For a column that is none, or one parameter twice; or where plotly is not installed.
    """
    if not hasattr(frame, "columns"):
        raise UserError(f"frame must be what lab.grid returned; given: {type(frame).__name__}.")
    for key, column in (("x", x), ("y", y), ("metric", metric)):
        if column not in frame.columns:
            names = list(map(str, frame.columns))
            raise UserError(
                f"{key} must be a column of the frame ({', '.join(names)}); given: {column}."
                f"{suggestion(column, names)}"
            )
    if x == y:
        raise UserError(f"x and y must be two parameters; given: {x} twice.")
    if over not in ("median", "max", "min", "mean"):
        raise UserError(f"over must be median, max, min or mean; given: {over}.")
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise UserError("A heatmap needs plotly: pip install 'sweep-trainer[report]'.") from None
    table = frame.groupby([y, x], dropna=False)[metric].agg(over).unstack(x)
    drawn = go.Heatmap(
        x=_written(table.columns),
        y=_written(table.index),
        z=table.to_numpy(),
        colorscale="Viridis",
        colorbar={"title": {"text": metric}},
        hoverongaps=False,
        hovertemplate=f"{x} %{{x}}<br>{y} %{{y}}<br>{metric} %{{z:.4g}}<extra></extra>",
    )
    layout = {
        "template": template("light"),
        "xaxis": {"type": "category", "title": {"text": x}},
        "yaxis": {"type": "category", "title": {"text": y}},
    }
    return go.Figure([drawn], layout)


def _written(values: Iterable[Any]) -> list[str]:
    return [setting(None if math.isnan(value) else value) for value in values]
