"""Draw points by Bayesian search: Optuna's TPE, in batches, in memory (Optuna >= 5).

Grid values are offered to TPE as their position, so that it knows their order. When it proposes a
point for the second time that trial is marked failed, which TPE leaves out of its model, and a
random new point takes its place.
"""

import importlib
from typing import Any

import numpy as np
import optuna
from numpy.typing import ArrayLike
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState
from scipy import special

from gpu_engine import Float
from pipeline.search.space import Dimension, Space

Point = tuple[float, ...]


def _log_gauss_mass(a: ArrayLike, b: ArrayLike) -> Float:
    """Return the log of the normal distribution's mass between ``a`` and ``b``, elementwise."""
    a, b = np.asarray(a), np.asarray(b)
    right = a > 0  # where the upper tail is the exact one
    low, high = np.where(right, -b, a), np.where(right, -a, b)
    top = special.log_ndtr(high)
    mass: Float = top + np.log1p(-np.exp(special.log_ndtr(low) - top))
    return mass


def _let_scipy_compute() -> None:
    """Give Optuna SciPy's normal distribution, a third of what TPE takes.

    Optuna does without SciPy, and computes it number by number in Python. An Optuna that keeps
    these functions elsewhere stays as it is: the points are the same, and come later.
    """
    try:
        truncnorm: Any = importlib.import_module("optuna.samplers._tpe._truncnorm")
    except ImportError:
        return
    truncnorm._ndtr, truncnorm._log_ndtr = special.ndtr, special.log_ndtr
    truncnorm._log_gauss_mass = _log_gauss_mass


_let_scipy_compute()

#: Random points tried in place of a repeat before the repeat is let be (a nearly spent space).
REDRAWS = 1000


class BayesianSearch:
    """``trials`` points of TPE, ``batch`` at a time (see `Method`)."""

    def __init__(self, space: Space, trials: int, batch: int, seed: np.random.SeedSequence) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        tpe_seed, draw_seed = seed.spawn(2)
        sampler = optuna.samplers.TPESampler(seed=int(tpe_seed.generate_state(1)[0]))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._generator = np.random.default_rng(draw_seed)
        self._dimensions = {d.parameter.name: d for d in space.dimensions}
        self._distributions = {name: _distribution(d) for name, d in self._dimensions.items()}
        self._left, self._batch = trials, batch
        self._asked: set[Point] = set()
        self._open: list[Trial] = []

    def ask(self) -> Float:
        """Return the next ``batch`` points, none asked before."""
        size = min(self._batch, self._left)
        self._left -= size
        points = [self._ask_new() for _ in range(size)]
        return np.array(points).reshape(size, len(self._dimensions))

    def tell(self, points: Float, scores: Float) -> None:
        """Report the scores of the last batch; an inadmissible point ranks below all others."""
        for trial, score in zip(self._open, scores.tolist(), strict=True):
            if np.isnan(score):
                # TPE counts a pruned trial without values as worse than every complete one.
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, score)
        self._open = []

    def _ask_new(self) -> Point:
        trial = self._study.ask(self._distributions)
        point = self._point(trial.params)
        if point in self._asked:
            self._study.tell(trial, state=TrialState.FAIL)
            for _ in range(REDRAWS):
                parameters = self._random_parameters()
                point = self._point(parameters)
                if point not in self._asked:
                    break
            self._study.enqueue_trial(parameters)
            trial = self._study.ask(self._distributions)
        self._asked.add(point)
        self._open.append(trial)
        return point

    def _point(self, parameters: dict[str, float | int]) -> Point:
        """Return the point of what Optuna suggested."""
        return tuple(_value(d, parameters[name]) for name, d in self._dimensions.items())

    def _random_parameters(self) -> dict[str, float | int]:
        """Draw a point in Optuna's terms: positions of choices, values of ranges."""
        result: dict[str, float | int] = {}
        for name, dimension in self._dimensions.items():
            if dimension.choices is not None:
                result[name] = int(self._generator.integers(len(dimension.choices)))
            else:
                value = float(dimension.draw(1, self._generator)[0])
                result[name] = int(value) if dimension.parameter.integer else value
        return result


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices is not None:
        return IntDistribution(0, len(dimension.choices) - 1)
    if dimension.parameter.integer:
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high)


def _value(dimension: Dimension, suggested: float) -> float:
    """Return the parameter's value of what Optuna suggested."""
    if dimension.choices is not None:
        return float(dimension.choices[int(suggested)])
    return float(suggested)
