"""Lay out as tables what is kept: trades, equity, windows, trials, and stored candles.

A table makes its rows a slice at a time, so that the trials of a large grid are never all in memory
as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import REASONS, Float
from pipeline.market_data.raw import PRICES
from pipeline.market_data.store.levels import Candlesticks, StoredSeries
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.report.performance import Excursions, holding_bars
from pipeline.report.rows import CandleRow, Column, EquityRow, TradeRow, WindowRow, columns_of
from pipeline.results.artifacts.artifact_set import DailySeries
from pipeline.results.records import Configuration

#: Columns of a slice by name, each of one row an entry: float64 with NaN for none, int64, bool,
#: datetime64 of ms or days, or text.
Cells = Mapping[str, NDArray[Any]]

#: The order of a grid.
INDEX = "index"


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of one kind, made when they are read.

    Attributes
    ----------
    columns : list of Column
    total : int
        Rows in all.
    cells : callable
        Takes the first row and the one after the last; returns their cells by column.
    piece : int
        Rows that are made at a time where all are asked for.
    """

    columns: list[Column]
    total: int
    cells: Callable[[int, int], Cells]
    piece: int = 16_384


def listed(columns: list[Column], rows: Sequence[Mapping[str, Any]]) -> Cells:
    """Return rows, each a mapping by column, as cells; None is NaN of a number, else empty."""
    return {
        column.name: np.array([row[column.name] for row in rows], np.float64)
        if column.kind in ("integer", "number")
        else np.array([row[column.name] or "" for row in rows], object)
        for column in columns
    }


def trades_table(
    configuration: Configuration, trades: NDArray[np.void], ran: Excursions | None = None
) -> Table:
    """Lay out the out-of-sample trades, oldest first (`TradeRow`); ``ran`` is how far they ran."""
    first = datetime.fromisoformat(configuration.provenance["first_candle"])
    begin, step = round(first.timestamp() * 1000), timeframe_ms(configuration.timeframe)

    unknown = np.full(len(trades), np.nan)

    def opens(part: NDArray[Any], name: str) -> NDArray[np.datetime64]:
        return (begin + part[name].astype(np.int64) * step).astype("datetime64[ms]")

    def level(part: NDArray[Any], name: str) -> Float:
        known = name in (part.dtype.names or ())  # an earlier build kept none
        return part[name] if known else np.full(len(part), np.nan)

    def cells(start: int, end: int) -> Cells:
        part = trades[start:end]
        return {
            "number": np.arange(start + 1, start + 1 + len(part)),
            "side": np.where(part["side"] > 0, "long", "short"),
            "signal_bar_open": opens(part, "signal_bar"),
            "entry_time": opens(part, "entry_bar"),
            "entry": part["entry"],
            "exit_bar_open": opens(part, "exit_bar"),
            "exit": part["exit"],
            "reason": np.array(REASONS)[part["reason"]],
            "net_return": part["ret"],
            "stop": level(part, "stop"),
            "target": level(part, "target"),
            "bars": holding_bars(part),
            "mae": unknown[start:end] if ran is None else ran.adverse[start:end],
            "mfe": unknown[start:end] if ran is None else ran.favourable[start:end],
        }

    return Table(columns_of(TradeRow), len(trades), cells)


def equity_table(series: DailySeries) -> Table:
    """Lay out a daily series, oldest first (`EquityRow`)."""
    equity = np.cumprod(1.0 + series.returns)
    none = np.full(len(equity), np.nan)
    whole: dict[str, NDArray[Any]] = {
        "day": series.day.astype("datetime64[D]"),
        "net_return": series.returns,
        "equity": equity,
        "drawdown": 1.0 - equity / np.maximum(np.maximum.accumulate(equity), 1.0),
        "closed_return": none if series.closed is None else series.closed,
        "hold_return": none if series.hold is None else series.hold,
        "hold_equity": none if series.hold is None else np.cumprod(1.0 + series.hold),
    }
    return Table(columns_of(EquityRow), len(equity), slices(whole))


def windows_table(configuration: Configuration, windows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out the validation windows, oldest first (`WindowRow`)."""
    columns = columns_of(WindowRow, list(configuration.parameters))
    whole: dict[str, NDArray[Any]] = {"number": np.arange(1, len(windows) + 1)}
    for part in ("train", "test"):
        days = np.array([window[part] for window in windows], "datetime64[D]").reshape(-1, 2)
        whole |= {f"{part}_first": days[:, 0], f"{part}_last": days[:, 1]}
    for column in columns[len(whole) :]:
        outer, _, inner = column.name.partition(".")
        found = [window[outer] for window in windows]
        if inner:
            found = [(fields or {}).get(inner) for fields in found]
        whole[column.name] = np.array(found, np.float64)
    return Table(columns, len(windows), slices(whole))


def candles_table(series: StoredSeries, level: int | None) -> Table:
    """Lay out stored candles, oldest first (`CandleRow`); ``level`` as `StoredSeries.at` has it."""
    columns = columns_of(CandleRow)
    if level is None:
        return Table(columns, len(series), lambda a, b: _candles(series.as_stored(a, b)))
    whole = series.at(level)
    return Table(columns, len(whole), slices(_candles(whole)))


def _candles(sticks: Candlesticks) -> Cells:
    prices = {name: getattr(sticks.candles, name) for name in (*PRICES, "volume")}
    opens = sticks.candles.timestamp.astype("datetime64[ms]")
    return {"timestamp": opens, **prices, "bars": sticks.bars}


def slices(whole: Cells) -> Callable[[int, int], Cells]:
    """Return what cuts whole columns into the cells of a slice."""
    return lambda start, end: {name: values[start:end] for name, values in whole.items()}
