"""Define the answers about a start: what it would take, how often it was tried, what it made."""

from datetime import datetime

from pydantic import Field

from pipeline.web.service.answers import Answer


class EarlierTries(Answer):
    """How often a market was searched before on days that a start asks for.

    ``count`` are the searches of any strategy that stored a configuration or wait or run,
    ``waiting`` those of them that wait or run, ``same_strategy`` those of the strategy that is
    asked for. ``worth`` is what a p-value at the limit of VALIDATION is worth after them, by
    `after_searches`; ``sentence`` says all that.
    """

    market: str
    count: int
    waiting: int
    same_strategy: int
    worth: float
    sentence: str


class Started(Answer):
    """Jobs of a start, in the order of their markets.

    Several markets are a sweep, which has the id ``sweep_id``; one alone is none. ``earlier`` holds
    the markets that were searched before on these days.
    """

    job_ids: list[str]
    sweep_id: str | None = None
    earlier: list[EarlierTries] = Field([])


class MarketEstimate(Answer):
    """What one market's run would take; ``refused`` says why it cannot be made.

    ``market`` is the word that asked for it, ``name`` what pages call it.
    ``out_of_reach`` says that so few trades are expected that no run can pass the gates of
    VALIDATION, whatever it finds. ``stored`` is what the store has of its candles, ``fetched`` the
    spans of the asked days that a start would fetch; nothing is fetched of invented ones. ``unfit``
    says that a start would refuse the candles, for what it fetches cannot mend their ``quality``.
    """

    market: str
    name: str
    combinations: int = 0
    windows: int = 0
    evaluations: int = 0
    bars: int = 0
    memory_bytes: int = 0
    seconds: float = 0.0
    surrogate_seconds: float = Field(
        0.0, description="At most: where all other gates of VALIDATION hold, the trades aside."
    )
    expected_trades: float = 0.0
    power_note: str = ""
    out_of_reach: bool = False
    candles: str = ""
    quality: str = Field("ok", description="Its figures above the limits, if any are.")
    unfit: bool = False
    stored: tuple[datetime, datetime] | None = None
    fetched: list[tuple[datetime, datetime]] = Field([])
    fetched_candles: int = 0
    refused: str | None = None


class EstimateAnswer(Answer):
    """What a start would take, from rates measured on this machine.

    ``seconds`` is of all markets with as many at a time as the queue runs, ``memory_bytes`` of
    those that run at a time.
    """

    markets: list[MarketEstimate]
    combinations: int
    evaluations: int
    memory_bytes: int
    seconds: float
    concurrent: int
    backend: str
    warnings: list[str]
    earlier: list[EarlierTries] = Field([])
