"""The configuration of fetching and importing candles: `conf/fetch.yaml`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.config.data import CcxtData
from pipeline.config.market import MarketConfig
from pipeline.config.section import Section


class FetchConfig(Section):
    """Which candles come into the store, and from where.

    Attributes
    ----------
    import_path : str or None
        ``import`` on the command line: a file, a zip or a folder to take candles from; None
        fetches them from the exchange.
    truth : {"stored", "imported"}
        Whose candle is kept where an import disagrees with the store.
    """

    market: MarketConfig
    data: CcxtData
    import_path: Annotated[str, Field(min_length=1)] | None = Field(alias="import")
    truth: Literal["stored", "imported"]

    @model_validator(mode="before")
    @classmethod
    def _from_an_exchange(cls, values: Any) -> Any:
        """Refuse invented candles in one sentence, not in one for each key they bring."""
        market, data = values.get("market") or {}, values.get("data") or {}
        if (market.get("exchange") or {}).get("ccxt_id") is None:
            raise ValueError(
                "This market is on no exchange: choose one such as market=btc_binance_5m."
            )
        if data.get("source") != "ccxt":
            raise ValueError(
                f"data={data.get('source')} is nothing to fetch: leave data=ccxt; import=PATH takes"
                " candles from files."
            )
        return values
