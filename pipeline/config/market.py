"""What is traded and where: `conf/market` over `conf/exchange`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import Cost, Count, Section

#: All divide a UTC day.
Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]

Asset = Annotated[str, Field(pattern=r"^[A-Z0-9]+$")]


class ExchangeConfig(Section):
    """An exchange's fees and limits.

    Attributes
    ----------
    ccxt_id : str or None
        Its name in ccxt; None where there is nothing to fetch from.
    fee_rate, slippage : float
        Fractions of the notional per side; slippage on market orders only.
    history_candles : int or None
        How many of the newest candles it serves at all; None when it serves everything.
    """

    name: str
    ccxt_id: str | None
    fee_rate: Cost
    slippage: Cost
    history_candles: Count | None


class MarketConfig(Section):
    """A pair on an exchange in one timeframe. ``synthetic`` marks invented candles for good."""

    base: Asset
    quote: Asset
    timeframe: Timeframe
    exchange: ExchangeConfig
    synthetic: bool = False

    @property
    def pair(self) -> str:
        """``BTC/USDT``."""
        return f"{self.base}/{self.quote}"

    @property
    def id(self) -> str:
        """``binance:BTC/USDT:5m``, the name of the market everywhere."""
        return f"{self.exchange.name}:{self.pair}:{self.timeframe}"
