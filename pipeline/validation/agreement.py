"""The receipt: every winner's trades once more on the reference path (design, point 4)."""

from __future__ import annotations

import numpy as np

from gpu_engine.backend import choose
from gpu_engine.records import Float, Window
from pipeline.search.evaluator import Evaluator
from pipeline.validation.walk_forward import Validation

#: Golden tolerances: prices relative, returns absolute.
PRICE_RTOL, RETURN_ATOL = 1e-12, 1e-12


class ReferenceDisagreementError(RuntimeError):
    """A backend and the reference path traded differently: a fault of this program."""


def check_against_reference(evaluator: Evaluator, validation: Validation) -> None:
    """Compare, trade by trade, each test part's winner and the stored configuration.

    Raises
    ------
    ReferenceDisagreementError
        Naming the window, when bars, sides or reasons differ, or prices beyond the tolerance.
    """
    for window in validation.windows:
        if window.found.point is not None:
            _compare(evaluator, window.found.point, window.split.test)
    if validation.final.point is not None:
        _compare(evaluator, validation.final.point, validation.final.window)


def _compare(evaluator: Evaluator, point: Float, window: Window) -> None:
    reference = evaluator.alone(point, choose("reference").backend)
    expected = reference.trades(point, window)
    given = evaluator.trades(point, window)
    exact = ("side", "sweep_bar", "signal_bar", "entry_bar", "exit_bar", "reason")
    if (
        len(expected) == len(given)
        and all(np.array_equal(expected[name], given[name]) for name in exact)
        and np.allclose(expected["entry"], given["entry"], rtol=PRICE_RTOL, atol=0.0)
        and np.allclose(expected["exit"], given["exit"], rtol=PRICE_RTOL, atol=0.0)
        and np.allclose(expected["ret"], given["ret"], rtol=0.0, atol=RETURN_ATOL)
    ):
        return
    raise ReferenceDisagreementError(
        f"bars [{window.start}, {window.end}): {evaluator.space.parameters(point)} made"
        f" {len(given)} trades, the reference path {len(expected)} or other ones; nothing was"
        " stored. Run scripts/conform on a golden file and report it."
    )
