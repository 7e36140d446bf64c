"""Load candles from a file, an exchange or the generator: the one door to all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from gpu_engine import DAY_MS, Advance, Candles
from pipeline.config import (
    ALL,
    CcxtData,
    FileData,
    MarketConfig,
    SyntheticData,
    milliseconds,
    moment,
)
from pipeline.errors import Note, UserError
from pipeline.market_data.exchange.facts import MarketFacts, stored_facts
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.funding import read_funding
from pipeline.market_data.files.market_files import FileCandles, read_market_files
from pipeline.market_data.files.names import check_file_name
from pipeline.market_data.funding import FundingHistory, funding_history
from pipeline.market_data.garch import garch_candles
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, QualityReport, as_row, check
from pipeline.market_data.raw import RawCandles, RawFunding, empty
from pipeline.market_data.resample import check_divides, resampled
from pipeline.market_data.store.inventory import measured_quality
from pipeline.market_data.store.store import candle_path, stored_elsewhere
from pipeline.market_data.surrogate_candles import rearranged
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.market_data.timeframe import timeframe_ms, utc

if TYPE_CHECKING:
    from pipeline.market_data.exchange.fetching import FetchedCandles
    from pipeline.market_data.exchange.missing import BarProgress

Data = FileData | CcxtData | SyntheticData


#: Of generated candles, by ``data.model``.
GENERATORS = {"clock": synthetic_candles, "garch_t": garch_candles}


class NoCandlesError(UserError):
    """A file holds none of the days asked for."""


@dataclass(frozen=True, eq=False)
class MarketCandles:
    """Candles on their grid, with what a person should know about them.

    ``warnings`` are sentences a person must read; ``synthetic`` candles were invented or
    rearranged. ``quality`` is of the candles as they came, ``facts`` what the exchange says of the
    market, None where it was never asked. ``funding`` is what is known of a perpetual contract's;
    the candles carry it.
    """

    candles: Candles
    quality: QualityReport
    warnings: tuple[str, ...]
    synthetic: bool
    facts: MarketFacts | None = None
    funding: FundingHistory | None = None


def load_candles(
    market: MarketConfig,
    data: Data,
    advance: Advance,
    note: Note | None = None,
    growing: bool = False,
) -> MarketCandles:
    """Load the candles of ``market``, check their quality, and rearrange them if asked to.

    Parameters
    ----------
    market : MarketConfig
    data : FileData, CcxtData or SyntheticData
        Where the candles come from. A planted edge is not laid over them here.
    advance : callable
        Called with the number of bars that came since its last call; by an exchange alone.
    note : callable, optional
        Called with every sentence about damage and waits.
    growing : bool
        Whether somebody appends to the file: a last line without its end is not there yet.

    Raises
    ------
    UserError
        When there are none, they are broken, or a limit is exceeded.
    """
    raw, source, warnings = _read(market, data, advance, note, growing)
    candles, report = make_regular(raw, market.timeframe, source)
    if isinstance(data, CcxtData):
        report = compare_exchanges(report, raw, market, data)
    check_quality(report, data)
    if not isinstance(data, SyntheticData) and data.surrogate is not None:
        kind, seed = data.surrogate.kind, data.surrogate.seed
        candles = rearranged(candles, kind, seed, data.surrogate.days)
        report = replace(report, source=f"{report.source}, {kind} with seed {seed}")
    funding = None
    if market.perpetual:
        funding = load_funding(market, data, candles, note, growing)
        candles = replace(candles, funding=funding.funding)
        warnings = (*warnings, str(funding))
    facts = _facts(market, data)
    return MarketCandles(candles, report, warnings, data.synthetic, facts, funding)


def check_quality(report: QualityReport, data: Data) -> None:
    """Refuse candles with larger faults than ``data.quality`` lets through.

    Raises
    ------
    UserError
        It names the fault and the limit.
    """
    check(report, QualityLimits(**data.quality.model_dump()))


def _facts(market: MarketConfig, data: Data) -> MarketFacts | None:
    """Return what the store has of the market; of rearranged candles and files nothing."""
    exchange = market.exchange.ccxt_id
    if not isinstance(data, CcxtData) or data.synthetic or exchange is None:
        return None
    return stored_facts(Path(data.store), exchange, market.pair)


def load_funding(
    market: MarketConfig,
    data: Data,
    candles: Candles,
    note: Note | None,
    growing: bool = False,
    now: int = 0,
) -> FundingHistory:
    """Get what a perpetual contract paid on the days of its candles (exits rules §6.3).

    It comes from the store and the exchange, or from the file ``data.funding``. The exchange is
    asked for what is listed by ``now``, milliseconds UTC, where the candles end before.

    Raises
    ------
    UserError
        See `pipeline.market_data.exchange.funding.fetch_funding` and
        `pipeline.market_data.funding.funding_history`.
    """
    if isinstance(data, CcxtData):
        from pipeline.market_data.exchange.funding import fetch_funding

        end = max(int(candles.timestamp[-1]) + candles.step_ms, now)
        rows = fetch_funding(
            market.ccxt_id,
            market.pair,
            (int(candles.timestamp[0]), end),
            data.store,
            archive=data.archive,
            on_note=note,
            network=data.network,
        )
        return funding_history(rows, candles, data.funding_rate, market.exchange.name)
    if isinstance(data, FileData) and data.funding is not None:
        rows = read_funding(data.funding, market.pair, data.timezone, growing)
        return funding_history(rows, candles, data.funding_rate, data.funding)
    return funding_history(empty(RawFunding), candles, data.funding_rate, "no file of funding")


def _read(
    market: MarketConfig, data: Data, advance: Advance, note: Note | None, growing: bool
) -> tuple[RawCandles, str, tuple[str, ...]]:
    """Return rows as they come, what errors call them, and warnings."""
    if isinstance(data, SyntheticData):
        generate = GENERATORS[data.model]
        rows = generate(data.days, market.timeframe, data.seed, data.annual_volatility)
        return rows, f"generated candles, seed {data.seed}", ()
    if isinstance(data, FileData):
        files = file_candles(market, data, growing)
        raw = within_history(files.raw, data, market.timeframe)
        return raw, data.path, (*files.notes, *_shorter(raw, data, market.timeframe))
    done = 0

    def on_progress(bars_done: int, bars_in_all: int) -> None:
        nonlocal done
        advance(bars_done - done)
        done = bars_done

    fetched = fetch_candles(market, data, on_progress, note)
    return fetched.raw, market.id, fetched.warnings


def _shorter(raw: RawCandles, data: FileData, timeframe: str) -> tuple[str, ...]:
    """Say where a file has less than the length that is wanted of it."""
    if data.history in (None, ALL) or not len(raw):
        return ()
    step, first = timeframe_ms(timeframe), int(raw.timestamp.min())
    start = milliseconds(data.starts(moment(int(raw.timestamp.max()) + step)))
    if start is None or first - start < max(step, DAY_MS):
        return ()
    return (
        f"data.history={data.history} begins {utc(start)}, and {data.path} begins {utc(first)}.",
    )


def file_candles(market: MarketConfig, data: FileData, growing: bool = False) -> FileCandles:
    """Read the candles of a market's file, zip or folder; see `read_market_files`.

    Raises
    ------
    UserError
        If the name has a pair of another base, or as `read_market_files`.
    """
    warnings = check_file_name(market, data.path)
    request = Request(
        Path(data.path),
        market.exchange.ccxt_id or market.exchange.name,
        market.pair,
        market.timeframe,
        "data.path",
        data.timezone,
        data.decimal,
        growing,
    )
    files = read_market_files(request)
    return replace(files, notes=(*warnings, *files.notes))


def within_history(raw: RawCandles, data: FileData, timeframe: str) -> RawCandles:
    """Return the rows of a file that its configuration wants.

    A ``history`` ends at ``until``, and no later than the last candle does.

    Raises
    ------
    NoCandlesError
        When there are none.
    """
    inside = np.ones(len(raw), np.bool_)
    if data.until_ms is not None:
        inside &= raw.timestamp < data.until_ms
    if inside.any():
        end = int(raw.timestamp[inside].max()) + timeframe_ms(timeframe)
        start = milliseconds(data.starts(moment(end)))
        if start is not None:
            inside &= raw.timestamp >= start
    if len(inside) and not inside.any():
        raise NoCandlesError(
            f"data.since and data.until leave no candle of {data.path}: widen them or leave them"
            " null."
        )
    return raw.take(inside)


def fetch_candles(
    market: MarketConfig,
    data: CcxtData,
    on_progress: BarProgress,
    on_note: Note | None = None,
    stop: Event | None = None,
) -> FetchedCandles:
    """Get a market's candles from the store and its exchange, by default of the last 365 days.

    With ``data.resample_from`` finer candles are fetched and stored, and the market's are built
    from them.

    Raises
    ------
    UserError
        See `pipeline.market_data.exchange.fetching.fetch_ccxt` and `pipeline.market_data.resample`.
    """
    from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt

    since, until = data.span_ms(int(time.time() * 1000))
    timeframe = data.resample_from or market.timeframe
    step, built_step = timeframe_ms(timeframe), timeframe_ms(market.timeframe)
    check_divides(step, built_step)
    # A border inside a candle of the market takes the next open.
    since, until = (-(-border // built_step) * built_step for border in (since, until))
    request = CandleRequest(
        market.ccxt_id, market.pair, timeframe, since, until, data.kraken, data.archive
    )
    fetched = fetch_ccxt(
        request, data.store, on_progress, on_note=on_note, stop=stop, network=data.network
    )
    return replace(fetched, raw=resampled(fetched.raw, step, built_step, fetched.answered))


def compare_exchanges(
    report: QualityReport, raw: RawCandles, market: MarketConfig, data: CcxtData
) -> QualityReport:
    """Add to a report how far the candles are from the pair's at other exchanges in the store."""
    end = report.last_bar + timeframe_ms(market.timeframe)
    others = stored_elsewhere(
        Path(data.store), market.ccxt_id, market.pair, market.timeframe, report.first_bar, end
    )
    return report.compare(raw, others)


def quality_row(
    market: MarketConfig, data: CcxtData, raw: RawCandles, note: Note
) -> tuple[str, str, str, str, str]:
    """Return candles that came as a row (`pipeline.market_data.quality.report.as_row`).

    A perpetual contract's funding is fetched too, and the quality of all that is stored is kept.
    """
    keep_quality(market, data)
    candles, report = make_regular(raw, market.timeframe, market.id)
    if market.perpetual:
        note(f"{market.id}: {load_funding(market, data, candles, note)}")
    report = compare_exchanges(report, raw, market, data)
    return as_row(report, QualityLimits(**data.quality.model_dump()))


def keep_quality(market: MarketConfig, data: CcxtData) -> None:
    """Measure all that is stored of a market, and keep it for whoever looks at the store next."""
    timeframe = data.resample_from or market.timeframe
    measured_quality(candle_path(Path(data.store), market.ccxt_id, market.pair, timeframe))


def bars_expected(market: MarketConfig, data: Data) -> int:
    """Return how many bars loading will be about, for a progress bar; 0 where it is immediate."""
    if not isinstance(data, CcxtData) or data.history == ALL:
        return 0
    now = int(time.time() * 1000)
    since, until = data.span_ms(now)
    step = timeframe_ms(data.resample_from or market.timeframe)
    return max(0, min(until, now) - since) // step
