"""Score combinations by a function of the user's own: ``objective=my_objective.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Float
from pipeline.config import TrainConfig
from pipeline.strategies.own_code import OwnCodeError, in_sentences, module_of

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class OwnObjective:
    """The ``score`` of a file, which travels as the file's text.

    ``file`` is what sentences call it.
    """

    text: str
    file: str

    def __call__(self, metrics: NDArray[Any]) -> Float:
        """Score combinations: more is better, NaN never wins, and minus infinity is NaN.

        Parameters
        ----------
        metrics : array of dtype `METRICS` and shape (n,), which cannot be written to

        Returns
        -------
        float64 array of shape (n,)

        Raises
        ------
        OwnCodeError
            When the function raises, or returns anything else; or when a score depends on which
            other combinations are scored with it, for then it would depend on the backend.
        """
        score = self._function()
        flat = metrics.reshape(-1).view()
        flat.flags.writeable = False
        scores = self._checked(score, flat)
        one = len(flat) // 2 | 1  # alone it stands at an even place, here at an odd one
        if len(flat) > 1:
            alone = self._checked(score, flat[one : one + 1])[0]
            if alone != scores[one] and not np.isnan([alone, scores[one]]).all():
                raise OwnCodeError(
                    f"{self.file}: score(metrics) must score each combination by its own metrics;"
                    f" one is {alone:.17g} alone and {scores[one]:.17g} among"
                    f" {len(flat):,}: compare it with no other, and draw nothing at random."
                )
        return np.where(np.isneginf(scores), np.nan, scores).reshape(metrics.shape)

    def _function(self) -> Callable[[NDArray[Any]], Any]:
        score: Any = getattr(module_of(self.text, self.file), "score", None)
        if not callable(score):
            raise OwnCodeError(
                f"{self.file} must define score(metrics); it defines no function of that name."
            )
        function: Callable[[NDArray[Any]], Any] = score
        return function

    def _checked(self, score: Callable[[NDArray[Any]], Any], metrics: NDArray[Any]) -> Float:
        with in_sentences(self.file):
            scores = score(metrics)
        if type(scores) is np.ndarray and scores.shape == metrics.shape:
            if scores.dtype == np.float64:
                return scores
            given = f"{scores.dtype}: write .astype(np.float64)"
        else:
            shape = f" of shape {scores.shape}" if isinstance(scores, np.ndarray) else ""
            given = f"{type(scores).__name__}{shape}"
        raise OwnCodeError(
            f"{self.file}: score(metrics) must return a float64 array of shape {metrics.shape}, one"
            f" score a combination; given: {given}."
        )


def own_objective(config: TrainConfig) -> OwnObjective | None:
    """Return the objective of a file, and None for a metric of fills rules §10."""
    if config.objective_text is None:
        return None
    file = config.objective_file or f"{config.objective}.py"
    return OwnObjective(config.objective_text, file)
