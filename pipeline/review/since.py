"""Say in plain sentences where new days lie in their band (validation rules §8)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pipeline.results.records import MONITOR, ConfigurationEvent
from pipeline.validation.sequential import LEVEL
from pipeline.validation.wording import number, percent, plural, share


def latest_band(events: Sequence[ConfigurationEvent]) -> dict[str, Any] | None:
    """Return the figures of the last look that kept a band, its days among them; None without."""
    for event in reversed(events):
        if event.kind == MONITOR and "live_band" in event.figures:
            days = {name: event.figures[name] for name in ("first_day", "last_day")}
            return {**days, **event.figures["live_band"]}
    return None


def since(band: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield sentences on the figures of `latest_band`."""
    if band is None:
        return
    days = f"{plural(band['live_days'], 'new day')}, {band['first_day']} to {band['last_day']}"
    if band["unknown"] is not None:
        yield (
            f"{days}: there is not enough to say whether they keep what the out-of-sample days"
            f" promised ({band['unknown']})."
        )
        return
    low, median, high = (percent(band[name] - 1.0) for name in ("low", "median", "high"))
    yield (
        f"{days}: net {percent(band['equity'] - 1.0)}. Days as out of sample would have come to"
        f" {median} in the middle, and between {low} and {high} in nine of ten cases; in"
        f" {share(band['position'])} of all cases to less than this."
    )
    if band["left_path"]:
        yield "On some day the equity was outside the band that nine in ten such years never leave."
    yield _test(band)


def _test(band: Mapping[str, Any]) -> str:
    alarm = band["alarm_day"]
    if alarm is None:
        return (
            f"Sequential test: no alarm, p = {number(band['p'])} (an alarm at {number(LEVEL)} or"
            " less). Too few days, or luck, hide an edge that has gone: no alarm is no proof."
        )
    day = date.fromisoformat(band["first_day"]) + timedelta(days=alarm - 1)
    return (
        f"Sequential test: ALARM on {day}, new day {alarm:,}, p = {number(band['p'])}."
        " Where nothing had changed, at most 5 % of years would have an alarm."
    )
