"""Measure how much of a metric each parameter explains, by itself, over a search.

Over a grid it is the main effect of functional ANOVA (Hoeffding 1948; Hutter, Hoos &
Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance, ICML): the
variance of the mean at each value of the parameter, as a share of the variance of all. On a whole
grid it is exact, and what is left is interactions. Where combinations are not admissible, it is the
correlation ratio of what is left (Pearson 1905), whose shares may overlap.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gpu_engine import Float
from pipeline.report.heatmap import SCORE, Scores, values_of
from pipeline.results.artifacts import ScoreSummary


class Importance(NamedTuple):
    """What each parameter explains.

    ``shares`` are from 0 to 1; ``unit`` says of what, ``told`` in sentences how it was measured.
    """

    shares: Mapping[str, float]
    unit: str
    told: list[str]


def grid_importance(scores: Scores, metric: str = SCORE) -> Importance | None:
    """Measure the main effect of every parameter of a grid that was kept whole.

    Combinations that are not admissible, or whose metric is not finite, are left out. None where
    nothing varies, or the grid was too large to keep.
    """
    if isinstance(scores, ScoreSummary):
        return None
    values = values_of(scores, metric)
    known = np.isfinite(values)
    count = int(known.sum())
    if not count:
        return None
    mean = float(values.mean(where=known, dtype=np.float64))
    values = np.where(known, values - np.float32(mean), np.float32(0.0))
    flat = values.reshape(-1)
    total = float(np.einsum("i,i->", flat, flat, dtype=np.float64))
    total -= float(values.sum(dtype=np.float64)) ** 2 / count
    if not total > 0.0:
        return None
    shares = {}
    for place, (name, choices) in enumerate(scores.axes.items()):
        if len(choices) > 1:
            others = tuple(i for i in range(values.ndim) if i != place)
            sums: Float = values.sum(axis=others, dtype=np.float64)
            counts = known.sum(axis=others)
            between = np.sum(sums[counts > 0] ** 2 / counts[counts > 0]) - sums.sum() ** 2 / count
            shares[name] = max(float(between / total), 0.0)
    left = values.size - count
    told = [
        "Share of the variance over all combinations that each parameter explains by itself: the"
        " main effect of functional ANOVA (Hutter, Hoos & Leyton-Brown 2014)."
    ]
    if left:
        told.append(
            f"{left:,} of {values.size:,} combinations are not admissible and left out, so it is"
            " the correlation ratio of the others (Pearson 1905): shares may overlap."
        )
    else:
        rest = max(1.0 - sum(shares.values()), 0.0)
        told.append(f"The grid is whole: the remaining {rest:.0%} is what parameters do together.")
    return Importance(shares, "share of the variance explained", told)
