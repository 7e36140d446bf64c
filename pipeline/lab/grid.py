"""Evaluate a grid of combinations on a whole history, as one data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_engine import METRICS, Candles, Direction, Window
from pipeline.config import PLATEAU_LIMIT
from pipeline.errors import UserError
from pipeline.lab.evaluation import make_evaluator
from pipeline.lab.strategy import strategy_of, values_of
from pipeline.search import make_space

if TYPE_CHECKING:
    import pandas as pd


def grid(
    candles: Candles,
    strategy: Any,
    *,
    fee_rate: float = 0.001,
    slippage: float = 0.0005,
    maker_fee: float | None = None,
    borrow_rate: float | None = None,
    direction: Direction = "both",
    backend: str = "auto",
    **ranges: Any,
) -> pd.DataFrame:
    """Return the metrics of every combination on all candles, one row each.

    Nothing here is out of sample: the best row of many is good by luck. Nor is the strategy
    checked for look-ahead (docs/look-ahead.md): one that knows the next bar shows its profits.
    `backtest` and `train` refuse it, and `train` judges.

    Parameters
    ----------
    candles : Candles
        See `pipeline.lab.candles`.
    strategy : str, Path, class or object
        A built-in word, a file, or a strategy defined in the notebook.
    fee_rate, slippage : float
        Fractions of the notional: each way, and of market orders alone (fills rules §6, §7).
    maker_fee, borrow_rate : float or None
        Of an exit at a target, negative for a rebate, None for ``fee_rate``; and of a short, a day,
        None for nothing (exits rules §6).
    direction : {"both", "long", "short"}
    backend : str
        ``auto`` takes the fastest that works here.
    **ranges : number, str, list or None
        Values of parameters by name: ``[1, 2, 3]``, ``"1:3:0.5"``, ``"1:3"``, one number, None
        (off). A parameter without any has its declared grid.

    Returns
    -------
    DataFrame
        In grid order, the last parameter running fastest. First the parameters (int64 where they
        are whole numbers, else float64; NaN is off), then `METRICS` (fills rules §10): fractions
        and annual ratios as float64, ``sample_size`` (trades) and ``n_days`` as int64. What is
        undefined is NaN. ``frame.attrs["parameters"]`` are the parameters' names.

    Raises
    ------
    UserError
        For what is not as above, values that a parameter cannot have, or a grid of more than
        10,000,000 combinations.
    """
    import pandas as pd

    loaded = strategy_of(strategy)
    space = make_space(loaded, values_of(loaded, ranges), continuous=False)
    if space.size > PLATEAU_LIMIT:
        raise UserError(
            f"This grid has {space.size:,} combinations; a data frame may have {PLATEAU_LIMIT:,}:"
            " give fewer values."
        )
    terms: dict[str, Any] = {"fee_rate": fee_rate, "slippage": slippage, "direction": direction}
    terms |= {"maker_fee": maker_fee, "borrow_rate": borrow_rate}
    evaluator = make_evaluator(candles, space, backend, **terms)
    metrics = np.empty(space.size, METRICS)
    for index, block in evaluator.stream((Window(0, len(candles)),)):
        metrics[index] = block[0]
    points = space.points(np.arange(space.size))
    columns: dict[str, Any] = {}
    for parameter, values in zip(loaded.parameters, points.T, strict=True):
        if parameter.nullable:
            values = np.where(np.isinf(values), np.nan, values)
        whole = parameter.integer and not np.isnan(values).any()
        columns[parameter.name] = values.astype(np.int64) if whole else values
    columns |= {name: metrics[name] for name in METRICS.names or ()}
    frame = pd.DataFrame(columns)
    frame.attrs["parameters"] = [parameter.name for parameter in loaded.parameters]
    return frame
