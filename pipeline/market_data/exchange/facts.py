"""What an exchange says of one market besides its candles: fees, steps, contract, listing.

They come from the entry that ccxt's ``load_markets`` has of it, and are kept beside its candles.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config.market_word import fee
from pipeline.errors import DiskFullError, UserError
from pipeline.market_data.store.atomic_files import replace_text
from pipeline.market_data.store.store import candle_path

if TYPE_CHECKING:
    import ccxt

FILE = "market.json"


@dataclass(frozen=True)
class MarketFacts:
    """What an exchange says of a market; None where it says nothing, or ccxt does not know it.

    Attributes
    ----------
    contract : str
        ``spot``, ``linear perpetual``, and of what is not traded here ``dated future``, ``option``
        or ``inverse perpetual``.
    taker, maker : float or None
        Fees, fractions of the notional; a negative one is a rebate. What an account without
        discounts pays, as far as ccxt knows.
    price_step, amount_step : float or None
        The smallest difference of two prices (quote) and of two amounts (base, or contracts).
    least_amount, least_cost : float or None
        The smallest order: base (or contracts), and quote.
    contract_size : float or None
        Base of one contract; None of spot.
    active : bool or None
        Whether it is traded now.
    listed : str or None
        When it was listed, ISO 8601, UTC.
    asked : str
        The UTC day of this answer, ISO 8601.
    """

    contract: str
    taker: float | None
    maker: float | None
    price_step: float | None
    amount_step: float | None
    least_amount: float | None
    least_cost: float | None
    contract_size: float | None
    active: bool | None
    listed: str | None
    asked: str

    @property
    def listed_ms(self) -> int | None:
        """When it was listed, milliseconds since the epoch."""
        if self.listed is None:
            return None
        return round(datetime.fromisoformat(self.listed).timestamp() * 1000)

    @property
    def traded_here(self) -> bool:
        """Whether this program trades such a contract."""
        return self.contract in ("spot", "linear perpetual")


def facts_of(client: ccxt.Exchange, symbol: str) -> MarketFacts:
    """Return what a client that has loaded its markets knows of one of them."""
    market: Mapping[str, Any] = client.markets[symbol]
    limits, steps = market.get("limits") or {}, market.get("precision") or {}
    created = _number(market.get("created"))
    return MarketFacts(
        contract=_contract(market),
        taker=fee(market.get("taker")),
        maker=fee(market.get("maker")),
        price_step=_step(client, steps.get("price")),
        amount_step=_step(client, steps.get("amount")),
        least_amount=_number((limits.get("amount") or {}).get("min")),
        least_cost=_number((limits.get("cost") or {}).get("min")),
        contract_size=_number(market.get("contractSize")) if market.get("contract") else None,
        active=market.get("active"),
        listed=None if not created else datetime.fromtimestamp(created / 1000, UTC).isoformat(),
        asked=datetime.now(UTC).date().isoformat(),
    )


def refuse_untraded(facts: MarketFacts, exchange: str, symbol: str) -> None:
    """Raise `UserError` where the exchange says that a market is a contract of another kind."""
    if not facts.traded_here:
        raise UserError(
            f"{exchange} says that {symbol} is a contract of another kind ({facts.contract})."
            " This program trades spot markets and linear perpetual contracts:"
            f" scripts/markets {exchange} lists them."
        )


#: What a sentence calls them, in its order.
_NAMED = {
    "taker": "taker fee",
    "maker": "maker fee",
    "price_step": "price step",
    "amount_step": "amount step",
    "least_amount": "least amount",
    "least_cost": "least cost",
    "contract_size": "contract size",
}


def sentence(exchange: str, symbol: str, facts: Mapping[str, Any]) -> str:
    """Say what is known, of the plain values that a result keeps."""
    known = [f"{word} {facts[n]:g}" for n, word in _NAMED.items() if facts.get(n) is not None]
    listed = [f"listed {facts['listed'][:10]}"] if facts.get("listed") else []
    rows = ", ".join([str(facts.get("contract")), *known, *listed])
    return f"{symbol} by {exchange} on {facts.get('asked')}: {rows}."


def keep_facts(facts: MarketFacts, store_dir: Path, exchange: str, symbol: str) -> None:
    """Write them into the market's folder; a store that takes nothing goes without."""
    with suppress(OSError, DiskFullError):  # the candles are what matters
        replace_text(_file(store_dir, exchange, symbol), json.dumps(asdict(facts), indent=1))


def stored_facts(store_dir: Path, exchange: str, symbol: str) -> MarketFacts | None:
    """Read them; None where they were never kept or cannot be read."""
    try:
        return MarketFacts(**json.loads(_file(store_dir, exchange, symbol).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _file(store_dir: Path, exchange: str, symbol: str) -> Path:
    return candle_path(store_dir, exchange, symbol, "").joinpath(FILE)


def _contract(market: Mapping[str, Any]) -> str:
    if market.get("spot"):
        return "spot"
    if market.get("option"):
        return "option"
    if market.get("future") or market.get("expiry"):
        return "dated future"
    return "inverse perpetual" if market.get("inverse") else "linear perpetual"


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _step(client: ccxt.Exchange, precision: Any) -> float | None:
    """Return a precision as a step; one in significant digits is none."""
    import ccxt

    value = _number(precision)
    if value is None or client.precisionMode == ccxt.SIGNIFICANT_DIGITS:
        return None
    if client.precisionMode == ccxt.DECIMAL_PLACES:
        return float(10.0**-value)
    return value
