"""The receipt: every winner's trades once more on the reference path."""

from __future__ import annotations

from gpu_engine.agreement import compare_trades
from gpu_engine.backend import choose
from gpu_engine.records import Float, Window
from pipeline.search.evaluator import Evaluator
from pipeline.validation.walk_forward import Validation


class ReferenceDisagreementError(RuntimeError):
    """A backend and the reference path traded differently: a fault of this program."""


def check_against_reference(evaluator: Evaluator, validation: Validation) -> None:
    """Compare, trade by trade, each test part's winner and the stored configuration.

    Raises
    ------
    ReferenceDisagreementError
        Naming the first figure that differs.
    """
    for window in validation.windows:
        if window.found.point is not None:
            _compare(evaluator, window.found.point, window.split.test)
    if validation.final.point is not None:
        _compare(evaluator, validation.final.point, validation.final.window)


def _compare(evaluator: Evaluator, point: Float, window: Window) -> None:
    reference = evaluator.alone(point, choose("reference").backend)
    found = compare_trades(reference.trades(point, window), evaluator.trades(point, window))
    if found:
        raise ReferenceDisagreementError(
            f"bars [{window.start}, {window.end}) of {evaluator.space.parameters(point)}: the"
            f" reference path disagrees in {len(found)} figures, the first {found[0]}. Nothing was"
            " stored. Run scripts/conform on a golden file and report it."
        )
