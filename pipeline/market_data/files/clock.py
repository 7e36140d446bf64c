"""Read the open times of a file: counts since the epoch, dates with an offset, dates without one.

A date without an offset is UTC, unless the user names the zone. Clocks that are put back show one
hour twice; which of the two a row means is told by its neighbours alone, so it is told at the end,
from all rows.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from gpu_engine import Int64
from pipeline.errors import UserError, first_line
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.raw import (
    MILLISECONDS_FROM,
    MILLISECONDS_TO,
    NANOSECONDS_FROM,
    SECONDS_FROM,
)
from pipeline.market_data.timeframe import utc

HOUR_MS, DAY_MS = 3_600_000, 86_400_000

#: No candle opens after it: the year 2100.
END_MS = 4_102_444_800_000


#: Zones that stand for the clocks of the world that change: central and western Europe, the
#: United States, Australia.
ZONES = ("Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney")

#: A date of which PyArrow reads none: 31.01.2023, 2023.01.31, 2023/01/31, with what may follow.
_DATE = (
    r"^\s*(?:(?P<y>\d{4})[./-](?P<m>\d{1,2})[./-](?P<d>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<sign>[./-])(?P<b>\d{1,2})[./-](?P<year>\d{4})"
    r"|(?P<name>[A-Z][a-z]{2})[a-z]* (?P<day>\d{1,2}),? (?P<named>\d{4}))"
    r"(?:[T ,]+(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<part>\d{1,9}))?)?)?"
    r"[ -]?(?P<half>[AaPp][Mm])?)?"
    r"\s*(?P<zone>Z|UTC|GMT)?(?P<offset>[+-]\d\d:?\d\d)?\s*$"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def milliseconds_of(counts: Int64, name: str, before: int = 0) -> Int64:
    """Turn seconds, milli-, micro- or nanoseconds since the epoch into milliseconds.

    The magnitude tells the unit, of each row, for Binance's archives change theirs: seconds of any
    market's history are below 10¹¹, milliseconds below 10¹⁴, microseconds below 10¹⁷.

    Raises
    ------
    UserError
        If a count is no whole number of milliseconds; its row is counted from ``before``.
    """
    size = np.abs(counts)
    if ((size >= MILLISECONDS_FROM) & (size < MILLISECONDS_TO)).all():
        return counts
    divisor = np.where(size >= MILLISECONDS_TO, 1_000, 1)
    divisor[size >= NANOSECONDS_FROM] = 1_000_000
    bad = counts % divisor != 0
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {before + row + 1} is {counts[row]}, no whole number of"
            " milliseconds. It is damaged; download it again."
        )
    factor = np.where((size >= SECONDS_FROM) & (size < MILLISECONDS_FROM), 1_000, 1)
    return counts // divisor * factor


class Clock:
    """Reads the open times of one file, piece by piece.

    Parameters
    ----------
    name : str
        What errors call the file.
    zone : str, optional
        Where times without an offset are from, such as ``Europe/Berlin``; None: they are UTC, and
        refused where an hour that is there twice, or missing, shows that they are not.
    advice : str
        What to do where the zone must be told.
    """

    def __init__(self, name: str, zone: str | None = None, advice: str = "") -> None:
        self._name, self._zone, self._advice = name, zone, advice
        self._kind: str | None = None
        self._rows = 0

    def times(self, column: pa.ChunkedArray) -> Int64:
        """Read a piece: milliseconds since the epoch, by the clock of the file.

        Raises
        ------
        UserError
            If a cell is no time, or rows have another kind of time than those before.
        """
        if column.null_count:
            raise UserError(
                f"{self._name}: {column.null_count} of {len(column)} rows have no timestamp."
            )
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind, times = self._read(column)
        if len(times) and self._kind not in (None, kind):
            raise self._refusal(column.type, f"other rows hold {self._kind}")
        self._kind = kind if len(times) else self._kind
        self._rows += len(times)
        return times

    def utc(self, times: Int64) -> Int64:
        """Turn all times of the file into UTC.

        Raises
        ------
        UserError
            If an hour that the clock shows twice, or never, leaves the moment open.
        """
        if self._kind != "local times" or not len(times):
            return times
        if self._zone is None:
            _check_utc(times, self._name, self._advice)
            return times
        return _from_zone(times, self._zone, self._name, self._advice)

    def _read(self, column: pa.ChunkedArray) -> tuple[str, Int64]:
        kind = column.type
        try:
            if pa.types.is_date(kind):
                return "local times", array_of(cast(column.cast(pa.timestamp("ms")), pa.int64()))
            if pa.types.is_timestamp(kind):
                # pandas 3 writes [us] where pandas 2 wrote [ns]: name the unit, never assume it.
                whole = column.cast(pa.timestamp("ms", kind.tz))
                return "moments" if kind.tz else "local times", array_of(cast(whole, pa.int64()))
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                return self._of_text(column)
            counts = array_of(cast(column, pa.int64()))
        except (pa.ArrowException, ValueError) as error:
            raise self._refusal(kind, first_line(error)) from error
        return "counts", milliseconds_of(counts, self._name, self._rows)

    def _of_text(self, column: pa.ChunkedArray) -> tuple[str, Int64]:
        from pyarrow import compute  # 50 ms, and needless to whom times are numbers

        text = compute.utf8_trim_whitespace(column)
        for wanted in (pa.int64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
            try:
                read = pa.chunked_array([text.cast(wanted).combine_chunks()], wanted)
            except pa.ArrowException:
                continue
            return self._read(read)
        if not compute.any(compute.match_substring_regex(text, "[eE]")).as_py():
            with suppress(pa.ArrowException):  # 1672531200000.0
                return self._read(text.cast(pa.float64()))
        return self._of_spelled(text)

    def _of_spelled(self, text: pa.ChunkedArray) -> tuple[str, Int64]:
        """Read dates in other spellings than ISO 8601, all in the same one."""
        from pyarrow import compute

        fields = compute.extract_regex(text, _DATE).combine_chunks()
        bad = compute.index(compute.is_valid(fields), value=False).as_py()
        if bad >= 0:
            cell = text[bad].as_py()
            if re.fullmatch(r"[\d.,]+[eE]\+?\d+", cell):
                raise UserError(
                    f"{self._name}: the open time in row {self._rows + bad + 1} is {cell}: a"
                    " spreadsheet has rounded it. Export the file again without opening it there."
                )
            raise self._refusal(text.type, f"{cell!r} in row {self._rows + bad + 1} is no time")
        part = {name: np.array(fields.field(name).to_pylist()) for name in fields.type.names}
        year, month, day = self._days(part, text)
        hour = _whole(part["hour"])
        afternoon = np.char.lower(part["half"])
        hour = np.where(afternoon != "", hour % 12 + 12 * (afternoon == "pm"), hour)
        thousandth = _whole(np.char.ljust(part["part"], 3, "0").astype("U3"))
        months = (year - 1970) * 12 + month - 1
        start = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
        minutes = (hour * 60 + _whole(part["minute"])) * 60 + _whole(part["second"])
        times = (start + day - 1) * DAY_MS + minutes * 1_000 + thousandth
        within = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24)
        within &= (start + day - 1).astype("M8[D]").astype("M8[M]").astype(np.int64) == months
        if not within.all():
            row = int(np.argmin(within))
            raise self._refusal(text.type, f"'{text[row]}' is no day of the calendar")
        told = (part["offset"] != "") | (part["zone"] != "")
        if told.any() and not told.all():
            raise self._refusal(text.type, "some rows have an offset from UTC and some have none")
        signs = np.where(np.char.startswith(part["offset"], "-"), -1, 1)
        offset = np.char.replace(np.char.lstrip(part["offset"], "+-"), ":", "")
        ahead = signs * (_whole(offset) // 100 * 60 + _whole(offset) % 100) * 60_000
        return ("moments" if told.all() else "local times"), times - ahead

    def _days(
        self, part: dict[str, np.ndarray], text: pa.ChunkedArray
    ) -> tuple[Int64, Int64, Int64]:
        """Return years, months and days; which of two numbers is the month, all rows must tell."""
        if (part["y"] != "").all():
            return _whole(part["y"]), _whole(part["m"]), _whole(part["d"])
        if (part["name"] != "").all():
            names = np.array([_MONTHS.index(n) + 1 if n in _MONTHS else 0 for n in part["name"]])
            return _whole(part["named"]), names, _whole(part["day"])
        if not (part["a"] != "").all():
            raise self._refusal(text.type, "the rows spell dates in several ways")
        first, second, year = _whole(part["a"]), _whole(part["b"]), _whole(part["year"])
        day_first = bool((first > 12).any()) or bool((part["sign"] == ".").all())
        month_first = bool((second > 12).any())
        if day_first == month_first:
            raise UserError(
                f"{self._name}: '{text[0]}' may be a day of either of two months, and no other row"
                " tells: write the dates as 2023-01-31."
            )
        return (year, second, first) if day_first else (year, first, second)

    def _refusal(self, kind: pa.DataType, reason: str) -> UserError:
        return UserError(
            f"{self._name}: the open times must be whole milliseconds, as integers since the epoch"
            f" or as dates such as 2023-01-31 14:00; found {kind}: {reason}."
        )


def _whole(texts: np.ndarray) -> Int64:
    return np.where(texts == "", "0", texts).astype(np.int64)


def _from_zone(times: Int64, zone: str, name: str, advice: str) -> Int64:
    """Turn local times into UTC; the order of rows tells which of two equal hours comes first."""
    changes = _changes(zone, int(times.min()) - DAY_MS, int(times.max()) + DAY_MS)
    before = changes[0].before if changes else _offset(ZoneInfo(zone), int(times[0]) // 1_000)
    offsets = np.array([before, *(change.after for change in changes)])
    moments = np.array([change.moment for change in changes], np.int64)
    # The clock shows a stretch of equal offset from its start to its end.
    starts = np.concatenate([[np.iinfo(np.int64).min], moments + offsets[1:]])
    ends = np.concatenate([moments + offsets[:-1], [np.iinfo(np.int64).max]])
    later = np.searchsorted(starts, times, "right") - 1
    never = times >= ends[later]
    if never.any():
        raise UserError(
            f"{name}: {_shown(int(times[np.argmax(never)]))} never was in {zone}, where the clock"
            f" was put forward over it: the file has the time of another zone, or UTC. {advice}"
        )
    sooner = np.where((later > 0) & (times < ends[later - 1]), later - 1, later)
    early: Int64 = times - offsets[sooner]
    late: Int64 = times - offsets[later]
    doubled = np.flatnonzero(early != late)
    if not len(doubled):
        return early
    result: Int64 = early.copy()
    far = np.abs(np.diff(times[doubled])) > 12 * HOUR_MS
    breaks = np.flatnonzero((np.diff(doubled) > 1) | far)
    for stretch in np.split(doubled, breaks + 1):
        placed = _of_doubled(stretch, times, early, late)
        if placed is None:
            hour = _shown(int(times[stretch].min()))
            raise UserError(
                f"{name}: the hour of {hour} was there twice in {zone},"
                " where the clock was put back, and the rows do not show which of the two they"
                " mean: give the file with both hours in order, or with times in UTC."
                f" {advice}"
            )
        result[stretch] = placed
    return result


def _of_doubled(stretch: Int64, times: Int64, early: Int64, late: Int64) -> Int64 | None:
    """Place the rows of one doubled hour, which stand one after the other; None: in either."""
    falling = len(times) > 1 and times[-1] < times[0]
    rows = stretch[::-1] if falling else stretch
    back = np.flatnonzero(np.diff(times[rows]) <= 0) + 1
    if len(back) == 1:
        second = np.arange(len(rows)) >= back[0]
        placed: Int64 = np.where(second, late[rows], early[rows])
        return placed[::-1] if falling else placed
    if len(back) == 0:  # one of the two hours is missing, or a candle is longer than an hour
        sure = np.delete(early, stretch)[:2_000]
        step = int(np.gcd.reduce(np.diff(np.unique(sure)))) if len(sure) > 1 else 0
        if step > HOUR_MS or (step and len(rows) == 1 and step % HOUR_MS == 0):
            fits = [np.all((one[stretch] - sure[0]) % step == 0) for one in (early, late)]
            if fits[0] != fits[1]:
                told: Int64 = (early if fits[0] else late)[stretch]
                return told
    return None


def _check_utc(times: Int64, name: str, advice: str) -> None:
    """Refuse times that show the hour of a clock that was put back or forward."""
    order = np.sort(times)
    for zone in ZONES:
        for change in _changes(zone, int(order[0]) - DAY_MS, int(order[-1]) + DAY_MS):
            back, start = change.after < change.before, change.local
            if _doubled(times, start) if back else _skipped(order, start):
                what = "is there twice" if back else "is missing, and no other of that day,"
                raise UserError(
                    f"{name}: the hour from {_shown(start)} {what} as where the clock is put"
                    f" {'back' if back else 'forward'} ({zone} and others), so its times look local"
                    f" and have no offset. {advice}"
                )


class _Change(NamedTuple):
    """A moment at which a clock is changed, and its offsets from UTC; all in milliseconds."""

    moment: int
    before: int
    after: int

    @property
    def local(self) -> int:
        """Where the hour begins that the clock then shows twice, or never, by the clock."""
        return self.moment + min(self.before, self.after)


def _changes(zone: str, first: int, last: int) -> list[_Change]:
    """List the changes of a clock between two moments, oldest first."""
    found: list[_Change] = []
    clock = ZoneInfo(zone)
    first, last = max(0, first), min(END_MS, last)  # a stray time is refused later
    for day in range(first // 1_000, last // 1_000, 86_400):
        before, after = _offset(clock, day), _offset(clock, day + 86_400)
        if before != after:
            quarters = range(day - day % 900 + 900, day + 86_401 + 900, 900)
            moment = next(second for second in quarters if _offset(clock, second) == after)
            found.append(_Change(moment * 1_000, before, after))
    return found


def _offset(clock: ZoneInfo, second: int) -> int:
    told = datetime.fromtimestamp(second, UTC).astimezone(clock).utcoffset()
    assert told is not None, "every zone has an offset"
    return told // timedelta(milliseconds=1)


def _shown(time: int) -> str:
    """Write a local time."""
    return utc(time).removesuffix(" UTC")


def _doubled(times: Int64, start: int) -> bool:
    """Whether the hour from ``start`` is passed through twice, and the hours around it are not."""
    inside = np.flatnonzero((times >= start) & (times < start + HOUR_MS))
    if len(inside) < 2:
        return False
    again = len(inside) - len(np.unique(times[inside]))
    around = times[(np.abs(times - start) < 12 * HOUR_MS)]
    others = len(around) - len(np.unique(around)) - again
    return again > 0 and others == 0


def _skipped(order: Int64, start: int) -> bool:
    """Whether the hour from ``start`` has no candle, and the half days around it have all."""
    around: Int64 = order[(order >= start - 12 * HOUR_MS) & (order < start + 13 * HOUR_MS)]
    if len(around) < 24 or around[0] > start - 11 * HOUR_MS or around[-1] < start + 11 * HOUR_MS:
        return False
    gaps = np.diff(around)
    step = int(gaps.min())
    wide = gaps != step
    if step <= 0 or step > HOUR_MS or int(wide.sum()) != 1:
        return False
    at = int(np.argmax(wide))
    return int(around[at]) == start - step and int(around[at + 1]) == start + HOUR_MS
