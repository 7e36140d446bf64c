"""What other exchanges had of the same pair, as far as the store knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.store.month import DamagedError, month_span, read_month
from pipeline.market_data.store.store import MONTH_FILE, candle_path


def stored_elsewhere(
    store_dir: Path, exchange: str, symbol: str, timeframe: str, start: int, end: int
) -> dict[str, RawCandles]:
    """Candles of ``symbol`` at other exchanges in the months that touch ``[start, end)``.

    Read without the other market's lock, whose holder may be fetching for hours: every month is
    replaced in one step, so each is read whole. A month that is damaged or just went away is left
    out, and so is one that cannot be opened; that market's own next fetch reports it.

    Returns
    -------
    dict of str to RawCandles
        By exchange; those that have none in these months are left out.
    """
    found = {}
    for folder in sorted(Path(store_dir).glob("*/")):
        if folder.name == exchange:
            continue
        market = candle_path(store_dir, folder.name, symbol, timeframe)
        months = [
            candles
            for file in sorted(market.glob("*.parquet"))
            if MONTH_FILE.fullmatch(file.name) and _touches(month_span(file.stem), start, end)
            for candles in _whole(file)
        ]
        if months:
            found[folder.name] = RawCandles(
                *(np.concatenate([getattr(month, name) for month in months]) for name in COLUMNS)
            )
    return found


def _touches(month: tuple[int, int], start: int, end: int) -> bool:
    return month[0] < end and start < month[1]


def _whole(file: Path) -> list[RawCandles]:
    """Read the month's candles, or nothing where they cannot be had whole."""
    try:
        return [read_month(file)[0]]
    except (DamagedError, OSError):
        return []
