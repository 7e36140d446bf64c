"""Lay rows of candles on a regular grid, and check their times (candles rules §1)."""

from typing import Any, NamedTuple

import numpy as np

from gpu_engine import Candles, Int64
from pipeline.errors import UserError
from pipeline.market_data.quality.report import QualityReport, measure
from pipeline.market_data.raw import COLUMNS, RawCandles, ascend, check_rows
from pipeline.market_data.timeframe import (
    TIMEFRAMES,
    spacing_name,
    timeframe_ms,
    timeframe_name,
    utc,
)

#: Fewer candles than this share of the grid are no history but a stray time (a row in the year
#: 2230, say), and the grid that spans it may not fit in memory.
MIN_PRESENT_SHARE = 0.01

#: So many rows on end that are one longer timeframe apart are candles of that timeframe: a thinly
#: traded market does not miss its candles so regularly.
OTHER_STRETCH = 24


def make_regular(raw: RawCandles, timeframe: str, source: str) -> tuple[Candles, QualityReport]:
    """Sort rows, drop exact duplicates, fill missing candles, and report on them.

    A missing candle becomes a filled one: ``open = high = low = close`` = the previous close,
    volume 0 (candles rules §1.1). Candles open at multiples of the timeframe from the epoch. Limits
    are not applied here: see `pipeline.market_data.quality.report.check`.

    Parameters
    ----------
    raw : RawCandles
        Rows in any order.
    timeframe : str
        What the market says its candles are, such as ``5m``.
    source : str
        What errors call the candles: a file's name, a market.

    Raises
    ------
    UserError
        If a row cannot be a candle (`check_rows`), two rows of one time disagree, fewer than two
        candles are left, or the times do not fit the timeframe.
    """
    step = timeframe_ms(timeframe)
    check_rows(raw, source)
    out_of_order = int(np.count_nonzero(np.diff(raw.timestamp) < 0))
    candles = _sorted_distinct(raw, source)
    check_times(candles.timestamp, step, timeframe, source)
    report = measure(candles, step, len(raw) - len(candles), out_of_order, source)
    return _fill(candles, step), report


def _sorted_distinct(raw: RawCandles, source: str) -> RawCandles:
    """Sort rows by time and drop copies; rows of one time that differ are an error."""
    if ascend(raw.timestamp):
        return raw
    candles = raw.take(np.argsort(raw.timestamp, kind="stable"))
    repeated = np.flatnonzero(np.diff(candles.timestamp) == 0) + 1
    for name in COLUMNS:
        column = getattr(candles, name)
        differs = column[repeated] != column[repeated - 1]
        if differs.any():
            row = repeated[np.argmax(differs)]
            raise UserError(
                f"{source}: two rows open at {utc(int(candles.timestamp[row]))} and disagree: "
                f"{name} is {column[row - 1]:.10g} and {column[row]:.10g}. "
                "Remove the wrong one; only exact duplicates are dropped."
            )
    keep = np.ones(len(candles), dtype=np.bool_)
    keep[repeated] = False
    return candles.take(keep)


def check_times(timestamp: Int64, step: int, timeframe: str, source: str) -> None:
    """Refuse times of another timeframe, off the grid, or too few for a history."""
    if len(timestamp) == 1:
        raise UserError(
            f"{source} has one candle only ({utc(int(timestamp[0]))}): a history needs at least 2."
        )
    runs = _runs(timestamp)
    spacings, kind = np.unique(runs.spacing, return_inverse=True)
    counts = np.bincount(kind, weights=runs.length)
    most_common = spacings[counts == counts.max()]
    # A thinly traded market may miss most candles and a stray row may come too close: only when
    # the step is neither the smallest spacing nor among the most common, it is another timeframe.
    if step != spacings[0] and step not in most_common:
        other = timeframe_name(int(most_common[0]))
        word = f" (market.timeframe={other})" if other else ""
        raise UserError(
            f"{source} looks like {spacing_name(int(most_common[0]))}, but the market says"
            f" {timeframe}. Choose the market of that timeframe{word}, or the file of this one."
        )
    _check_stretches(timestamp, runs, step, timeframe, source)
    off_grid = timestamp % step != 0
    if off_grid.any():
        first = utc(int(timestamp[np.argmax(off_grid)]))
        raise UserError(
            f"{source}: {int(off_grid.sum())} of {len(timestamp)} candles do not open at a "
            f"multiple of {timeframe} from the epoch (UTC); the first at {first}. "
            "A candle's timestamp is its open, not its close."
        )
    bars = int(timestamp[-1] - timestamp[0]) // step + 1
    if len(timestamp) < MIN_PRESENT_SHARE * bars:
        gap = int(np.argmax(np.diff(timestamp)))
        raise UserError(
            f"{source}: {len(timestamp)} candles spread over {bars} bars of {timeframe}; nothing "
            f"between {utc(int(timestamp[gap]))} and {utc(int(timestamp[gap + 1]))}. "
            "Look for a wrong time."
        )


class _Runs(NamedTuple):
    """Rows on end that are equally far apart: the first row, the spacing, how many spacings."""

    first: Int64
    spacing: Int64
    length: Int64


def _runs(timestamp: Int64) -> _Runs:
    """Find the runs of equal spacing: few of them, where candles are regular."""
    spacing = np.diff(timestamp)
    begins = np.ones(len(spacing), np.bool_)
    begins[1:] = spacing[1:] != spacing[:-1]
    first = np.flatnonzero(begins)
    return _Runs(first, spacing[first], np.diff(first, append=len(spacing)))


def _check_stretches(timestamp: Int64, runs: _Runs, step: int, timeframe: str, source: str) -> None:
    """Refuse a stretch of rows that are all one longer timeframe apart."""
    other = (runs.spacing > step) & np.isin(runs.spacing, list(TIMEFRAMES.values()))
    long = other & (runs.length >= OTHER_STRETCH)
    if long.any():
        run = int(np.argmax(long))
        raise UserError(
            f"{source}: {int(runs.length[run])} rows from"
            f" {utc(int(timestamp[runs.first[run]]))} on look like"
            f" {spacing_name(int(runs.spacing[run]))}, but the market says {timeframe}. Take them"
            " away, or choose the market of that timeframe."
        )


def _fill(candles: RawCandles, step: int) -> Candles:
    """Lay sorted, distinct candles on their grid and fill the holes (candles rules §1.1)."""
    if len(candles) == (candles.timestamp[-1] - candles.timestamp[0]) // step + 1:
        columns: dict[str, Any] = {
            name: np.ascontiguousarray(getattr(candles, name)) for name in COLUMNS
        }
        return Candles(**columns, filled=np.zeros(len(candles), np.bool_), step_ms=step)
    bar = (candles.timestamp - candles.timestamp[0]) // step
    filled = np.ones(int(bar[-1]) + 1, dtype=np.bool_)
    filled[bar] = False
    latest = np.cumsum(~filled) - 1  # row of the last candle that came, at every bar
    close = candles.close[latest]
    return Candles(
        timestamp=candles.timestamp[0] + step * np.arange(len(filled), dtype=np.int64),
        open=np.where(filled, close, candles.open[latest]),
        high=np.where(filled, close, candles.high[latest]),
        low=np.where(filled, close, candles.low[latest]),
        close=close,
        volume=np.where(filled, 0.0, candles.volume[latest]),
        filled=filled,
        step_ms=step,
    )


def inferred_timeframe(timestamp: Int64, source: str) -> str:
    """Name the most common spacing of open times, the shorter one among equals.

    Raises
    ------
    UserError
        If that is no timeframe, or there are fewer than two candles.
    """
    spacings, counts = np.unique(np.diff(np.unique(timestamp)), return_counts=True)
    if not len(spacings):
        raise UserError(f"{source} has fewer than two candles: their timeframe cannot be told.")
    spacing = int(spacings[counts.argmax()])
    name = timeframe_name(spacing)
    if name is None:
        raise UserError(
            f"{source} has {spacing_name(spacing)}, which is none of {', '.join(TIMEFRAMES)}."
        )
    return name
