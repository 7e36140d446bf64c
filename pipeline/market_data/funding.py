"""Make the funding series of a perpetual contract: what is known, and what stands in for gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_engine import DAY_MS, Candles, Float, Funding, Int64
from pipeline.errors import UserError
from pipeline.market_data.raw import RawFunding, Span, first_of_each
from pipeline.market_data.timeframe import utc

#: The store's name for it, in the place of a timeframe.
FUNDING = "funding"
#: No exchange pays less often: where payments are further apart, some are missing.
INTERVAL_MS = 28_800_000
#: Payments fall on hours.
HOUR_MS = 3_600_000
#: Exchanges date a payment some milliseconds late, which would charge who enters at that moment.
MINUTE_MS = 60_000
#: Of real contracts half of the rates lie below; those in per cent lie around 0.01.
LARGEST_MEDIAN = 0.002
#: A rate beyond it is no rate: exchanges cap funding at a few per cent.
LARGEST_RATE = 0.5


@dataclass(frozen=True, eq=False)
class FundingHistory:
    """What a contract pays over the days of some candles, and how much of it is known.

    Attributes
    ----------
    funding : Funding
        Known payments and those that stand in, by time.
    listed : int64 array
        Times of all known payments, milliseconds UTC, also of those after the last open.
    known, stood_in : int
        How many there are of each.
    stand_in : float
        The rate of those that stand in, a fraction of the notional every 8 hours.
    gaps : tuple of Span
        Where payments are missing, milliseconds UTC.
    source : str
        Where the known ones come from.
    days : float
        Length of the candles.
    """

    funding: Funding
    listed: Int64
    known: int
    stood_in: int
    stand_in: float
    gaps: tuple[Span, ...]
    source: str
    days: float

    def __str__(self) -> str:
        count, paid = self.known + self.stood_in, float(self.funding.rate.sum())
        if not count:
            return "funding: no payment falls into these candles"
        sentence = (
            f"funding: {self.known:,} payments from {self.source}; in all a long pays"
            f" {36500.0 * paid / self.days:+.3g} % of its size a year"
        )
        if not self.stood_in:
            return sentence
        first, last = self.gaps[0][0], self.gaps[-1][1]
        return (
            f"{sentence}. {self.stood_in:,} of {count:,} payments are not known, between"
            f" {utc(first)} and {_by_minute(last)}: data.funding_rate={self.stand_in:g} every"
            " 8 hours stands in"
        )

    def overdue(self, newest: int) -> int | None:
        """Return when a payment was due by the newest candle that is not listed: they come evenly.

        After the last one that is listed that is once and twice its usual distance, for one may
        never be listed, and every 8 hours, when something stands in. After a day nobody lists any
        more: a file ends there, say. None where all are there, or none is known at all.
        """
        hours = np.unique((self.listed + HOUR_MS // 2) // HOUR_MS * HOUR_MS)
        apart = int(np.diff(hours[-3:]).min(initial=INTERVAL_MS))
        gaps = (apart, 2 * apart, *range(INTERVAL_MS, DAY_MS + 1, INTERVAL_MS))
        due = [int(last) + gap for last in hours[-1:] for gap in gaps]
        return max((time for time in due if time <= newest), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what a result keeps of it."""
        return {
            "source": self.source,
            "known": self.known,
            "stood_in": self.stood_in,
            "stand_in_rate": self.stand_in,
            "gaps": [list(gap) for gap in self.gaps],
        }


def funding_history(
    raw: RawFunding, candles: Candles, stand_in: float | None, source: str
) -> FundingHistory:
    """Put payments in order, and a stand-in where they are further apart than 8 hours.

    See exits rules §6.5; exits rules §6.3 says which of them a trade pays.

    Parameters
    ----------
    raw : RawFunding
        Payments as they came. Times are rounded to the minute.
    candles : Candles
        The days that they are for.
    stand_in : float or None
        Rate of a payment that is not known, every 8 hours.
    source : str
        Where ``raw`` comes from.

    Raises
    ------
    UserError
        When a rate cannot be one, or payments are missing and nothing stands in.
    """
    check_rates(raw, source)
    rounded = (raw.timestamp + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
    known = first_of_each(RawFunding(rounded, raw.rate))
    _refuse_contradictions(rounded, raw.rate, known, source)
    # Exactly those that a trade can meet: what is paid after the last open is nobody's.
    start, end = int(candles.timestamp[0]), int(candles.timestamp[-1]) + 1
    listed = known.timestamp
    known = known.take((known.timestamp > start) & (known.timestamp < end))
    gaps = _gaps(known.timestamp, start, end)
    missing = np.concatenate([due for _, due in gaps] or [np.empty(0, np.int64)])
    if len(missing) and stand_in is None:
        (first, _), (_, last) = gaps[0][0], gaps[-1][0]
        raise UserError(
            f"{source}: funding is not known from {utc(first)} to {_by_minute(last)}"
            f" ({len(missing):,} payments). Choose days for which it is (data.since, data.until),"
            " import it (scripts/fetch market=MARKET import=PATH), or say what stands in:"
            " data.funding_rate=0.0001 every 8 hours."
        )
    rate = np.full(len(missing), stand_in or 0.0)
    whole = first_of_each(
        RawFunding(np.concatenate((known.timestamp, missing)), np.concatenate((known.rate, rate)))
    )
    return FundingHistory(
        funding=Funding(whole.timestamp, whole.rate),
        listed=listed,
        known=len(known),
        stood_in=len(missing),
        stand_in=stand_in or 0.0,
        gaps=tuple(gap for gap, _ in gaps),
        source=source,
        days=len(candles) * candles.step_ms / DAY_MS,
    )


def check_rates(raw: RawFunding, source: str) -> None:
    """Refuse rates that cannot be such, and those that are per cent.

    Raises
    ------
    UserError
        It names the first.
    """
    bad = ~(np.abs(raw.rate) <= LARGEST_RATE)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{source}: the funding rate at {utc(int(raw.timestamp[row]))} is {raw.rate[row]:g}; it"
            f" must be a fraction of the notional, at most {LARGEST_RATE:g} either way: 0.0001 is"
            " 0.01 %."
        )
    median = float(np.median(np.abs(raw.rate))) if len(raw) else 0.0
    if median > LARGEST_MEDIAN:
        raise UserError(
            f"{source}: half of the funding rates are above {median:g}, as if they were per cent."
            " They must be fractions of the notional: divide them by 100."
        )


def _by_minute(time: int) -> str:
    return utc(time // MINUTE_MS * MINUTE_MS)


def _refuse_contradictions(times: Int64, rates: Float, known: RawFunding, source: str) -> None:
    """Refuse two rates of one minute: nobody can say which was paid."""
    other = rates != known.rate[np.searchsorted(known.timestamp, times)]
    if other.any():
        row = int(np.argmax(other))
        first = known.rate[np.searchsorted(known.timestamp, times[row])]
        raise UserError(
            f"{source}: there are two funding rates at {utc(int(times[row]))}, {first:g} and"
            f" {rates[row]:g}. Leave the wrong one out, or give the files of one exchange alone."
        )


def _gaps(times: Int64, start: int, end: int) -> list[tuple[Span, Int64]]:
    """Find the stretches in which payments are missing, and the moments at which they were due."""
    if not len(times):
        first = (start // INTERVAL_MS + 1) * INTERVAL_MS
        stretches = [((start, end), np.arange(first, end, INTERVAL_MS, dtype=np.int64))]
    else:
        # Every 8 hours before the first, after each one, and after the last.
        before = np.arange(int(times[0]) - INTERVAL_MS, start, -INTERVAL_MS, dtype=np.int64)
        stretches = [((start, int(times[0])), before[::-1])]
        for known, after in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
            # Halves go up: 12, 20 and 28 hours lack one, two and three.
            count = (after - known + INTERVAL_MS // 2) // INTERVAL_MS - 1
            stretches.append(((known, after), known + INTERVAL_MS * np.arange(1, count + 1)))
        last = int(times[-1])
        due = np.arange(last + INTERVAL_MS, end, INTERVAL_MS, dtype=np.int64)
        stretches.append(((last, end), due))
    return [(span, due) for span, due in stretches if len(due)]
