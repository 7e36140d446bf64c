"""Two parameters of a score surface: the best over the others, or a slice."""

import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline.errors import UserError
from pipeline.report.heatmap import best, cut, heatmap, heatmaps
from pipeline.results.artifacts.artifact_set import ScoreSummary, ScoreSurface
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from pipeline.results.jsonable import jsonable

AXES = {"a": [1, 2], "b": [0.1, 0.2, 0.3], "c": [None, 5.0]}
SCORE = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
WHOLE = ScoreSurface(AXES, {"score": SCORE})
PAIRS = {
    ("a", "b"): SCORE.max(axis=2).astype(float),
    ("a", "c"): SCORE.max(axis=1).astype(float),
    ("b", "c"): SCORE.max(axis=0).astype(float),
}
LARGE = ScoreSummary(AXES, np.array([11]), np.array([11.0]), PAIRS)
AT = {"a": 2, "b": 0.2, "c": None}


@pytest.mark.parametrize("scores", [WHOLE, LARGE])
def test_best_is_the_maximum_over_the_others(scores):
    assert best(scores, "b", "a").tolist() == SCORE.max(axis=2).tolist()
    assert best(scores, "a", "b").tolist() == SCORE.max(axis=2).T.tolist()
    assert best(scores, "c", "a").tolist() == SCORE.max(axis=1).tolist()


def test_a_slice_holds_the_others_at_their_values():
    assert cut(WHOLE, "b", "a", AT).tolist() == SCORE[:, :, 0].tolist()
    assert cut(WHOLE, "c", "b", AT).tolist() == SCORE[1].tolist()
    assert cut(WHOLE, "a", "c", AT).tolist() == SCORE[:, 1].T.tolist()


def test_what_is_not_admissible_counts_only_where_nothing_else_is():
    score = SCORE.copy()
    score[0, 0] = np.nan
    score[1, 1, 1] = np.nan
    table = best(ScoreSurface(AXES, {"score": score}), "b", "a")
    assert np.isnan(table[0, 0])
    assert table[1, 1] == score[1, 1, 0]


@pytest.mark.parametrize("mode", ["best", "slice"])
def test_a_combination_without_a_loss_is_drawn_as_the_best(mode):
    """Its score is infinite (validation rules §2.2): neither empty nor off the scale."""
    score = SCORE.copy()
    score[0, 1], score[1, 2] = np.inf, np.nan
    (data,) = heatmap(ScoreSurface(AXES, {"score": score}), "b", "a", mode, AT)["data"]
    finite = [value for row in data["z"] for value in row if value is not None]
    assert data["z"][0][1] == max(finite) == (9.0 if mode == "best" else 8.0)
    assert data["z"][1][2] is None
    assert data["text"] == [["", "∞", ""], ["", "", ""]]
    assert data["customdata"][0][:2] == ["1" if mode == "best" else "0", "∞ (nothing was lost)"]
    assert np.isposinf(best(ScoreSurface(AXES, {"score": score}), "b", "a")[0, 1])
    go.Figure(heatmap(ScoreSurface(AXES, {"score": score}), "b", "a", mode, AT))


def test_nothing_but_infinite_scores_still_has_a_colour():
    (data,) = heatmap(ScoreSurface(AXES, {"score": np.full_like(SCORE, np.inf)}), "b", "a")["data"]
    assert data["z"] == [[1.0] * 3] * 2


def test_tables_of_a_page_mark_what_lost_nothing():
    score = SCORE.copy()
    score[1, 1, 1], score[0, 0] = np.inf, np.nan
    tables = heatmaps(ScoreSurface(AXES, {"score": score}), AT)
    assert tables["best"]["a|b"] == [[None, 3.0, 5.0], [7.0, "∞", 11.0]]
    assert tables["slice"]["a|b"] == [[None, 2.0, 4.0], [6.0, 8.0, 10.0]]
    pairs = PAIRS | {("a", "b"): np.where(PAIRS["a", "b"] == 11.0, np.inf, PAIRS["a", "b"])}
    large = heatmaps(ScoreSummary(AXES, np.array([11]), np.array([np.inf]), pairs), AT)
    assert large["best"]["a|b"][1] == [7.0, 9.0, "∞"]


def test_the_chosen_values_are_marked():
    figure = heatmap(WHOLE, "a", "c", "slice", AT, stored=AT)
    assert figure["data"][0]["x"] == ["1", "2"]
    assert figure["data"][0]["y"] == ["off", "5"]
    assert (figure["data"][1]["x"], figure["data"][1]["y"]) == (["2"], ["off"])
    go.Figure(figure)


@pytest.mark.parametrize(
    ("mode", "held", "stored", "marked"),
    [
        ("slice", {"a": 1, "c": 5.0}, AT, True),  # its own axes hold nothing
        ("slice", {"b": 0.3}, AT, False),  # another plane than the stored one
        ("best", {"b": 0.3}, AT, True),
        ("best", {}, AT | {"a": 1.5}, False),  # found between the values of the grid
    ],
)
def test_the_stored_point_is_marked_where_it_is_or_nowhere(mode, held, stored, marked):
    data = heatmap(WHOLE, "a", "c", mode, AT | held, stored=stored)["data"]
    assert len(data) == 1 + marked
    assert [(mark["x"], mark["y"]) for mark in data[1:]] == [(["2"], ["off"])] * marked


def test_the_marked_value_of_a_slice_is_the_stored_score(report):
    scores, row = report.artifacts.scores, report.configuration
    names = [name for name, values in scores.axes.items() if len(values) > 1]
    tables = heatmaps(scores, row.parameters)
    at = {n: list(scores.axes[n]).index(row.parameters[n]) for n in scores.axes}
    value = scores.metrics["score"][tuple(at.values())]
    for pair, table in tables["slice"].items():
        a, b = pair.split("|")
        assert table[at[a]][at[b]] == pytest.approx(value, rel=1e-4)
        assert tables["best"][pair][at[a]][at[b]] >= table[at[a]][at[b]]
    assert len(tables["best"]) == len(names) * (len(names) - 1) // 2


def test_a_large_grid_has_no_slices():
    assert heatmaps(LARGE, AT)["slice"] is None
    with pytest.raises(UserError, match="mode=best"):
        cut(LARGE, "a", "b", AT)


@pytest.mark.parametrize(
    ("x", "y", "at", "said"),
    [
        ("a", "a", AT, "two different parameters"),
        ("A1", "b", AT, "no parameter A1; choose of a, b, c"),
        ("a", "b", {}, "needs a value of c: one of off, 5"),
        ("a", "b", {"c": 4.0}, "c=4 is not on the grid: it has off, 5"),
    ],
)
def test_mistakes_are_named(x, y, at, said):
    with pytest.raises(UserError, match=said):
        heatmap(WHOLE, x, y, "slice", at)


def test_any_metric_is_drawn_of_what_is_admissible():
    score, drawdown = SCORE.copy(), SCORE[::-1].copy() / 100
    score[0, 0] = np.nan
    scores = ScoreSurface(AXES, {"score": score, "max_drawdown": drawdown})
    table = best(scores, "b", "a", "max_drawdown")
    admissible = np.where(np.isnan(score), np.inf, drawdown).min(axis=2)
    assert np.isnan(table[0, 0])
    assert np.delete(table.ravel(), 0) == pytest.approx(np.delete(admissible.ravel(), 0))
    held = cut(scores, "b", "a", AT, "max_drawdown")
    assert held[1] == pytest.approx(drawdown[1, :, 0])
    drawn = heatmap(scores, "b", "a", metric="max_drawdown")
    assert drawn["data"][0]["z"][1] == pytest.approx(table[1].tolist())
    bar = drawn["layout"]["coloraxis"]["colorbar"]["title"]["text"]
    assert bar == "largest drawdown (fraction of equity)"


def test_the_colour_bar_says_what_the_score_is():
    bar = heatmap(WHOLE, "b", "a", objective="net_profit")["layout"]["coloraxis"]["colorbar"]
    assert bar["title"]["text"] == "score: net profit (fraction of equity)"


@pytest.mark.parametrize("scores", [WHOLE, LARGE])
def test_a_metric_that_is_not_kept_is_refused(scores):
    with pytest.raises(UserError, match="metric: win_rate is not kept of this search; allowed are"):
        best(scores, "a", "b", "win_rate")


DRAWN = DrawnTrials(
    {"a": np.array([1.0, 2, 2, np.nan, 1]), "b": np.array([0.1, 0.2, 0.2, 0.1, 0.1])},
    {
        "score": np.array([0.3, 0.5, 0.4, 0.1, np.nan]),
        "max_drawdown": np.array([0.2, 0.4, 0.3, 0.1, 0.0]),
    },
)


def test_of_a_draw_it_is_the_best_of_what_was_tried():
    table = best(DRAWN, "a", "b")  # a: off, 1, 2
    assert jsonable(table) == [[0.1, 0.3, None], [None, None, 0.5]]
    assert jsonable(best(DRAWN, "a", "b", "max_drawdown")) == [[0.1, 0.2, None], [None, None, 0.3]]
    with pytest.raises(UserError, match=r"random or Bayesian .* mode=best, or .* optimizer=grid"):
        cut(DRAWN, "a", "b", {})
