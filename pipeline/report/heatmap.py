"""Draw a metric of a search over two of its parameters: the best over all others, or a slice.

A grid that was kept whole has both. Of a larger one only the best of each pair is stored, and of a
search that draws there is the best of what it tried.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float
from pipeline.errors import UserError, suggestion
from pipeline.report.theme import FOUND, Figure, figure
from pipeline.results.artifacts.artifact_set import ArtifactSet, ScoreSummary, ScoreSurface
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from pipeline.results.jsonable import jsonable
from pipeline.validation.wording import of_combination, setting

Mode = Literal["best", "slice"]
Scores = ScoreSurface | ScoreSummary | DrawnTrials

#: What the search was ranked by, before the neighbours are looked at.
SCORE = "score"
#: Metrics by name, with their units.
MEASURES = {
    SCORE: "score",
    "net_profit": "net profit (fraction of equity)",
    "sharpe_ratio": "Sharpe ratio (annualised)",
    "max_drawdown": "largest drawdown (fraction of equity)",
    "sample_size": "closed trades",
    "win_rate": "share of trades that gained",
}
#: Of these the smallest is the best.
SMALLEST = ("max_drawdown",)
#: A score of +∞: nothing was lost (validation rules §2.2). Drawn in the best colour, and marked.
LOSSLESS, NOTHING_LOST = "∞", "∞ (nothing was lost)"


def heatmap(
    scores: Scores,
    x: str,
    y: str,
    mode: Mode = "best",
    at: Mapping[str, Any] | None = None,
    *,
    stored: Mapping[str, Any] | None = None,
    metric: str = SCORE,
    objective: str | None = None,
) -> Figure:
    """Return a metric at every value of two parameters.

    Parameters
    ----------
    scores : ScoreSurface or ScoreSummary
        Of the search that found the stored configuration: in-sample scores.
    x, y : str
        Two parameters of ``scores.axes``.
    mode : {"best", "slice"}
        The best over all others, or the others held at ``at``.
    at : mapping of str to value
        A value for every other parameter, needed by "slice".
    stored : mapping of str to value
        The stored configuration's parameters. Its point is marked, in a slice only where that goes
        through it.
    metric : str
        One that is kept (`metrics_of`), of the admissible combinations.
    objective : str or None
        What the score is, for the colour bar.

    Raises
    ------
    UserError
        For an unknown parameter or metric, a value that is not on the grid, or a slice of what is
        not kept.
    """
    table = table_of(scores, x, y, mode, at, metric)
    names = {"x": [setting(v) for v in scores.axes[x]], "y": [setting(v) for v in scores.axes[y]]}
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            **names,
            **_cells(table, metric),
            "coloraxis": "coloraxis",
            "hoverongaps": False,
            "texttemplate": "%{text}",
            "hovertemplate": f"{x} %{{x}}<br>{y} %{{y}}<br>{metric} %{{customdata}}<extra></extra>",
        }
    ]
    if stored and _goes_through(scores, x, y, at if mode == "slice" else None, stored):
        data.append(chosen_mark(setting(stored[x]), setting(stored[y])))
    axes = {
        f"{axis}axis": {"type": "category", "title": {"text": name}}
        for axis, name in (("x", x), ("y", y))
    }
    bar = {"title": {"text": measure(metric, objective), "side": "right"}}
    return figure(data, coloraxis={"colorscale": "Viridis", "colorbar": bar}, **axes)


def measure(metric: str, objective: str | None = None) -> str:
    """Name a metric with its unit; of the score also what it is."""
    name = MEASURES.get(metric, metric)
    return f"{name}: {measure(objective)}" if metric == SCORE and objective else name


def metrics_of(scores: Scores) -> list[str]:
    """Name the metrics that are kept of every combination, the score first."""
    if isinstance(scores, ScoreSummary):
        return [SCORE]
    return [SCORE, *(name for name in MEASURES if name != SCORE and name in scores.metrics)]


def table_of(
    scores: Scores,
    x: str,
    y: str,
    mode: Mode,
    at: Mapping[str, Any] | None = None,
    metric: str = SCORE,
) -> Float:
    """Return a metric over two parameters, shape (values of y, values of x); see `heatmap`."""
    if mode == "best":
        return best(scores, x, y, metric)
    return cut(scores, x, y, at or {}, metric)


def _cells(table: Float, metric: str) -> dict[str, Any]:
    """Colour, mark and written score of every cell; what is not admissible is empty."""
    lossless, finite = np.isposinf(table), table[np.isfinite(table)]
    best_colour = finite.max() if len(finite) else 1.0
    written = [
        [NOTHING_LOST if v == np.inf else of_combination(metric, v) for v in r] for r in table
    ]
    return {
        "z": jsonable(np.where(lossless, best_colour, table)),
        "text": np.where(lossless, LOSSLESS, "").tolist(),
        "customdata": written,
    }


def _goes_through(
    scores: Scores, x: str, y: str, at: Mapping[str, Any] | None, stored: Mapping[str, Any]
) -> bool:
    """Whether the figure has the stored point: on both axes, and with the same others held."""
    on_axes = all(stored[name] in list(scores.axes[name]) for name in (x, y))
    others = set(scores.axes) - {x, y}
    return on_axes and (at is None or all(at[name] == stored[name] for name in others))


def chosen_mark(x: str, y: str) -> dict[str, Any]:
    """Mark the stored configuration's own values."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "stored configuration",
        "x": [x],
        "y": [y],
        "marker": {
            "symbol": "star-diamond",
            "size": 15,
            "color": FOUND,
            "line": {"color": "#ffffff", "width": 2},
        },
        "hovertemplate": "stored configuration<extra></extra>",
    }


def best(scores: Scores, x: str, y: str, metric: str = SCORE) -> Float:
    """Return the best of a metric over all other parameters, shape (values of y, values of x).

    Of `SMALLEST` the smallest is the best, of all others the largest.

    NaN where no combination is admissible.

    Raises
    ------
    UserError
        For an unknown parameter, or the same one twice.
    """
    axes = _two(scores, x, y)
    _require(scores, metric)
    if isinstance(scores, ScoreSummary):
        if (x, y) in scores.pairs:
            return scores.pairs[x, y].T
        return scores.pairs[y, x]
    if isinstance(scores, DrawnTrials):
        return _best_drawn(scores, x, y, metric)
    others = tuple(i for i in range(len(scores.axes)) if i not in axes)
    # fmax ignores NaN unless all are, which is the rule here too.
    choose = np.fmin if metric in SMALLEST else np.fmax
    table: Float = choose.reduce(values_of(scores, metric), axis=others).astype(np.float64)
    return table.T if axes[0] < axes[1] else table


def _best_drawn(scores: DrawnTrials, x: str, y: str, metric: str) -> Float:
    """Return the best of what was tried at each pair of values."""
    worst, choose = (np.inf, np.minimum) if metric in SMALLEST else (-np.inf, np.maximum)
    table = np.full([len(scores.axes[name]) for name in (y, x)], worst)
    values = scores.metrics[metric]
    known = ~np.isnan(scores.metrics[SCORE]) & ~np.isnan(values)
    at = tuple(scores.places(name)[known] for name in (y, x))
    choose.at(table, at, values[known])
    return np.where(table == worst, np.nan, table)


def _require(scores: Scores, metric: str) -> None:
    names = metrics_of(scores)
    if metric not in names:
        raise UserError(
            f"metric: {metric} is not kept of this search; allowed are {', '.join(names)}."
            + suggestion(metric, names)
        )


def values_of(
    scores: ScoreSurface, metric: str, index: tuple[int | slice, ...] = ()
) -> NDArray[np.float32]:
    """Return a metric of the admissible combinations, NaN of the others."""
    score = scores.metrics[SCORE][index]
    if metric == SCORE:
        return score
    return np.where(np.isnan(score), np.float32(np.nan), scores.metrics[metric][index])


def cut(scores: Scores, x: str, y: str, at: Mapping[str, Any], metric: str = SCORE) -> Float:
    """Return a metric with every other parameter at its value in ``at``, shape as in `best`.

    Raises
    ------
    UserError
        Where the grid is not kept whole, or a value is missing or not on the grid.
    """
    axes = _two(scores, x, y)
    if isinstance(scores, DrawnTrials):
        raise UserError(
            "A slice needs the score of every combination, and a random or Bayesian search tried"
            " only some. Ask for mode=best, or train the market again with optimizer=grid."
        )
    if isinstance(scores, ScoreSummary):
        raise UserError(
            "A slice needs the score of every combination, and of a grid this large only the best"
            " of each pair of parameters is kept. Ask for mode=best, or train the market again with"
            " fewer values of each parameter."
        )
    _require(scores, metric)
    index = tuple(
        slice(None) if i in axes else position(scores.axes, name, at)
        for i, name in enumerate(scores.axes)
    )
    table: Float = values_of(scores, metric, index).astype(np.float64)
    return table.T if axes[0] < axes[1] else table


def position(axes: Mapping[str, Sequence[Any]], name: str, at: Mapping[str, Any]) -> int:
    """Return where ``at``'s value of a parameter stands on its axis.

    Raises
    ------
    UserError
        When it has none, or one that is not there.
    """
    values = list(axes[name])
    allowed = ", ".join(setting(value) for value in values)
    if name not in at:
        raise UserError(f"A slice needs a value of {name}: one of {allowed}.")
    if at[name] not in values:
        raise UserError(f"{name}={setting(at[name])} is not on the grid: it has {allowed}.")
    return values.index(at[name])


def _two(scores: Scores, x: str, y: str) -> tuple[int, int]:
    """Positions of two different parameters."""
    names = list(scores.axes)
    for name in (x, y):
        if name not in names:
            near = suggestion(name, names)
            raise UserError(f"There is no parameter {name}; choose of {', '.join(names)}.{near}")
    if x == y:
        raise UserError(f"A heatmap needs two different parameters, not {x} twice.")
    return names.index(x), names.index(y)


def scores_of(record: ArtifactSet) -> Scores | None:
    """Return the scores that were kept: whole, as the best of pairs, what was drawn, or none."""
    return next((s for s in (record.scores, record.summary, record.trials) if s is not None), None)


def is_whole(scores: Scores) -> bool:
    """Whether every combination is kept, so that others can be held at a value."""
    return isinstance(scores, ScoreSurface)


def choices(scores: Scores) -> list[str]:
    """Parameters that a heatmap can show: those with more than one value, in grid order."""
    return [name for name, values in scores.axes.items() if len(values) > 1]


def heatmaps(
    scores: Scores, parameters: Mapping[str, Any], objective: str | None = None
) -> dict[str, Any]:
    """Return the tables of every pair of parameters, in both modes where both can be had.

    Tables have the later parameter of the pair across: shape (values of a, values of b). A cell is
    a number, `LOSSLESS`, or None where nothing is admissible.
    """
    names = choices(scores)
    settings = {n: [setting(v) for v in scores.axes[n]] for n in names}
    on_grid = all(parameters.get(n) in list(values) for n, values in scores.axes.items())
    whole = isinstance(scores, ScoreSurface) and on_grid
    return {
        "names": names,
        "labels": settings,
        "chosen": {n: setting(parameters[n]) for n in names},
        "best": _pairs(names, lambda x, y: best(scores, x, y)),
        "slice": _pairs(names, lambda x, y: cut(scores, x, y, parameters)) if whole else None,
        "lossless": [LOSSLESS, NOTHING_LOST],
        "figure": heatmap(
            scores, names[0], names[1], "best", stored=parameters, objective=objective
        ),
    }


def _pairs(names: list[str], table: Callable[[str, str], Float]) -> dict[str, Any]:
    return {f"{a}|{b}": _rounded(table(b, a)) for a, b in combinations(names, 2)}


def _rounded(table: Float) -> list[list[float | str | None]]:
    """Five digits: what a colour and its label show; `LOSSLESS` where nothing was lost."""

    def cell(score: float) -> float | str | None:
        if np.isposinf(score):
            return LOSSLESS
        return None if np.isnan(score) else float(f"{score:.5g}")

    return [[cell(score) for score in row] for row in table]
