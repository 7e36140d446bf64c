"""Load candles from a file, an exchange or the generator: the one door to all of them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gpu_engine.records import DAY_MS, Candles
from pipeline.cli.console import Advance, Note
from pipeline.config import CcxtData, FileData, MarketConfig, SyntheticData
from pipeline.config.data import DEFAULT_HISTORY_DAYS
from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.names import pair_in, spellings
from pipeline.market_data.quality.disagreement import disagreement
from pipeline.market_data.quality.report import QualityReport
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.resample import check_divides, resampled
from pipeline.market_data.store.store import stored_elsewhere
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.market_data.timeframe import timeframe_ms

if TYPE_CHECKING:
    from pipeline.market_data.exchange.fetching import Counter, Fetched


#: Exchanges whose name in a file's name is taken for the file's own.
EXCHANGES = frozenset(
    ("binance", "bitfinex", "bitstamp", "bybit", "coinbase", "gemini", "kraken", "kucoin", "okx")
)


class NoCandlesError(UserError):
    """A file holds none of the days asked for."""


@dataclass(frozen=True, eq=False)
class MarketCandles:
    """Candles with what was found out about them.

    ``warnings`` are sentences a person must read; ``synthetic`` candles were invented or
    rearranged. ``quality`` is of the candles as they came.
    """

    candles: Candles
    quality: QualityReport
    warnings: tuple[str, ...]
    synthetic: bool


def _raw(
    market: MarketConfig,
    data: FileData | CcxtData | SyntheticData,
    advance: Advance,
    note: Note | None,
) -> tuple[RawCandles, str, tuple[str, ...]]:
    """Rows as they come, what errors call them, and warnings."""
    if isinstance(data, SyntheticData):
        rows = synthetic_candles(data.days, market.timeframe, data.seed, data.annual_volatility)
        return rows, f"generated candles, seed {data.seed}", ()
    if isinstance(data, FileData):
        warnings = _check_name(market, data.path)
        return _between(read_file(data.path), data), data.path, warnings
    done = 0

    def on_progress(bars_done: int, bars_asked: int) -> None:
        nonlocal done
        advance(bars_done - done)
        done = bars_done

    fetched = fetch_candles(market, data, on_progress, note)
    return fetched.raw, market.id, fetched.warnings


def _check_name(market: MarketConfig, path: str) -> tuple[str, ...]:
    """Refuse a file whose name says that it holds another coin, which no figure would show.

    Another exchange in it is only warned about: its candles may stand for the market's.
    """
    name = Path(path).name
    named = pair_in(name)
    if named and named.base not in spellings(market.base):
        raise UserError(
            f"data.path={path} names {named.base}/{named.quote}, the market is {market.pair}:"
            " choose the market of the file, or rename the file if its name is wrong."
        )
    others = EXCHANGES.intersection(re.findall("[a-z]+", name.lower())) - {market.exchange.name}
    return tuple(
        f"data.path={path} names {other}, the market is on {market.exchange.name}: its costs are"
        f" taken, and the result is stored as {market.id}."
        for other in sorted(others)
    )


def _between(raw: RawCandles, data: FileData) -> RawCandles:
    """Rows of ``[since, until)``."""
    wanted = np.ones(len(raw.timestamp), np.bool_)
    if data.since_ms is not None:
        wanted &= raw.timestamp >= data.since_ms
    if data.until_ms is not None:
        wanted &= raw.timestamp < data.until_ms
    if len(wanted) and not wanted.any():
        raise NoCandlesError(
            f"data.since and data.until leave no candle of {data.path}: widen them or leave them"
            " null."
        )
    return raw.take(np.flatnonzero(wanted))


def fetch_candles(
    market: MarketConfig, data: CcxtData, on_progress: Counter, on_note: Note | None = None
) -> Fetched:
    """Get a market's candles from the store and its exchange; the last 365 days unless told.

    With ``data.resample_from`` the finer candles are fetched and kept, and the market's are built
    of them.

    Raises
    ------
    UserError
        See `pipeline.market_data.exchange.fetching.fetch_ccxt` and `pipeline.market_data.resample`.
    """
    from pipeline.market_data.exchange.fetching import fetch_ccxt

    exchange = market.exchange
    assert exchange.ccxt_id is not None, "refused by the configuration"
    until = int(time.time() * 1000) if data.until_ms is None else data.until_ms
    since = until - DEFAULT_HISTORY_DAYS * DAY_MS if data.since_ms is None else data.since_ms
    timeframe = data.resample_from or market.timeframe
    step, built_step = timeframe_ms(timeframe), timeframe_ms(market.timeframe)
    check_divides(step, built_step)
    # A border inside a candle takes the next open, of the candles that are wanted.
    since, until = (-(-border // built_step) * built_step for border in (since, until))
    fetched = fetch_ccxt(
        *(exchange.ccxt_id, market.pair, timeframe, since, until, data.store, on_progress),
        kraken=data.kraken,
        on_note=on_note,
    )
    return replace(fetched, raw=resampled(fetched.raw, step, built_step, fetched.answered))


def compared(
    report: QualityReport, raw: RawCandles, market: MarketConfig, data: CcxtData
) -> QualityReport:
    """With how far the candles are from the pair's at other exchanges in the same store."""
    end = report.last_bar + timeframe_ms(market.timeframe)
    exchange = market.exchange.ccxt_id
    assert exchange is not None, "refused by the configuration"
    others = stored_elsewhere(
        Path(data.store), exchange, market.pair, market.timeframe, report.first_bar, end
    )
    return report.compared(disagreement(raw, others))


def bars_expected(market: MarketConfig, data: FileData | CcxtData | SyntheticData) -> int:
    """Bars that loading will be about, for a progress bar; 0 where it is done at once."""
    if not isinstance(data, CcxtData) or data.days is None:
        return 0
    return int(data.days * DAY_MS / timeframe_ms(data.resample_from or market.timeframe))
