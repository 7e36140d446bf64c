"""Words that every command shares: verdicts, and figures as a sentence has them."""

from __future__ import annotations

from pipeline.validation.lifecycle import Stage

SYNTHETIC = "SYNTHETIC candles: nothing below says anything about a market."

VERDICTS: dict[Stage, str] = {
    "PAPER": "it does not earn enough on days that no search had seen: watch it, trade nothing",
    "DISCOVERY": "it earned out of sample, too rarely or too little to tell from luck",
    "VALIDATION": "it earned out of sample beyond the luck of one series, not (yet) beyond that of"
    " the whole search",
    "MATURE": "it earned out of sample beyond the luck of the whole search",
    "DECAY": "it earned once, and stopped on newer candles: trade nothing",
}


def percent(value: float) -> str:
    """``+12.3 %`` for 0.123; 0 without a sign, and what a tenth cannot show with two digits."""
    if value == 0.0:
        return "0 %"
    form = "+.1f" if abs(value) >= 0.001 else "+.2g"
    return f"{100.0 * value:{form}} %"


def share(value: float) -> str:
    """`percent` without a plus sign: ``94.8 %``."""
    return percent(value).lstrip("+")


def number(value: float | None) -> str:
    """Three significant digits; whole numbers as they are."""
    if value is None:
        return "undefined"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """``1 day``, ``1,234 days``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
