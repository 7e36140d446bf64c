"""Simulate combinations on a whole history: one with its trades and equity, or all of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_engine import (
    METRICS,
    REASONS,
    Candles,
    Direction,
    Float,
    Int32,
    RiskLimits,
    Window,
    marked_metrics,
)
from pipeline.causality import refuse_look_ahead
from pipeline.config import PLATEAU_LIMIT, CostsConfig, validate
from pipeline.errors import UserError
from pipeline.lab.candles import checked
from pipeline.lab.strategy import strategy_of, values_of
from pipeline.search import Evaluator, Space, make_space
from pipeline.search.backends import named_backend
from pipeline.validation.wording import percent, share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Backtest:
    """One combination on a whole history.

    Attributes
    ----------
    trades : DataFrame
        One row a trade, in order: ``side`` (``long`` or ``short``), ``entry_time`` and
        ``exit_time`` (open times of the bars, UTC), ``entry`` and ``exit`` (prices in the quote
        currency, after slippage), ``stop`` and ``target`` (levels at the entry, NaN for none),
        ``reason`` of the exit, ``return`` (net of fees, fraction of the notional).
    equity : Series of float64
        At the close of every UTC day, marked to market (fills rules §10.4); 1 before the first day.
    metrics : dict of str to float
        Of the marked days (`METRICS`, fills rules §10).
    parameters : dict of str to value
        The combination.
    """

    trades: pd.DataFrame
    equity: pd.Series
    metrics: dict[str, float]
    parameters: dict[str, Any]

    def _repr_html_(self) -> str:
        figures = self.metrics
        return (
            f"<p><b>{len(self.trades)} trades</b>, net profit {percent(figures['net_profit'])},"
            f" Sharpe ratio {figures['sharpe_ratio']:.2f}, largest drawdown"
            f" {share(figures['max_drawdown'])}</p>{self.trades.tail().to_html(index=False)}"
        )


def backtest(
    candles: Candles,
    strategy: Any,
    *,
    fee_rate: float = 0.001,
    slippage: float = 0.0005,
    maker_fee: float | None = None,
    borrow_rate: float | None = None,
    direction: Direction = "both",
    backend: str = "auto",
    **parameters: float | None,
) -> Backtest:
    """Backtest one combination on all candles, as `scripts/backtest` does.

    Parameters are as in `grid`, but one value each; a parameter whose declared grid has one value
    may be left out.

    Raises
    ------
    UserError
        When a parameter is missing, or has a value that it cannot have; or the strategy looks
        ahead with these values (docs/look-ahead.md).
    """
    loaded = strategy_of(strategy)
    for name, value in parameters.items():
        if hasattr(value, "__len__") and not isinstance(value, str):
            raise UserError(
                f"{name} must be one value in a backtest; given: {value}. Give one of them, or"
                " lab.grid all of them."
            )
    values = values_of(loaded, parameters)
    several = [name for name, value in values.items() if len(value.grid) > 1]
    if several:
        raise UserError(
            f"A backtest takes one value of every parameter of {loaded.name}; give one of"
            f" {', '.join(several)}."
        )
    space = make_space(loaded, values, continuous=False)
    terms: dict[str, Any] = {"fee_rate": fee_rate, "slippage": slippage, "direction": direction}
    terms |= {"maker_fee": maker_fee, "borrow_rate": borrow_rate}
    evaluator = make_evaluator(candles, space, backend, **terms)
    refuse_look_ahead(space, candles, evaluator.tables)
    point, window = space.points(np.array([0]))[0], Window(0, len(candles))
    trades = evaluator.trades(point, window)
    daily = evaluator.marked_returns(trades, window)
    metrics = marked_metrics(evaluator.risk.exposure * trades["ret"], daily)
    return Backtest(
        trades=trades_frame(candles, trades),
        equity=equity_series(candles.calendar(window), daily),
        metrics={name: metrics[name].item() for name in metrics.dtype.names},
        parameters=space.parameters(point),
    )


def trades_frame(candles: Candles, trades: Any) -> pd.DataFrame:
    """Return trades (`TRADE`) as `Backtest.trades` has them."""
    import pandas as pd

    def times(bars: Int32) -> Any:
        return pd.to_datetime(candles.timestamp[bars], unit="ms", utc=True)

    return pd.DataFrame(
        {
            "side": np.where(trades["side"] > 0, "long", "short"),
            "entry_time": times(trades["entry_bar"]),
            "entry": trades["entry"],
            "exit_time": times(trades["exit_bar"]),
            "exit": trades["exit"],
            "stop": trades["stop"],
            "target": trades["target"],
            "reason": [REASONS[reason] for reason in trades["reason"]],
            "return": trades["ret"],
        }
    )


def equity_series(day: Int32, daily: Float) -> pd.Series:
    """Return equity at the close of days (since the epoch, UTC) that have these returns."""
    import pandas as pd

    index = pd.to_datetime(day, unit="D", utc=True).rename("day")
    return pd.Series(np.cumprod(1.0 + daily), index, name="equity")


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
        As `pipeline.lab.simulation` takes them, in the ranges that a command allows.

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
