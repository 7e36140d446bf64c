"""Put what a check for look-ahead found into words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.market_data.timeframe import utc

Check = Literal["cut", "future", "repeat", "outside", "loosest"]


@dataclass(frozen=True)
class Finding:
    """A row that differs, in a table of ``setting``.

    ``check`` says what changed: the bars from ``cut`` on are absent (``cut``) or others
    (``future``); the same was asked twice (``repeat``); the row's bar is not among the candles
    (``outside``); ``loosest`` is another. ``time`` is the open time of ``bar``, ms UTC. ``known``
    is the value with the candles' own future, ``blind`` without; None where there is no row.
    ``occasions`` says in words when the two are.
    """

    check: Check
    setting: Mapping[str, float]
    column: str
    bar: int
    time: int
    side: int
    cut: int
    known: float | None
    blind: float | None
    occasions: tuple[str, str] = ("", "")

    @property
    def sentence(self) -> str:
        """What differs, where, in which setting."""
        side = "long" if self.side > 0 else "short"
        setting = ", ".join(f"{name}={value:g}" for name, value in self.setting.items())
        inside = f" ({setting})" if setting else ""
        where = f"at bar {self.bar:,} ({utc(self.time)}){inside}"
        if self.check == "outside":
            return f"{where} there is a {side} signal, though the candles end before that bar."
        one, other = _OCCASIONS.get(self.check, self.occasions)
        if self.column == "row":
            there = one if self.blind is None else other
            absent = other if self.blind is None else one
            return f"{where} there is a {side} signal {there}, and none {absent}."
        return (
            f"{where} the {self.column} of the {side} signal is {_shown(self.known)} {one} and"
            f" {_shown(self.blind)} {other}."
        )


_OCCASIONS = {
    "cut": ("when later bars are known", "when later bars are absent"),
    "future": ("when later bars are known", "when other bars come later"),
    "repeat": ("at the first call", "at a second call with the same candles"),
}


def _shown(value: float | None) -> str:
    return "absent" if value is None else f"{value:.17g}"


#: What to do about a row that hangs on ``loosest``.
LOOSEST = (
    "loosest only says what may be left out: leave out what fails loosest itself, or do not read"
    " it (docs/your-own-strategy.md)."
)
