"""Tell which candles are at hand, and which a run would fetch; nothing is fetched or written."""

import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from gpu_engine import DAY_MS, Candles
from pipeline.config import ALL, CcxtData, FileData, SyntheticData, TrainConfig, moment
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, in_short
from pipeline.market_data.raw import RawCandles, Span, clipped, uncovered
from pipeline.market_data.resample import check_divides, resampled
from pipeline.market_data.sources import GENERATORS, compare_exchanges, file_candles, within_history
from pipeline.market_data.store.inventory import stored_market
from pipeline.market_data.store.month import empty_beginning
from pipeline.market_data.store.store import candle_path, month_files, read_without_lock
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.validation.windows import whole_days

Source = Literal["stored", "file", "generated", "synthetic stand-in"]

#: Of invented candles so many do: trades a day are what is asked of them.
STAND_IN_BARS = 30_000
STAND_IN_SEED, STAND_IN_VOLATILITY = 0, 0.6


@dataclass(frozen=True, eq=False)
class AtHand:
    """Candles to sample, where they are from, and the whole days that the run itself would have.

    ``quality`` is ``ok``, or the figures above the limits of a run, which would refuse them.
    """

    candles: Candles
    source: Source
    days: int
    quality: str = "ok"


def candles_at_hand(config: TrainConfig) -> AtHand:
    """Return the market's own candles where they are on this machine, else invented ones.

    Raises
    ------
    UserError
        When the file is not there or broken, or the exchange serves too little and the store has
        no more: it says what to do.
    """
    data, market = config.data, config.market
    if isinstance(data, SyntheticData):
        volatility = data.annual_volatility
        candles = _invented(market.timeframe, data.days, data.seed, volatility, data.model)
        return AtHand(candles, "generated", data.days)
    if isinstance(data, FileData):
        raw = within_history(file_candles(market, data).raw, data, market.timeframe)
        candles, quality = _regular(raw, config, data.path)
        drawn = None if data.surrogate is None else data.surrogate.days
        return AtHand(candles, "file", drawn or whole_days(candles).count, quality)
    span = span_of(data)
    stored, quality = _stored(config, data, span) or (None, "ok")
    first = max(span[0], _served_from(config, data, stored))
    if data.history == ALL and first == span[0]:
        first = max(first, _beginning(config, data, stored))
    days = max(0, span[1] - first) // DAY_MS
    complaint = config.validation.complaint(days)
    if complaint:
        raise UserError(_too_little(config, complaint))
    if stored is not None and not config.validation.complaint(whole_days(stored).count):
        return AtHand(stored, "stored", days, quality)
    invented = _invented(market.timeframe, days, STAND_IN_SEED, STAND_IN_VOLATILITY)
    return AtHand(invented, "synthetic stand-in", days)


@lru_cache(maxsize=4)  # most markets of a sweep that the store lacks are given the same ones
def _invented(
    timeframe: str, days: int, seed: int, volatility: float, model: str = "clock"
) -> Candles:
    """At most about `STAND_IN_BARS` of the days, and enough of them to hold a day."""
    enough = max(1, STAND_IN_BARS * timeframe_ms(timeframe) // DAY_MS)
    rows = GENERATORS[model](min(days, enough), timeframe, seed, volatility)
    return make_regular(rows, timeframe, "generated candles")[0]


def span_of(data: CcxtData) -> Span:
    """Return the span of `pipeline.market_data.sources.fetch_candles`, as far as it is past."""
    now = int(time.time() * 1000)
    since, until = data.span_ms(now)
    return since, min(until, now)


def folder_of(config: TrainConfig, data: CcxtData) -> Path:
    """Folder of the store that holds the candles a run would fetch."""
    market = config.market
    timeframe = data.resample_from or market.timeframe
    return candle_path(Path(data.store), market.ccxt_id, market.pair, timeframe)


def _stored(config: TrainConfig, data: CcxtData, span: Span) -> tuple[Candles, str] | None:
    """Candles that the store has of the span, and their quality; None for none."""
    raw = _between(read_without_lock(folder_of(config, data), *span, RawCandles), span)
    if len(raw) == 0:
        return None
    timeframe = data.resample_from or config.market.timeframe
    step, built_step = timeframe_ms(timeframe), timeframe_ms(config.market.timeframe)
    check_divides(step, built_step)
    raw = resampled(raw, step, built_step)
    return _regular(raw, config, config.market.id) if len(raw) else None


def _beginning(config: TrainConfig, data: CcxtData, stored: Candles | None) -> int:
    """First candle of all there is, which a fetch of it has found out; refused without one."""
    if stored is None or not empty_beginning(folder_of(config, data)):
        raise UserError(
            f"{config.market.id}: how much there is (data.history=all) is not known before it is"
            " fetched: run scripts/fetch with data.history=all first, or give a length, as in"
            " data.history=4y."
        )
    return int(stored.timestamp[0])


def _between(raw: RawCandles, span: Span) -> RawCandles:
    inside = (raw.timestamp >= span[0]) & (raw.timestamp < span[1])
    return raw.take(np.flatnonzero(inside))


def _regular(raw: RawCandles, config: TrainConfig, source: str) -> tuple[Candles, str]:
    candles, report = make_regular(raw, config.market.timeframe, source)
    if isinstance(config.data, CcxtData):
        report = compare_exchanges(report, raw, config.market, config.data)
    limits = config.data.quality.model_dump()
    return candles, in_short(report, QualityLimits(**limits), most=len(limits))


def _served_from(config: TrainConfig, data: CcxtData, stored: Candles | None) -> int:
    """First moment that a run can have: what the exchange still serves, or what the store kept."""
    served = config.market.exchange.history_candles
    if served is None or (config.market.exchange.ccxt_id, data.kraken) == ("kraken", "trades"):
        return 0
    step = timeframe_ms(data.resample_from or config.market.timeframe)
    newest = int(time.time() * 1000) - served * step
    return newest if stored is None else min(newest, int(stored.timestamp[0]))


def _too_little(config: TrainConfig, complaint: str) -> str:
    # ccxt, a second to import, hangs on the module; only this refusal needs its text.
    from pipeline.market_data.exchange.fetching import WAY_OUT, WAYS_OUT

    exchange, timeframe = config.market.exchange, config.market.timeframe
    if exchange.history_candles is None:
        return f"{config.market.id}: {complaint}"
    way_out = WAYS_OUT.get(exchange.ccxt_id or "", WAY_OUT)
    return (
        f"{config.market.id}: {exchange.name} serves its newest {exchange.history_candles} candles"
        f" of {timeframe}, and the store has too few older ones. {complaint} {way_out}"
    )


@dataclass(frozen=True)
class Coverage:
    """What is stored of a market's candles, and what is not of the days that are asked for.

    Attributes
    ----------
    first, last : datetime or None
        First candle, and the end of the last one; None where nothing is stored.
    missing : tuple of (datetime, datetime)
        Half-open spans of the asked days for which no exchange was asked: a run fetches them.
    bars : int
        Candles that these spans have.
    """

    first: datetime | None
    last: datetime | None
    missing: tuple[tuple[datetime, datetime], ...]
    bars: int


def coverage(config: TrainConfig) -> Coverage | None:
    """Look at the store for what a configuration asks; None where nothing would be fetched.

    Nothing is fetched of candles that are invented or come from a file.
    """
    data = config.data
    if not isinstance(data, CcxtData):
        return None
    folder = folder_of(config, data)
    step = timeframe_ms(data.resample_from or config.market.timeframe)
    answered: list[Span] = []
    first = last = None
    if month_files(folder):
        market = stored_market(folder)
        first, last = market.first, market.last
        if first is not None and last is not None:
            last += step
            answered = uncovered((first, last), market.holes)
    asked = span_of(data)
    missing = uncovered(asked, clipped(answered, asked))
    whole = [(start, end) for start, end in missing if end - start >= step]
    return Coverage(
        None if first is None else moment(first),
        None if last is None else moment(last),
        tuple((moment(start), moment(end)) for start, end in whole),
        sum(end - start for start, end in whole) // step,
    )
