"""Define the requests and answers about stored candles: what there is, imports and fetches."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Timeframe
from pipeline.web.service.answers import Answer, Page
from pipeline.web.service.requests import (
    LIST_LIMIT,
    History,
    Limit,
    MarketName,
    Offset,
    Pair,
    Request,
    Word,
    text_of,
)

#: The name of a file, never a path: it has no folder, and begins with no dot.
FileName = Annotated[
    str,
    text_of(
        r"^[^./\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
        r"[^/\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{0,119}$",
        "the name of a file without its folder, at most 120 characters, that begins with no dot",
        examples=["BTCUSDT-1h-2024-01.zip"],
    ),
]
ZoneName = Annotated[
    str, text_of(r"^[A-Za-z0-9_+/-]{1,64}$", "a time zone such as Europe/Berlin or UTC")
]


class CandleFilter(Request):
    """Which markets of the store of candles, and which page of them."""

    exchange: Word | None = None
    pair: Pair | None = None
    timeframe: Timeframe | None = None
    limit: Limit = 50
    offset: Offset = 0


class ImportQuery(Request):
    """A file of candles, and the market that they are of; nothing is written unless ``write``.

    ``truth`` says whose candle is kept where the file and the store disagree; null refuses such a
    file. ``timezone`` is where dates without an offset are from, null for UTC; ``decimal`` the
    decimal mark, null where the numbers tell.
    """

    market: MarketName
    file: FileName
    write: bool = False
    truth: Literal["stored", "imported"] | None = None
    timezone: ZoneName | None = None
    decimal: Literal["point", "comma"] | None = None


class FetchRequest(Request):
    """Fetch what the store lacks of markets, one after the other; by default of the newest year."""

    markets: Annotated[
        list[MarketName], Field(min_length=1, max_length=LIST_LIMIT, examples=[["btc_binance_1h"]])
    ]
    history: History = History()


class FundingSpan(Answer):
    """Funding payments of a perpetual that are stored."""

    payments: int
    first: datetime
    last: datetime


class StoredCandles(Answer):
    """What the store holds of a market in one timeframe.

    ``missing`` are bars between ``first`` and ``last`` that the exchange does not have, ``unasked``
    those of ``holes``, for which nobody has asked; ``coverage`` is the share of all bars that are
    there. ``quality`` is ``ok``, or the worst figure above the default limits, as measured at
    ``quality_at``; null until `scripts/candles` or the Studio's page has measured it.
    """

    id: str
    exchange: str
    pair: str
    timeframe: str
    candles: int
    first: datetime | None
    last: datetime | None
    coverage: float | None
    missing: int
    unasked: int
    holes: list[tuple[datetime, datetime]]
    bytes: int
    sources: list[str]
    damaged: list[str]
    funding: FundingSpan | None
    quality: str | None
    quality_at: datetime | None


class CandlePage(Page):
    """A page of the markets whose candles are stored."""

    candles: list[StoredCandles]


class Difference(Answer):
    """A figure of a bar that is stored with another value than the imported one."""

    bar: datetime
    figure: str
    stored: float
    imported: float


class ImportAnswer(Answer):
    """What an import does, or did where it is ``written``.

    ``first`` and ``last`` are opens of its ``candles``. Of these ``new`` are not stored, ``same``
    are stored just so, ``different`` with other figures, ``only_imported`` are of times for which
    the store says that there is none; ``only_stored`` are stored, and the file has none.
    ``examples`` are the first figures that differ.
    """

    id: str
    file: str
    first: datetime
    last: datetime
    candles: int
    new: int
    same: int
    different: int
    only_stored: int
    only_imported: int
    examples: list[Difference]
    notes: list[str]
    written: bool


class FetchView(Answer):
    """A fetch of one market: how far it is, or how it ended.

    ``candles`` of ``total`` are there, and ``seconds_left`` is reckoned from those that came;
    both are null where nothing is known yet. ``quality`` is as of `StoredCandles`.
    """

    id: str
    market: str
    candles_id: str = Field(description="The id under which its candles are stored.")
    since: datetime
    until: datetime
    status: Literal["waiting", "running", "completed", "failed", "cancelled"]
    candles: int | None
    total: int | None
    seconds_left: float | None
    quality: str | None
    error: str | None
    notes: list[str]
    created_at: datetime
    ended_at: datetime | None


class FetchPage(Page):
    """A page of the fetches of this server, newest first; a restart forgets them."""

    fetches: list[FetchView]
