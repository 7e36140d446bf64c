"""Say which candles the store has of a market, and what a run would fetch."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.config import CcxtData, TrainConfig
from pipeline.estimate.candles import folder_of, span_of
from pipeline.market_data.raw import Span, clipped, uncovered
from pipeline.market_data.store.inventory import stored_market
from pipeline.market_data.store.store import month_files
from pipeline.market_data.timeframe import timeframe_ms


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
        None if first is None else _day(first),
        None if last is None else _day(last),
        tuple((_day(start), _day(end)) for start, end in whole),
        sum(end - start for start, end in whole) // step,
    )


def _day(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
