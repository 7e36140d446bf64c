"""Take candles from a file, a data frame or the store, and lay them on their grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gpu_engine import Candles
from pipeline.config import DEFAULT_FUNDING_RATE, catalogue
from pipeline.config.market_word import is_market_word
from pipeline.errors import UserError
from pipeline.market_data.files.reading import candles_of, read_file
from pipeline.market_data.funding import FUNDING, funding_history
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.market_data.raw import RawCandles, RawFunding
from pipeline.market_data.store.atomic_files import replace_file
from pipeline.market_data.store.store import candle_path, read_without_lock

if TYPE_CHECKING:
    import pandas as pd

#: No candle opens after it: the year 3000.
END_MS = 32_503_680_000_000


def candles(
    source: str | Path | pd.DataFrame, timeframe: str | None = None, store: str = "var/candles"
) -> Candles:
    """Return candles on a regular grid; missing ones are filled (candles rules §1.1).

    Parameters
    ----------
    source : str, Path or DataFrame
        A file of candles, packed or not; a market's word such as ``"btc_binance_1h"`` or
        ``"okx:DOGE/USDT:30m"``, whose fetched candles are read from the store; or a data frame with
        the columns ``open``, ``high``, ``low``, ``close`` and ``volume``, and its open times either
        as the index or in a column ``timestamp`` (dates, UTC unless they say another zone, or
        integers in milliseconds). Letter case of the columns does not matter.
    timeframe : str or None
        Such as ``"1h"``; None takes the most common distance of open times.
    store : str
        Folder of fetched candles. Those of a perpetual contract carry its funding; where that is
        not known `DEFAULT_FUNDING_RATE` stands in (exits rules §6.5).

    Returns
    -------
    Candles
        Float64 columns of one length, prices in the quote currency, volume in the base currency;
        ``timestamp`` int64, milliseconds since the epoch, UTC.

    Raises
    ------
    UserError
        When a row cannot be a candle, a column is missing, or the store has nothing of the market.
    """
    raw, name = _rows(source, store)
    if timeframe is None:
        timeframe = inferred_timeframe(raw.timestamp, name)
    regular = make_regular(raw, timeframe, name)[0]
    market = catalogue.market(source) if isinstance(source, str) and _is_market(source) else None
    if market is None or ":" not in market.pair:
        return regular
    path = candle_path(Path(store), market.exchange, market.pair, FUNDING)
    paid = read_without_lock(path, 0, END_MS, RawFunding)
    history = funding_history(paid, regular, DEFAULT_FUNDING_RATE, market.exchange)
    return replace(regular, funding=history.funding)


def _rows(source: str | Path | pd.DataFrame, store: str) -> tuple[RawCandles, str]:
    if isinstance(source, str) and _is_market(source):
        return _stored(source, store), source
    if isinstance(source, str | Path):
        return read_file(source), str(source)
    name = "the data frame"
    if not hasattr(source, "columns"):
        raise UserError(
            "candles must come from a file, a market's word or a data frame; given:"
            f" {type(source).__name__}."
        )
    frame = source.rename(columns=lambda column: str(column).lower())
    if not {"timestamp", "date"} & set(frame.columns):
        frame = frame.rename_axis(index="timestamp").reset_index()
    return candles_of(pa.Table.from_pandas(frame, preserve_index=False), name), name


def _is_market(source: str) -> bool:
    """Tell a market's word from a path; a path has a dot or is there."""
    in_one_word = is_market_word(source) and "." not in source and not Path(source).exists()
    return in_one_word or source in catalogue.words("market")


def _stored(market: str, store: str) -> RawCandles:
    if not isinstance(store, str | Path):
        raise UserError(f"store must be the path of a folder; given: {store}.")
    named = catalogue.market(market)
    if named.synthetic:
        raise UserError(
            f"market={market} has generated candles, which no store keeps, so they cannot be read"
            f" here: scripts/train market={market} strategy=NAME makes them and trains on them."
            " Give a file, a data frame, or a market of an exchange."
        )
    path = candle_path(Path(store), named.exchange, named.pair, named.timeframe)
    rows = read_without_lock(path, 0, END_MS, RawCandles)
    if not len(rows):
        raise UserError(
            f"{store} has no candles of {market}: fetch them with scripts/fetch market={market}, or"
            " give store=FOLDER."
        )
    return rows


def checked(market: object) -> Candles:
    """Return candles as they are.

    Raises
    ------
    UserError
        When they are anything else, such as the data frame that `candles` reads.
    """
    if not isinstance(market, Candles):
        raise UserError(
            f"candles must be what lab.candles returns; given: {type(market).__name__}. Write"
            " candles = lab.candles(...) with a file, a market's word or a data frame first."
        )
    return market


def write(market: Candles, path: Path) -> None:
    """Write the candles that came, without the filled ones, as a Parquet file."""
    names = ("timestamp", "open", "high", "low", "close", "volume")
    rows = ~market.filled
    table = pa.table({name: getattr(market, name)[rows] for name in names})
    replace_file(path, lambda temporary: pq.write_table(table, temporary))
