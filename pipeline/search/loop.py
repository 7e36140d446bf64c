"""Search each window: ask, evaluate, tell, and take the best (validation rules §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from gpu_engine import Advance, Float, GridSummary, ScoreRule, Window, scores_of
from pipeline.config import PLATEAU_LIMIT
from pipeline.search import ranking
from pipeline.search.evaluator import Evaluator
from pipeline.search.grid import SURFACE_METRICS, Summaries, score_grid
from pipeline.search.objective import OwnObjective
from pipeline.search.random import RandomSearch
from pipeline.search.space import Space


class Method(Protocol):
    """Ask for points, tell their scores; the same seed asks the same points.

    NaN scores are inadmissible. A method never asks a point of a discrete space twice.
    """

    def ask(self) -> Float:
        """Return the next points, float64 of shape (n, P); n = 0 when the budget is spent."""
        ...

    def tell(self, points: Float, scores: Float) -> None:
        """Hand back the scores of what was asked, shape (n,)."""
        ...


#: Best combinations kept of a grid too large to hold.
BEST_KEPT = 100


@dataclass(frozen=True)
class SearchSettings:
    """How to search: the method with its budget, the objective, and how the winner is chosen.

    ``budget`` counts evaluations of one search (ignored by the grid); ``batch`` is how many TPE
    proposes before it hears a score. ``objective``, ``min_trades`` and ``scorer``, which a file of
    the user's own brings, make the `ScoreRule`.
    """

    method: Literal["grid", "random", "bayesian"]
    budget: int
    batch: int
    objective: str
    selection: Literal["auto", "plateau", "peak"]
    min_trades: int
    seed: int
    scorer: OwnObjective | None = None

    def resolved(self, space: Space) -> SearchSettings:
        """Settle what depends on the space: a budget that covers it is the grid; auto selection."""
        method = self.method
        if space.discrete and self.budget >= space.size:
            method = "grid"
        selection = self.selection
        if selection == "auto":
            small = space.discrete and space.size <= PLATEAU_LIMIT
            selection = "plateau" if method == "grid" and small else "peak"
        return replace(self, method=method, selection=selection)

    @property
    def rule(self) -> ScoreRule:
        """What makes a score of metrics."""
        return ScoreRule(self.objective, self.min_trades, self.scorer)

    def evaluations(self, space: Space) -> int:
        """Count the evaluations of one search."""
        return space.size if self.method == "grid" else self.budget

    def at_once(self, space: Space) -> int:
        """Count the evaluations that are asked at once: TPE waits for the scores of a batch."""
        return self.batch if self.method == "bayesian" else self.evaluations(space)


#: Points that a search which draws keeps: of more the first ones that it asked.
TRIALS_KEPT = 1_000_000


@dataclass(frozen=True, eq=False)
class Trials:
    """What a method that draws asked, in its order.

    ``points`` float64 (n, P); ``scores`` float64 (n,), NaN where inadmissible; ``metrics`` the
    `SURFACE_METRICS` by name, float64 (n,), where they are kept.
    """

    points: Float
    scores: Float
    metrics: Mapping[str, Float]

    @property
    def first(self) -> Trials:
        """The first `TRIALS_KEPT` of them."""
        some = slice(TRIALS_KEPT)
        metrics = {name: values[some] for name, values in self.metrics.items()}
        return Trials(self.points[some], self.scores[some], metrics)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of one search in its window.

    ``point`` is None when nothing was admissible; ``score`` is the winner's own (not its
    plateau's). ``stability_score`` is None off the grid, where no neighbour is admissible, and for
    a minimised objective, of which no score is positive. ``summary`` is there for a grid too large
    to hold, ``trials`` in the last window of a method that draws.
    """

    window: Window
    evaluated: int
    admissible: int
    point: Float | None
    score: float | None
    stability_score: float | None
    summary: GridSummary | None = None
    trials: Trials | None = None


def search(
    evaluator: Evaluator, windows: Sequence[Window], settings: SearchSettings, advance: Advance
) -> list[SearchResult]:
    """Run one search in each window; ``advance`` hears of every evaluation.

    Each window draws from a seed of its own, so the result of a window does not depend on how
    many others there are.
    """
    if settings.method == "grid":
        return _search_grid(evaluator, windows, settings, advance)
    last = len(windows) - 1
    searches = [PointSearch(w, settings, n, keeps=n == last) for n, w in enumerate(windows)]
    return evaluator.each(searches, advance)


def _method(space: Space, settings: SearchSettings, seed: np.random.SeedSequence) -> Method:
    if settings.method == "random":
        return RandomSearch(space, settings.budget, seed)
    from pipeline.search.bayesian import BayesianSearch  # Optuna takes a quarter second to import

    return BayesianSearch(space, settings.budget, settings.batch, seed)


def _search_grid(
    evaluator: Evaluator, windows: Sequence[Window], settings: SearchSettings, advance: Advance
) -> list[SearchResult]:
    space = evaluator.space
    if space.size > PLATEAU_LIMIT:
        summaries = evaluator.walk(Summaries(tuple(windows), settings.rule, BEST_KEPT), advance)
        return [
            _winner_in(evaluator, window, settings, summary)
            for window, summary in zip(windows, summaries, strict=True)
        ]
    results = []
    for window, scores in zip(
        windows, score_grid(evaluator, windows, settings.rule, advance), strict=True
    ):
        ranked = scores
        if settings.selection == "plateau":
            ranked = ranking.plateau(scores, space.shape)
        winner = ranking.best(ranked)
        admissible = int((~np.isnan(scores)).sum())
        results.append(_winner_at(evaluator, window, settings, winner, admissible, scores))
    return results


def _winner_in(
    evaluator: Evaluator, window: Window, settings: SearchSettings, summary: GridSummary
) -> SearchResult:
    """Describe the winner of a grid that was summarised."""
    winner = int(summary.index[0]) if len(summary.index) else None
    result = _winner_at(evaluator, window, settings, winner, summary.admissible)
    stable = None
    if winner is not None and not settings.rule.minimise:
        neighbours = ranking.axis_neighbours(winner, evaluator.space.shape)
        points = evaluator.space.points(neighbours)
        metrics = evaluator.points(points, (window,))[0]
        stable = ranking.positive_share(scores_of(metrics, settings.rule))
    return replace(result, stability_score=stable, summary=summary)


def _winner_at(
    evaluator: Evaluator,
    window: Window,
    settings: SearchSettings,
    winner: int | None,
    admissible: int,
    scores: Float | None = None,
) -> SearchResult:
    """Describe the winner of a grid by its index."""
    space = evaluator.space
    if winner is None:
        return SearchResult(window, space.size, admissible, None, None, None)
    point = space.points(np.array([winner]))[0]
    metrics = evaluator.points(point[None], (window,))[0]
    score = float(scores_of(metrics, settings.rule)[0])
    stable = None
    if scores is not None and not settings.rule.minimise:
        stable = ranking.stability(scores, space.shape, winner)
    return SearchResult(window, space.size, admissible, point, score, stable)


@dataclass(frozen=True)
class PointSearch:
    """The search of a method that draws, in one window (see `run_method`)."""

    window: Window
    settings: SearchSettings
    number: int
    keeps: bool = False

    def over(self, evaluator: Evaluator, advance: Advance) -> SearchResult:
        """Run the method and take the best of what it asked, the first among equals."""
        found = run_method(
            evaluator, self.window, self.settings, self.number, advance, keeps=self.keeps
        )
        admissible = int((~np.isnan(found.scores)).sum())
        winner = ranking.best(found.scores)
        point, score = None, None
        if winner is not None:
            point, score = found.points[winner], float(found.scores[winner])
        trials = found.first if self.keeps else None
        count = len(found.scores)
        return SearchResult(self.window, count, admissible, point, score, None, trials=trials)


def run_method(
    evaluator: Evaluator,
    window: Window,
    settings: SearchSettings,
    number: int,
    advance: Advance,
    *,
    keeps: bool = False,
) -> Trials:
    """Run a method that draws in one window; return all it asked, with metrics if it ``keeps``.

    ``number`` of the search and the seed of the settings give the draws.
    """
    method = _method(evaluator.space, settings, np.random.SeedSequence([settings.seed, number]))
    batches: list[Float] = []
    batch_scores: list[Float] = []
    kept: dict[str, list[Float]] = {name: [] for name in SURFACE_METRICS} if keeps else {}
    while len(points := method.ask()):
        metrics = evaluator.points(points, (window,))[0]
        scores = scores_of(metrics, settings.rule)
        method.tell(points, scores)
        batches.append(points)
        batch_scores.append(scores)
        for name, values in kept.items():
            values.append(metrics[name].astype(np.float64))
        advance(len(points))
    columns = {name: np.concatenate(values) for name, values in kept.items()}
    return Trials(np.concatenate(batches), np.concatenate(batch_scores), columns)
