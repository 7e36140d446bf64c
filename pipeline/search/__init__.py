"""Search a space of combinations: methods that draw points, one evaluator, one ranking."""

from pipeline.search.backends import chosen_backend, cpu_backends, named_backend
from pipeline.search.evaluator import Evaluator
from pipeline.search.grid import (
    SCORES_PER_PASS,
    SURFACE_METRICS,
    Scores,
    Summaries,
    Surface,
    score_grid,
    surface_of,
)
from pipeline.search.loop import SearchResult, SearchSettings, run_method, search
from pipeline.search.space import Dimension, Space, make_space, single_point
from pipeline.search.split import SplitEvaluator
