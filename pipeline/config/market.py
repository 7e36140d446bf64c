"""Define what is traded and where: `conf/market` over `conf/exchange`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import Cost, Count, Section

#: All divide a UTC day.
Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]

Asset = Annotated[str, Field(pattern=r"^[A-Z0-9]+$")]


class ExchangeConfig(Section):
    """An exchange's fees and limits."""

    name: str = Field(description="the first part of a market's id")
    ccxt_id: str | None = Field(description="its name in ccxt; null: nothing to fetch from")
    fee_rate: Cost = Field(description="fraction of the notional, each way")
    slippage: Cost = Field(description="fraction of the notional, of market orders")
    history_candles: Count | None = Field(description="newest candles that it serves; null: all")


class MarketConfig(Section):
    """A pair on an exchange in one timeframe. ``synthetic`` marks invented candles for good."""

    base: Asset = Field(description="the asset that is bought and sold")
    quote: Asset = Field(description="the asset that it is paid with")
    timeframe: Timeframe = Field(description="length of a candle")
    exchange: ExchangeConfig = Field(description="where it is traded, at which fees")
    synthetic: bool = Field(default=False, description="whether its candles are generated")

    @property
    def pair(self) -> str:
        """``BTC/USDT``."""
        return f"{self.base}/{self.quote}"

    @property
    def id(self) -> str:
        """``binance:BTC/USDT:5m``, the name of the market everywhere."""
        return f"{self.exchange.name}:{self.pair}:{self.timeframe}"
