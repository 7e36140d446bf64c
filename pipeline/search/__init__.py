"""Search a space of combinations: methods that draw points, one evaluator, one ranking."""

from pipeline.search.evaluator import Evaluator
from pipeline.search.grid import (
    SCORES_PER_PASS,
    SURFACE_METRICS,
    Scores,
    Summaries,
    Surface,
    in_place,
    surface_of,
)
from pipeline.search.space import Dimension, Space, make_space, single_point
