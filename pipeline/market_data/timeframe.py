"""Name the lengths of candles, and write times as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.errors import UserError, suggestion

#: Length of a candle in milliseconds, by the name that exchanges use.
TIMEFRAMES = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}


def timeframe_ms(timeframe: str) -> int:
    """Length of a candle in milliseconds.

    Raises
    ------
    UserError
        If the timeframe is not one of `TIMEFRAMES`.
    """
    if timeframe not in TIMEFRAMES:
        raise UserError(
            f"'{timeframe}' is not a timeframe: choose one of {', '.join(TIMEFRAMES)}."
            + suggestion(timeframe, TIMEFRAMES)
        )
    return TIMEFRAMES[timeframe]


def spacing_name(milliseconds: int) -> str:
    """``1h candles`` for a spacing that has a name, ``rows 10 s apart`` for any other."""
    for name, length in TIMEFRAMES.items():
        if length == milliseconds:
            return f"{name} candles"
    return f"rows {milliseconds / 1000:g} s apart"


def utc(timestamp_ms: int) -> str:
    """``2023-01-01 00:05 UTC`` for milliseconds since the epoch; finer parts only when not zero."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).replace(tzinfo=None)
    precision = "minutes" if timestamp_ms % 60_000 == 0 else "auto"
    return f"{moment.isoformat(' ', precision)} UTC"
