"""Define the rows of a record as a dashboard reads them: each field with its unit and meaning.

One definition serves the schema of the JSON, the columns of CSV and the metadata of Parquet. A
field that holds fields is a path there, such as ``parameters.pierce_depth``. None is a number that
is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

Number = float | None
Parameters = dict[str, float | None]


class Row(BaseModel):
    """A row of a table: closed, and described field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TradeRow(Row):
    """A closed trade out of sample, net of all costs; prices in the quote currency."""

    number: int
    """Place in the record, from 1, oldest first."""
    side: Literal["long", "short"]
    """Which way it went."""
    signal_bar_open: datetime
    """Open of the bar at whose close the signal was known, UTC."""
    entry_time: datetime
    """Open of the bar at which it was entered, UTC."""
    entry: float
    """Price of the entry, after slippage."""
    exit_bar_open: datetime
    """Open of the bar in which it ended, UTC."""
    exit: float
    """Price of the exit, after slippage."""
    reason: str
    """Why it ended (exits rules §5)."""
    net_return: float
    """Net return on the notional of the position, a fraction."""
    stop: Number
    """Price of the stop at entry; null without one."""
    target: Number
    """Price of the target at entry; null without one."""
    bars: int
    """Bars in which it was open, the one of the exit included."""
    mae: Number
    """Maximum adverse excursion, a fraction of the entry price; null unless it is asked for."""
    mfe: Number
    """Maximum favourable excursion, a fraction of the entry price; null unless it is asked for."""


class EquityRow(Row):
    """A UTC day of a daily series, net of all costs (fills rules §10.4)."""

    day: date
    """UTC day."""
    net_return: float
    """Net return of the day, marked to market, a fraction."""
    equity: float
    """Equity at the end of the day in multiples of the one before the first day."""
    drawdown: float
    """Fraction of the highest equity so far that is lost at the end of the day, from 0 to 1."""
    closed_return: Number
    """Net return of the day by closed trades, a fraction; null in sample."""
    hold_return: Number
    """Return of the day of holding the market, a fraction; null in sample."""
    hold_equity: Number
    """Equity of holding the market, as ``equity``; null in sample."""


class MetricsRow(Row):
    """Metrics of one backtest, by closed trades (fills rules §10); null where undefined."""

    net_profit: Number = None
    """Fraction of the equity at the start."""
    sharpe_ratio: Number = None
    """Annualised with 365 days."""
    sortino_ratio: Number = None
    """Annualised with 365 days; null where nothing was lost."""
    max_drawdown: Number = None
    """Largest fraction of the highest equity that was lost, from 0 to 1."""
    calmar_ratio: Number = None
    """Annualised net profit over the largest drawdown; null where nothing was lost."""
    sample_size: int | None = None
    """Closed trades."""
    win_rate: Number = None
    """Share of the trades that gained."""
    avg_win: Number = None
    """Mean net return of the trades that gained, a fraction."""
    avg_loss: Number = None
    """Mean net return of the trades that lost, a fraction."""
    profit_factor: Number = None
    """Sum of the gains over the sum of the losses; null where nothing was lost."""
    n_days: int | None = None
    """UTC days."""


class WindowRow(Row):
    """A validation window: its days, what its search chose, and what came of it."""

    number: int
    """From 1, oldest first."""
    train_first: date
    """First UTC day of the search."""
    train_last: date
    """Last UTC day of the search, included."""
    test_first: date
    """First UTC day of the test."""
    test_last: date
    """Last UTC day of the test, included."""
    combinations_evaluated: int
    """Combinations that were tried."""
    admissible: int
    """Combinations of those that a search may choose."""
    score: Number
    """Score of what was chosen, in sample; null for none, and where nothing was lost."""
    stability_score: Number
    """Share of its neighbours on the grid with a positive score; null off the grid."""
    parameters: Parameters
    """What was chosen, by name; null is "off". All are null where nothing was admissible."""
    in_sample: MetricsRow
    """Of what was chosen, on the days of the search."""
    out_of_sample: MetricsRow
    """Of what was chosen, on the days of the test."""


class ResultRow(Row):
    """What a combination came to on some days; null where that is not known or undefined."""

    net_profit: Number = None
    """Fraction of the equity at the start."""
    sharpe_ratio: Number = None
    """Annualised with 365 days."""
    max_drawdown: Number = None
    """Largest fraction of the highest equity that was lost, from 0 to 1."""
    sample_size: int | None = None
    """Closed trades."""
    win_rate: Number = None
    """Share of the trades that gained."""


class _Trial(Row):
    index: int
    """Place in the grid, from 0; the last parameter runs fastest. Of a search that draws the place
    among what it asked."""
    parameters: Parameters
    """Its values by name; null is "off"."""
    admissible: bool
    """Whether a search may choose it."""
    score: Number
    """What the search ranks by. Null where not admissible, and in JSON also where it is infinite:
    nothing was lost."""


class TrialRow(ResultRow, _Trial):
    """A combination of the search that found the configuration, in sample."""


class BestRow(Row):
    """One of the best combinations of the search that found the stored configuration."""

    rank: int
    """Place among all scores of the search, from 1; of equals the first one in its order."""
    index: int
    """Place in the grid, from 0; the last parameter runs fastest. Of a search that draws the place
    among what it asked."""
    stored: bool
    """Whether it is the stored configuration."""
    parameters: Parameters
    """Its values by name; null is "off"."""
    score: Number
    """What the search ranks by, by closed trades. In JSON null where it is infinite."""
    valued: Literal["marked_to_market", "closed_trades"]
    """How both results were valued: marked to market (fills rules §10.4) where the candles
    are there, else by closed trades, as the search kept them."""
    in_sample: ResultRow
    """On the days of the search."""
    unseen: ResultRow
    """On the other days of the same candles, less the gap; null where there are none."""


class CandleRow(Row):
    """A candle, joined from stored ones where a level of detail was asked for."""

    timestamp: datetime
    """Open time, UTC."""
    open: float
    """First price, in the quote currency."""
    high: float
    """Highest price, in the quote currency."""
    low: float
    """Lowest price, in the quote currency."""
    close: float
    """Last price, in the quote currency."""
    volume: float
    """Traded, in the base currency."""
    bars: int
    """Stored candles that it is made of: fewer than it has room for where some are missing."""


class ConfigurationRow(Row):
    """A stored configuration: out of sample, net of costs. Of a refused one all else is empty."""

    id: str
    """Of the configuration."""
    strategy: str
    """Name of the strategy."""
    exchange: str
    """Name of the exchange."""
    pair: str
    """BASE/QUOTE."""
    timeframe: str
    """Length of a candle."""
    candles: Literal["real", "SYNTHETIC", ""]
    """Whether they were invented."""
    stage: str
    """Lifecycle stage (validation rules §6)."""
    beats_luck: Literal["yes", "no", "not known yet", ""]
    """Whether it was shown to beat luck."""
    luck_reason: str
    """Why so."""
    active: Literal["active", "not active", ""]
    """Whether it is switched on."""
    net_profit: Number
    """Fraction of the equity at the start."""
    sharpe_ratio: Number
    """Annualised with 365 days."""
    max_drawdown: Number
    """Largest fraction of the highest equity that was lost, from 0 to 1."""
    trades: int | None
    """Closed trades."""
    p_value: Number
    """Of the days out of sample; null where undefined."""
    q_value: Number
    """Among the markets of its sweep; null without one."""
    method: str
    """How it was searched."""
    seed: int | None
    """Of the search."""
    first_day: str
    """First UTC day of its candles."""
    last_day: str
    """Last UTC day of its candles, included."""
    stored: str
    """When it was stored, UTC."""
    refused: str
    """What of it is not what was stored; empty where nothing is."""


class MarketRow(Row):
    """A market of a sweep: out of sample, net of costs."""

    market: str
    """Its name in the sweep."""
    exchange: str
    """Name of the exchange."""
    pair: str
    """BASE/QUOTE."""
    timeframe: str
    """Length of a candle."""
    strategy: str
    """Name of the strategy."""
    candles: Literal["real", "SYNTHETIC"]
    """Whether they were invented."""
    status: str
    """How far it is."""
    stage: str
    """Lifecycle stage (validation rules §6); empty where nothing is stored."""
    beats_luck: str
    """Whether it was shown to beat luck; empty where nothing is stored."""
    luck_reason: str
    """Why so; empty where nothing is stored."""
    net_profit: Number
    """Fraction of the equity at the start."""
    hold_net_profit: Number
    """Of holding the market on the same days."""
    sharpe_ratio: Number
    """Annualised with 365 days."""
    max_drawdown: Number
    """Largest fraction of the highest equity that was lost, from 0 to 1."""
    trades: int | None
    """Closed trades."""
    p_value: Number
    """Of the days out of sample; null where undefined."""
    surrogate_p: Number
    """Of the search on candles without an edge; null where it was not made."""
    q_value: Number
    """Among all markets of the sweep; null before they were judged."""
    seconds: Number
    """That its training took."""
    configuration: str
    """Id of what was stored; empty for nothing."""
    job: str
    """Id of its job."""
    error: str
    """Why it failed; empty where it did not."""


Kind = Literal["text", "integer", "number", "flag", "day", "moment"]

_KINDS: dict[Any, Kind] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "flag",
    date: "day",
    datetime: "moment",
}


class Column(NamedTuple):
    """A column: its path, what it holds, and what that means, with the unit."""

    name: str
    kind: Kind
    meaning: str


def columns_of(row: type[BaseModel], parameters: Sequence[str] = ()) -> list[Column]:
    """List the columns of a row; ``parameters`` are the names that its mapping has."""
    return list(_columns(row, parameters, ""))


def _columns(row: type[BaseModel], parameters: Sequence[str], above: str) -> Iterator[Column]:
    for name, field in row.model_fields.items():
        annotation, path, meaning = _plain(field.annotation), above + name, field.description or ""
        if annotation == Parameters:
            for parameter in parameters:
                yield Column(f"{path}.{parameter}", "number", f"{parameter}, in its own unit")
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _columns(annotation, parameters, f"{path}.")
        else:
            yield Column(path, _KINDS.get(annotation, "text"), " ".join(meaning.split()))


def _plain(annotation: Any) -> Any:
    """Return what a field holds where it is not None."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (one for one in get_args(annotation) if one is not type(None))
    return annotation
