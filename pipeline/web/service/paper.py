"""Define the answer on a paper account: its ledger, and the band in which it should stay."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Self

from pipeline.results.rows.live import Ledger
from pipeline.results.tables.live_models import LiveEvent, PaperAccount, PaperDay, PaperTrade
from pipeline.validation.sequential import LEVEL, LiveBand
from pipeline.web.service.answers import Answer

#: Why no band is known where the out-of-sample days are not at hand.
NO_RECORD = "its record cannot be read"


class PaperBand(Answer):
    """Where the days of a paper account lie in what the days out of sample promised.

    Of the last booked day: validation rules §8. ``unknown`` says why nothing can be said; then all
    but the days are null. ``within`` is whether the equity is between ``low`` and ``high``,
    where it is in nine of ten cases; ``left_path`` whether it was ever outside the wider band that
    nine in ten such years never leave; ``position`` the share of cases that came to less. ``p`` is
    that of the sequential test, and ``alarm_day`` the day of its alarm, null without.
    """

    unknown: str | None
    live_days: int
    last_day: date | None
    within: bool | None = None
    left_path: bool | None = None
    equity: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    path_low: float | None = None
    path_high: float | None = None
    position: float | None = None
    p: float | None = None
    alarm_at: float = LEVEL
    alarm_day: date | None = None

    @classmethod
    def of(cls, found: LiveBand | None, days: Sequence[PaperDay]) -> Self:
        """Make it of a band, None where no record can be read, and the days that are in it."""
        last = _date(days[-1].day) if days else None
        unknown = NO_RECORD if found is None else found.test.unknown
        if unknown is None and not days:
            unknown = "no full day is booked yet"
        if found is None or unknown is not None:
            return cls(unknown=unknown, live_days=len(days), last_day=last)
        figures = found.figures()
        alarm = figures.pop("alarm_day")
        kept = {name: value for name, value in figures.items() if name in cls.model_fields}
        return cls(
            **kept,
            last_day=last,
            within=figures["low"] <= figures["equity"] <= figures["high"],
            alarm_day=None if alarm is None else _date(days[alarm - 1].day),
        )


def _date(day: int) -> date:
    """Return the date of a day since the epoch."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


class LedgerTrade(Answer):
    """A closed trade; times are opens of candles, ``ret`` is net of all costs, on notional.

    ``called`` tells that its order was there in time.
    """

    number: int
    side: Literal["long", "short"]
    setup_at: datetime
    signal_at: datetime
    entry_at: datetime
    exit_at: datetime
    entry: float
    exit: float
    reason: str
    ret: float
    stop: float | None
    target: float | None
    booked_at: datetime
    called: bool

    @classmethod
    def of(cls, trade: PaperTrade) -> Self:
        """Make it of a trade of the ledger."""
        return cls(**vars(trade) | {"side": "long" if trade.side > 0 else "short"})


class LedgerDay(Answer):
    """A full UTC day: its return, and the equity at its end; 1 is the beginning."""

    day: date
    ret: float
    equity: float

    @classmethod
    def of(cls, day: PaperDay) -> Self:
        """Make it of a day of the ledger."""
        return cls(day=_date(day.day), ret=day.ret, equity=day.equity)


class PaperLedger(Answer):
    """The paper account of a configuration, and a page of what is in it, newest first.

    The page is the same of ``trades``, ``days`` and ``events``; totals are of all. ``band`` is of
    all days.
    """

    account: PaperAccount
    band: PaperBand
    trades: list[LedgerTrade]
    days: list[LedgerDay]
    events: list[LiveEvent]
    total_trades: int
    total_days: int
    total_events: int
    limit: int
    offset: int

    @classmethod
    def of(cls, ledger: Ledger, band: PaperBand, limit: int, offset: int) -> Self:
        """Make it of a page of the ledger."""
        rows = {
            "trades": [LedgerTrade.of(trade) for trade in ledger.trades],
            "days": [LedgerDay.of(day) for day in ledger.days],
        }
        return cls(**vars(ledger) | rows, band=band, limit=limit, offset=offset)
