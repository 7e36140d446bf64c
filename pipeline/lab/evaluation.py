"""Check what a notebook gives beside a strategy, and make what evaluates combinations of it."""

from typing import Any

from gpu_engine import Direction, RiskLimits
from pipeline.config import CostsConfig, validate
from pipeline.lab.candles import checked
from pipeline.search import Evaluator, Space
from pipeline.search.backends import named_backend


class _Terms(CostsConfig):
    direction: Direction


def make_evaluator(candles: Any, space: Space, backend: str, **terms: Any) -> Evaluator:
    """Return what evaluates points of ``space``; circuit breakers act at their defaults.

    Parameters
    ----------
    candles : Candles
    space : Space
    backend : str
        ``auto`` takes the fastest that works here.
    **terms : fee_rate, slippage, maker_fee, borrow_rate and direction
        As `pipeline.lab.grid` takes them, in the ranges that a command allows.

    Raises
    ------
    UserError
        When one of them is none, or the backend cannot run here.
    """
    plain = {
        name: value.tolist() if hasattr(value, "tolist") else value for name, value in terms.items()
    }
    valid = validate(plain, _Terms)
    risk = RiskLimits(direction=valid.direction)
    return Evaluator(checked(candles), space, valid.record(), risk, named_backend(backend))
