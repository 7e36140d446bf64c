"""Figures of a search laid open."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from gpu_engine import METRICS
from pipeline.report.best import _shown_table, best_markup, best_of, days_sentences
from pipeline.report.echart import is_known, option
from pipeline.report.search_figures import equity_of_best, parallel_coordinates, relief
from pipeline.report.trials import trials_of
from pipeline.results.artifacts.artifact_set import ScoreSurface
from pipeline.review.replay import Period, Replay

AXES = {"a": [None, 2.0], "b": [0.1, 0.2, 0.3], "c": [1]}
SCORE = np.array([[[0.1], [0.5], [np.nan]], [[0.3], [0.2], [0.4]]], np.float32)
BEST = best_of(trials_of(ScoreSurface(AXES, {"score": SCORE})), {"a": 2.0, "b": 0.1, "c": 1})


def period(first, daily):
    daily = np.array(daily)
    day = np.arange(first, first + daily.shape[1], dtype=np.int32)
    metrics = np.zeros(len(daily), METRICS)
    metrics["net_profit"] = np.prod(1.0 + daily, axis=1) - 1.0
    return Period(day, daily, metrics, np.full(len(day), 0.01))


SEEN = period(10, np.full((5, 2), 0.1))
UNSEEN = Period(
    np.array([3, 4, 15], np.int32),
    np.tile([0.5, -0.5, 0.2], (5, 1)),
    period(0, np.tile([0.5, -0.5, 0.2], (5, 1))).metrics,
    np.zeros(3),
)
AGAIN = Replay(SEEN, UNSEEN.day[:2], UNSEEN.day[2:], UNSEEN, 3)


def test_the_best_come_in_order_and_the_stored_one_has_its_rank():
    assert [BEST.trials.index(BEST.rows).tolist(), BEST.rank.tolist()] == [
        [1, 5, 3, 4, 0],
        [1, 2, 3, 4, 5],
    ]
    assert BEST.parameters[0] == {"a": None, "b": 0.2, "c": 1.0}
    last = best_of(BEST.trials, {"a": None, "b": 0.1, "c": 1}, 2)
    assert (last.rows.tolist(), last.rank.tolist()) == ([1, 0], [1, 5])


def test_unseen_figures_have_columns_where_there_are_unseen_days_alone():
    seen_alone = Replay(SEEN, None, None, None, 3)
    heads = [
        str(best_markup(BEST, again)).count("<th scope=") for again in (AGAIN, seen_alone, None)
    ]
    rows = len(BEST.rows)
    figures, parameters = 5, 3
    shared = rows + 2 + figures + parameters
    assert heads == [shared + figures, shared, shared]


def test_of_no_trade_there_is_no_share_of_wins():
    unseen = replace(UNSEEN, metrics=UNSEEN.metrics.copy())
    unseen.metrics["sample_size"][0] = 2
    shown = _shown_table(BEST, replace(AGAIN, unseen=unseen))
    place = shown.heads.index("wins unseen") - 1  # the rank is no figure
    cells = [row.figures[place] for row in shown.rows]
    assert cells[:2] == [("0 %", 0.0), ("-", None)]
    assert shown.rows[0].figures[place - 1] == ("-", None)  # none in sample


def test_every_part_of_an_equity_begins_at_zero():
    drawn = equity_of_best(BEST, AGAIN)
    go.Figure(drawn)
    line = drawn["data"][0]
    assert line["x"] == [
        *("1970-01-04", "1970-01-05", "1970-01-06", None),
        *("1970-01-11", "1970-01-12", "1970-01-13", None),
        *("1970-01-16", "1970-01-17", None),
    ]
    assert line["y"] == [0.0, 0.5, -0.25, None, 0.0, 0.1, 0.21, None, 0.0, 0.2, None]
    (stored,) = (one for one in drawn["data"] if "stored" in one["name"])
    assert stored["name"] == "rank 3 (stored)"
    assert drawn["data"][-1]["y"][4:7] == [0.0, 0.01, 0.0201]
    (seen,) = drawn["layout"]["shapes"]
    assert (seen["x0"], seen["x1"]) == ("1970-01-11", "1970-01-13")


def test_parallel_coordinates_stand_at_places_of_the_grid():
    drawn = parallel_coordinates(BEST, AGAIN, AXES)
    assert is_known(drawn)
    assert option(drawn) == drawn
    a, b, seen, unseen, score = zip(*drawn["series"]["data"], strict=True)
    assert a == (0, 1, 1, 1, 0)
    assert drawn["parallelAxis"][0]["data"] == ["off", "2"]
    assert b == (1, 2, 0, 1, 0)
    assert seen == pytest.approx([21.0] * 5)
    assert unseen == pytest.approx([100.0 * (0.5 * 0.6 * 3 - 1.0)] * 5)
    assert score == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    ends = [drawn["visualMap"][end] for end in ("min", "max")]
    assert ends == pytest.approx([0.1, 0.5])
    assert [one["name"] for one in drawn["parallelAxis"]][3:] == ["net unseen, %", "score"]


def test_a_surface_has_a_height_where_the_metric_is_finite():
    table = np.array([[1.0, np.inf], [np.nan, 2.0]])
    drawn = relief(table, {"a": ["off", "2"], "b": ["0.1", "0.2"]}, "a", "b", "score", "score")
    go.Figure(drawn)
    assert drawn["data"][0]["z"] == [[1.0, None], [None, 2.0]]
    many = np.array([[12345.0, 0.0], [1.0, 2.0]])
    labels = {"a": ["off", "2"], "b": ["0.1", "0.2"]}
    hovers = {
        metric: relief(many, labels, "a", "b", "", metric)["data"][0]["text"][0][0]
        for metric in ("sample_size", "score")
    }
    assert {text.rpartition("<br>")[2] for text in hovers.values()} == {"12,345"}
    assert drawn["layout"]["scene"]["yaxis"]["ticktext"] == ["0.1", "0.2"]


def test_which_days_were_seen_is_said():
    seen, before, after, hindsight = days_sentences(AGAIN)
    assert "2 days, 1970-01-11 to 1970-01-12" in seen
    assert "2 days, 1970-01-04 to 1970-01-05 (UTC): days before" in before
    assert "1 day, 1970-01-16 to 1970-01-16 (UTC): days after" in after
    assert "hindsight" in hindsight
    since = Replay(SEEN, None, None, UNSEEN, 3, since=UNSEEN.day)
    assert "3 days, 1970-01-04 to 1970-01-16 (UTC): days since the" in days_sentences(since)[1]
    for other in ({"before": UNSEEN.day[:1]}, {"after": UNSEEN.day[:1]}):
        assert "(UTC) too: days since the" in days_sentences(replace(since, **other))[2]
    assert equity_of_best(BEST, since)["data"][0]["x"][0] == "1970-01-11"
    alone = days_sentences(Replay(SEEN, None, None, None, 3))
    assert "no unseen days" in alone[-1]
    assert ["Both results" in said for said in (seen, alone[0])] == [True, False]
