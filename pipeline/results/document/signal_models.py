"""Define a signal as Pydantic models: what a configuration holds now and does at the next open.

`signal.schema.json` is generated from these models (``scripts/schema``), for readers that are not
Python. `pipeline.live.signal` fills them.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pipeline.validation.stages import Stage

SCHEMA_FILE = "signal.schema.json"

Action = Literal["enter", "hold", "leave", "wait", "blocked"]
Side = Literal["long", "short"]
Price = float | None


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class SignalMarket(_Part):
    """The market, in ccxt's names."""

    exchange: str
    pair: str
    timeframe: str


class SignalCandle(_Part):
    """The newest closed candle: what the signal rests on."""

    opened: AwareDatetime
    closed: AwareDatetime
    close: float
    """Quote currency."""


class HeldPosition(_Part):
    """What is held now: prices in the quote currency."""

    side: Side
    entered: AwareDatetime
    """Open of the entry bar."""
    entry: float
    """Fill, slippage included."""
    stop: Price
    """At the entry; null for none."""
    target: Price
    """Null for none."""
    stop_in_force: Price
    """Of the next candle: moved by break-even and trail; null for none."""
    best: float
    """Best price since the entry."""
    gain: float
    """From the entry to the last close, fraction of the entry, before costs."""
    leaves_by: AwareDatetime | None
    """Close of the last candle of the longest holding time; null for no limit."""


class Entry(_Part):
    """An entry at the next open, if it opens between ``above`` and ``below``."""

    side: Side
    entry: float
    """Fill if it opens at the last close, slippage included."""
    stop: Price
    """At that fill; null for none."""
    target: Price
    """At that fill; null for none."""
    above: Price
    """Null for no limit."""
    below: Price
    """Null for no limit."""
    setup: AwareDatetime
    """Open of the first candle that the signal depends on."""


class Breaker(_Part):
    """The circuit breaker that lets nothing in."""

    name: str
    limit: float
    until: AwareDatetime
    """Open of the first candle that is free again."""


class Signal(_Part):
    """What one configuration holds and does next."""

    version: Literal[1] = 1
    """Of this schema."""
    id: str
    strategy: str
    market: SignalMarket
    stage: Stage
    synthetic: bool
    active: bool
    made: AwareDatetime
    """By the clock of the exchange, where it told its time."""
    ahead: float = 0.0
    """Seconds by which that clock was ahead of the one of the machine that made the signal."""
    candle: SignalCandle | None
    refusal: str | None
    """Why there is no signal; null where there is one."""
    action: Action | None
    """At the next open: enter, hold, leave, wait for a signal, or blocked by a breaker."""
    at: AwareDatetime | None
    """The next open."""
    position: HeldPosition | None
    entries: list[Entry]
    """The first whose limits hold at the open is taken."""
    breaker: Breaker | None
    size: Annotated[float, Field(ge=0, le=1)]
    """Share of a full position that its stage allows; 0: on paper alone."""
    notional: Annotated[float, Field(ge=0)]
    """Value of the position as a share of the equity: size x position fraction x leverage."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.model_dump(mode="json")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `Signal`, which stands in `SCHEMA_FILE` for other languages."""
    schema = Signal.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
