"""Load event tables once, then evaluate any number of combinations on any backend.

>>> market = load(candles, tables, exits, Costs(), RiskLimits())            # doctest: +SKIP
>>> metrics = evaluate(market, batch, windows)      # METRICS, (W, len(batch))  # doctest: +SKIP
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import backend as backends
from gpu_engine.book import build_book
from gpu_engine.exits import ExitSettings
from gpu_engine.records import METRICS, Batch, Candles, Costs, Float, RiskLimits, Tables, Window


@dataclass(frozen=True, eq=False)
class Market:
    """One market's event tables, prepared on one backend."""

    backend: backends.Backend
    loaded: Any
    n_bars: int
    n_tables: int
    n_exits: int
    n_thresholds: int


def load(
    candles: Candles,
    tables: Tables,
    exits: ExitSettings,
    costs: Costs,
    risk: RiskLimits,
    backend: backends.Backend | None = None,
) -> Market:
    """Prepare one market on a backend, by default the one that `backend.choose` takes.

    Candles and tables travel to it this once.

    Raises
    ------
    ValueError
        When a table's arrays disagree in length or number of features, its rows are not what
        `EventTable` says, some tables alone have an exit signal, or exit settings, funding or
        limits are not allowed (`ExitSettings.check`, `Funding.check`, `RiskLimits.check`).
    """
    lengths = {len(getattr(candles, name)) for name in candles.COLUMNS}
    if len(lengths) > 1:
        raise ValueError(f"all columns of the candles must have one length; got {sorted(lengths)}")
    for index, table in enumerate(tables.tables):
        shape = (len(table.signal_bar), len(tables.senses))
        columns = table.columns().values()
        if table.features.shape != shape or any(len(c) != shape[0] for c in columns):
            raise ValueError(
                f"event table {index}: features must have shape {shape} and every column "
                f"{shape[0]} rows; got features {table.features.shape}"
            )
    if len({table.exit_signal_bar is None for table in tables.tables}) > 1:
        raise ValueError("exit_signal_bar must be in every event table or in none")
    exits.check(tables)
    if costs.funding is not None:
        costs.funding.check()
    risk.check()
    chosen = backend or backends.choose().backend
    book = build_book(candles, tables, exits, costs, risk)
    return Market(
        chosen, chosen.load(book), len(candles), len(tables.tables), len(exits), len(tables.senses)
    )


def evaluate(
    market: Market,
    batch: Batch,
    windows: Sequence[Window],
    fields: tuple[str, ...] = METRICS.names or (),
) -> NDArray[Any]:
    """Compute ``fields`` of `METRICS`, all by default, of every combination in every window.

    What no field needs is not computed.

    Returns
    -------
    array of `METRICS`, or of some of its fields, of shape (W, len(batch)), in the batch's
    unit-major order.

    Raises
    ------
    ValueError
        When the batch or a window does not fit the market.
    """
    batch = _checked(market, batch, windows)
    metrics = market.backend.evaluate(market.loaded, batch, tuple(windows), fields)
    return metrics if fields == METRICS.names else metrics[list(fields)]


def daily_returns(market: Market, batch: Batch, window: Window) -> Float:
    """Compute daily equity returns (fills rules §10), float64 of shape (len(batch), D)."""
    batch = _checked(market, batch, (window,))
    return market.backend.daily_returns(market.loaded, batch, window)


def trades(market: Market, batch: Batch, window: Window) -> NDArray[Any]:
    """List the trades of a batch of one combination, dtype `TRADE`, in order of entry."""
    batch = _checked(market, batch, (window,))
    if len(batch) != 1:
        raise ValueError(f"trades are of one combination; the batch has {len(batch)}")
    return market.backend.trades(market.loaded, batch, window)


def _checked(market: Market, batch: Batch, windows: Sequence[Window]) -> Batch:
    """Return the batch with the dtypes of its record; raise when it or a window does not fit."""
    units = len(batch.table)
    if batch.exits_per_unit < 1:
        raise ValueError(f"exits_per_unit must be at least 1; got {batch.exits_per_unit}")
    if batch.thresholds.shape != (units, market.n_thresholds) or len(batch.first_exit) != units:
        raise ValueError(
            f"batch of {units} units needs thresholds of shape {(units, market.n_thresholds)} and "
            f"as many first exits; got {batch.thresholds.shape} and {len(batch.first_exit)}"
        )
    if units and not (batch.table.min() >= 0 and batch.table.max() < market.n_tables):
        raise ValueError(f"batch names a table outside 0 .. {market.n_tables - 1}")
    last = market.n_exits - batch.exits_per_unit
    if units and not (batch.first_exit.min() >= 0 and batch.first_exit.max() <= last):
        raise ValueError(f"batch names an exit setting outside 0 .. {market.n_exits - 1}")
    for window in windows:
        if not 0 <= window.start < window.end <= market.n_bars:
            raise ValueError(
                f"window [{window.start}, {window.end}) is not inside [0, {market.n_bars})"
            )
    return Batch(
        np.asarray(batch.table, np.int32),
        np.asarray(batch.thresholds, np.float64),
        np.asarray(batch.first_exit, np.int32),
        batch.exits_per_unit,
    )
