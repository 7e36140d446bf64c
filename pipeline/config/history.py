"""Define which stretch of history is wanted: from and up to a day, or a length such as ``4y``."""

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from pipeline.config.section import Days, Moment, Section, Seed, milliseconds

#: The length of all there is, and when it may begin: before any exchange that still trades.
ALL, EARLIEST = "all", datetime(2010, 1, 1, tzinfo=UTC)
EARLIEST_MS = round(EARLIEST.timestamp() * 1000)

#: Months in a unit of the calendar, days in one of the clock.
_MONTHS, _DAYS = {"mo": 1, "y": 12}, {"d": 1, "w": 7}
_LENGTH = re.compile(r"([1-9][0-9]{0,4})(y|mo|w|d)")

#: Years that a length has at most: no market is older, and no date leaves the calendar.
MOST_YEARS = 100


def _length(value: str) -> str:
    match = _LENGTH.fullmatch(value)
    if value == ALL:
        return value
    if match is None:
        raise ValueError("must be a length such as 4y, 18mo, 26w or 90d, or all")
    count, unit = int(match[1]), match[2]
    if count * (_MONTHS.get(unit, 0) / 12 + _DAYS.get(unit, 0) / 365) > MOST_YEARS:
        raise ValueError(f"must be at most {MOST_YEARS} years; all is all there is")
    return value


#: ``4y``, ``18mo``, ``26w``, ``90d`` or ``all``.
Length = Annotated[str, AfterValidator(_length)]


def start_of(length: str, until: datetime) -> datetime:
    """Return the first moment of a history of ``length`` that ends at ``until``.

    Years and months are those of the calendar: ``1mo`` before 31 March begins on the last day of
    February. `ALL` begins at `EARLIEST`.
    """
    if length == ALL:
        return EARLIEST
    match = _LENGTH.fullmatch(length)
    assert match is not None, "checked by the configuration"
    count, unit = int(match[1]), match[2]
    if unit in _DAYS:
        return until - timedelta(days=count * _DAYS[unit])
    year, month = divmod(until.year * 12 + until.month - 1 - count * _MONTHS[unit], 12)
    last = calendar.monthrange(year, month + 1)[1]
    return until.replace(year, month + 1, min(until.day, last))


class SurrogateConfig(Section):
    """Candles rearranged so that no edge can be left (validation rules §5).

    ``reversed`` is the exception: it reads the candles backwards, which makes an edge.
    """

    kind: Literal["permuted", "sign_flipped", "bar_flipped", "bootstrapped", "reversed"] = Field(
        description="how"
    )
    seed: Seed = Field(description="of the draw")
    days: Days | None = Field(None, description="length of bootstrapped; null: as it was")

    @field_validator("days")
    @classmethod
    def _of_bootstrapped(cls, days: int | None, info: ValidationInfo) -> int | None:
        if days is not None and info.data.get("kind") != "bootstrapped":
            raise ValueError("is for kind bootstrapped alone, which draws days anew: leave it out")
        return days


#: Binance's rate where nothing pulls it: 0.01 % every 8 hours.
DEFAULT_FUNDING_RATE = 0.0001

FundingRate = Annotated[
    float | None,
    Field(
        ge=-0.5,
        le=0.5,
        exclude_if=lambda rate: rate == DEFAULT_FUNDING_RATE,
        description="of a perpetual, every 8 hours, where its funding is not known; null: refused",
    ),
]


class History(Section):
    """A half-open stretch ``[since, until)`` of history, or the last ``history`` of it.

    What is not given is left out of what is stored where it is newer than stored configurations:
    they keep the hash that they had without it.
    """

    #: Length where neither ``since`` nor ``history`` is given; None for all there is.
    default_days: ClassVar[int | None] = None

    since: Moment | None = Field(None, description="first day or ISO 8601 time, UTC")
    until: Moment | None = Field(None, description="first day no longer wanted; both null: a year")
    history: Length | None = Field(
        None,
        exclude_if=lambda length: length is None,
        description="in place of since: 4y, 18mo, 26w, 90d or all; ends at until",
    )
    funding_rate: FundingRate = DEFAULT_FUNDING_RATE
    surrogate: SurrogateConfig | None = Field(
        None, description="the candles rearranged, such as {kind: permuted, seed: 0}"
    )

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if since is not None and until is not None and until <= since:
            raise ValueError(f"must be after data.since ({since:%Y-%m-%dT%H:%M}Z)")
        return until

    @field_validator("history")
    @classmethod
    def _alone(cls, history: str | None, info: ValidationInfo) -> str | None:
        since = info.data.get("since")
        if history is not None and since is not None:
            raise ValueError(
                f"says where the history begins, and so does data.since={since:%Y-%m-%d}: leave one"
                f" of the two out, as in data.history={history} data.since=null"
            )
        return history

    @property
    def since_ms(self) -> int | None:
        """First moment wanted, milliseconds UTC; None where the end has to be known first."""
        return milliseconds(self.since)

    @property
    def until_ms(self) -> int | None:
        """First moment no longer wanted, milliseconds UTC."""
        return milliseconds(self.until)

    def starts(self, end: datetime) -> datetime | None:
        """Return the first moment wanted of a history that ends at ``end``; None: no limit."""
        if self.since is not None:
            return self.since
        if self.history is not None:
            return start_of(self.history, end)
        return None if self.default_days is None else end - timedelta(days=self.default_days)

    @property
    def days(self) -> float | None:
        """Length of the history in days where the configuration alone tells it."""
        if self.since is None or self.until is None:
            return None
        return (self.until - self.since).total_seconds() / 86_400

    @property
    def synthetic(self) -> bool:
        """Whether the candles are other than the market's, so that all that follows must say so."""
        return self.surrogate is not None
