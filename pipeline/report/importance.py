"""Measure how much of a metric each parameter explains, by itself, over a search.

Over a grid it is the main effect of functional ANOVA (Hoeffding 1948; Hutter, Hoos &
Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance, ICML): the
variance of the mean at each value of the parameter, as a share of the variance of all. On a whole
grid it is exact, and what is left is interactions. Where combinations are not admissible, it is the
correlation ratio of what is left (Pearson 1905), whose shares may overlap.

Over a search that draws it is PED-ANOVA (Watanabe, Bansal & Hutter 2023, IJCAI), as Optuna computes
it: how much the values of the best tenth differ from all that were tried.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gpu_engine import Float
from pipeline.report.heatmap import SCORE, SMALLEST, Scores, choices, values_of
from pipeline.results.artifacts.artifact_set import ScoreSummary
from pipeline.results.artifacts.drawn_trials import DrawnTrials
from pipeline.validation.wording import plural, share

#: Trials of a draw that are looked at, and those that are needed at least.
MOST_DRAWN, FEWEST_DRAWN = 10_000, 20


class Importance(NamedTuple):
    """What each parameter explains.

    ``shares`` are from 0 to 1; ``unit`` says of what, ``told`` in sentences how it was measured.
    """

    shares: Mapping[str, float]
    unit: str
    told: list[str]


def importance_of(scores: Scores, metric: str = SCORE) -> Importance | None:
    """Measure how much every parameter matters to a metric.

    Combinations that are not admissible, or whose metric is not finite, are left out. None where
    nothing varies, or the grid was too large to keep.
    """
    if isinstance(scores, ScoreSummary):
        return None
    if isinstance(scores, DrawnTrials):
        return _of_drawn(scores, metric)
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
    for place, (name, axis) in enumerate(scores.axes.items()):
        if len(axis) > 1:
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
        told.append(f"The grid is whole: {share(rest)} more is what parameters do together.")
    return Importance(shares, "share of the variance explained", told)


def _of_drawn(scores: DrawnTrials, metric: str) -> Importance | None:
    """Measure by PED-ANOVA on the first `MOST_DRAWN` trials that are admissible."""
    values = scores.metrics[metric]
    known = np.flatnonzero(np.isfinite(values) & ~np.isnan(scores.metrics[SCORE]))[:MOST_DRAWN]
    names = choices(scores)
    if len(known) < FEWEST_DRAWN or len(np.unique(values[known])) < 2 or len(names) < 2:
        return None
    import optuna  # a quarter of a second, and only here

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ends = {name: len(scores.axes[name]) - 1 for name in names}
    space = {name: optuna.distributions.IntDistribution(0, end) for name, end in ends.items()}
    places = {name: scores.places(name)[known].tolist() for name in names}
    direction = "minimize" if metric in SMALLEST else "maximize"
    study = optuna.create_study(direction=direction)
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: places[name][i] for name in names}, distributions=space, value=value
            )
            for i, value in enumerate(values[known].tolist())
        ]
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    told = [
        "How much the values of the best tenth differ from all that were tried: PED-ANOVA"
        f" (Watanabe, Bansal & Hutter 2023), over {plural(len(known), 'trial')}; all parameters"
        " together make 100 %.",
        "A search knows best where it looked. A random one looked everywhere alike; a Bayesian one"
        " looked most where it had found good values, so its importance is biased by that.",
    ]
    return Importance(shares, "share of the importance", told)
