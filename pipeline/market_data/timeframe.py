"""Name the lengths of candles, and write times as a person reads them."""

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
    """Return the length of a candle in milliseconds.

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


def timeframe_name(milliseconds: int) -> str | None:
    """Return the timeframe of this length; None where there is none."""
    return next((name for name, length in TIMEFRAMES.items() if length == milliseconds), None)


def spacing_name(milliseconds: int) -> str:
    """Describe a spacing: ``1h candles`` where it is a timeframe, else ``rows 10 s apart``."""
    name = timeframe_name(milliseconds)
    return f"{name} candles" if name else f"rows {milliseconds / 1000:g} s apart"


def utc(timestamp_ms: int) -> str:
    """Write milliseconds since the epoch as ``2023-01-01 00:05 UTC``, with seconds if not zero."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).replace(tzinfo=None)
    precision = "minutes" if timestamp_ms % 60_000 == 0 else "auto"
    return f"{moment.isoformat(' ', precision)} UTC"
