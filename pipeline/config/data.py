"""Define what is traded, where its candles come from, and how bad they may be."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from pipeline.config.history import ALL, DEFAULT_FUNDING_RATE, EARLIEST, FundingRate, History
from pipeline.config.run import CostsConfig
from pipeline.config.section import (
    Cost,
    CostOrRebate,
    Count,
    Days,
    List,
    Section,
    Seed,
    Setting,
    is_none,
    milliseconds,
    moment,
)

#: All divide a UTC day.
Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]

#: ``data.proxy``: without a proxy, whatever the environment says.
NO_PROXY = "direct"
_PROXY = re.compile(
    r"(https?|socks(4a?|5h?))://([^\s/?#]+@)?([^\s/?#@:\[\]]+|\[[0-9a-f:.]+\]):(\d{1,5})/?",
    re.IGNORECASE,
)


def is_proxy(address: str) -> bool:
    """Tell whether an address is one of a proxy: its kind, a host and a port."""
    match = _PROXY.fullmatch(address)
    return match is not None and 0 < int(match[5]) < 65_536


#: A few exchanges put a small k in front of an asset's name, for a thousand of it.
Asset = Annotated[str, Field(pattern=r"^k?[A-Z0-9]+$")]


class ExchangeConfig(Section):
    """An exchange's fees and limits."""

    name: str = Field(description="the first part of a market's id")
    ccxt_id: str | None = Field(description="its name in ccxt; null: nothing to fetch from")
    fee_rate: Cost = Field(description="fraction of the notional, each way")
    slippage: Cost = Field(description="fraction of the notional, of market orders")
    maker_fee: CostOrRebate | None = Field(
        default=None,
        exclude_if=is_none,
        description="of orders that wait in the book; negative: a rebate; null: fee_rate",
    )
    history_candles: Count | None = Field(description="newest candles that it serves; null: all")
    #: Of a market in one word: which of its costs nobody states.
    assumed: List[Literal["fee_rate", "slippage"]] | None = Field(None, exclude_if=is_none)


class MarketConfig(Section):
    """A pair on an exchange in one timeframe. ``synthetic`` marks invented candles for good."""

    base: Asset = Field(description="the asset that is bought and sold")
    quote: Asset = Field(description="the asset that it is paid with")
    settle: Asset | None = Field(
        default=None,
        exclude_if=is_none,
        description="the asset that a perpetual contract is settled in; null: spot",
    )
    timeframe: Timeframe = Field(description="length of a candle")
    exchange: ExchangeConfig = Field(description="where it is traded, at which fees")
    synthetic: bool = False

    @field_validator("settle")
    @classmethod
    def _linear(cls, settle: str | None, info: ValidationInfo) -> str | None:
        quote = info.data.get("quote")
        if settle is not None and quote is not None and settle != quote:
            raise ValueError(
                f"must be the quote ({quote}), as of a linear contract: an inverse one, settled in"
                " another asset, gains and loses by other rules than this program's"
                " (exits rules §6)"
            )
        return settle

    @property
    def perpetual(self) -> bool:
        """Whether it is a perpetual contract, which pays and receives funding."""
        return self.settle is not None

    @property
    def pair(self) -> str:
        """``BTC/USDT`` on spot, ``BTC/USDT:USDT`` of a perpetual contract: ccxt's symbol."""
        return f"{self.base}/{self.quote}" + (f":{self.settle}" if self.settle else "")

    @property
    def ccxt_id(self) -> str:
        """Name of its exchange in ccxt; only of a market whose candles are fetched."""
        assert self.exchange.ccxt_id is not None, "refused by the configuration"
        return self.exchange.ccxt_id

    @property
    def stored_id(self) -> str:
        """The name of the market in the store of candles, by its exchange's name in ccxt."""
        return f"{self.ccxt_id}:{self.pair}:{self.timeframe}"

    @property
    def id(self) -> str:
        """``binance:BTC/USDT:5m``, the name of the market everywhere."""
        return f"{self.exchange.name}:{self.pair}:{self.timeframe}"


Share = Annotated[float, Field(ge=0, le=1)] | None
Faults = Annotated[int, Field(ge=0)] | None
Magnitude = Annotated[float, Field(ge=0)] | None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(
            "must be a time zone such as Europe/Berlin, America/New_York or UTC"
        ) from error
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]

#: What `data=ccxt` fetches when it is told neither `since` nor `history`.
DEFAULT_HISTORY_DAYS = 365


class QualityConfig(Section):
    """Largest faults let through, named as in `pipeline.market_data.quality.report.QualityLimits`.

    None lets any through. What has a default is newer than configurations that may be stored
    without it: they were never held against it.
    """

    filled_share: Share = Field(description="of all candles")
    longest_gap_bars: Faults = Field(description="candles that are missing in a row")
    largest_gap_jump: Magnitude = Field(description="|log(open after a gap / close before it)|")
    zero_volume_share: Share = Field(description="of all candles")
    flat_share: Share = Field(description="candles whose high is their low, of all")
    ohlc_violations: Faults = Field(description="candles whose prices contradict each other")
    duplicates: Faults = Field(description="repaired without loss; null: any number")
    out_of_order: Faults = Field(description="likewise")
    longest_stale_hours: Magnitude = Field(None, description="candles that bring no new price")
    outliers: Faults = Field(
        None, description="prices over 30 daily deviations from the bars around them"
    )
    largest_volume_change: Annotated[float, Field(ge=1)] | None = Field(
        None, description="weekly level over the one before, or its inverse"
    )
    median_disagreement: Magnitude = Field(
        None, description="|log(close / close at another exchange)|, where both are stored"
    )
    largest_disagreement: Magnitude = Field(None, description="likewise, of one candle")


class PlantConfig(Section):
    """An edge laid over candles without one, along the signals of one combination.

    The candles depend on nothing but these values and the strategy: with ``costs`` the Sharpe ratio
    is net of them, and circuit breakers act at their defaults (fills rules §9), whatever the run's
    own are.
    """

    sharpe: float = Field(gt=0, description="annual, of the planted combination")
    nearest: bool = Field(
        default=False, description="true: where sharpe is out of reach, the nearest that is not"
    )
    costs: CostsConfig | None = Field(
        None, description="what sharpe is net of: {fee_rate: .., slippage: ..}; null: free of costs"
    )
    parameters: dict[str, Setting] = Field(
        default_factory=dict,
        description="the planted combination; what is left out is the strategy's example",
    )


class Network(NamedTuple):
    """The way to an exchange: a proxy, and a file of authorities; None: what the environment says.

    The proxy may be `NO_PROXY`.
    """

    proxy: str | None = None
    ca: str | None = None


class CcxtData(History):
    """Candles fetched from the exchange and kept in the folder ``store``.

    Kraken serves its newest 720 candles, or all its trades, from which candles are built. With
    ``resample_from`` that timeframe is fetched and kept, and the market's candles are built of it.
    """

    default_days: ClassVar[int | None] = DEFAULT_HISTORY_DAYS

    source: Literal["ccxt"] = Field(description="From the market's exchange, each fetched once.")
    store: str = Field(description="folder of fetched candles")
    quality: QualityConfig = Field(description="largest faults let through; null: any")
    kraken: Literal["ohlc", "trades"] = Field(
        "ohlc", description="ohlc: the newest 720 candles; trades: all, slowly"
    )
    archive: Literal["auto", "never", "only"] = Field(
        "auto",
        exclude_if=lambda use: use == "auto",
        description="monthly files of the exchange; auto: if they help",
    )
    resample_from: Timeframe | None = Field(None, description="of finer candles")
    proxy: str | None = Field(
        None,
        repr=False,
        description="http://HOST:PORT, socks5h://...; direct: none; null: HTTPS_PROXY",
    )
    ca: str | None = Field(
        None, description="PEM file of trusted authorities; null: SSL_CERT_FILE or the usual ones"
    )

    @field_validator("proxy")
    @classmethod
    def _is_address(cls, proxy: str | None) -> str | None:
        if proxy not in (None, NO_PROXY) and not is_proxy(proxy):
            raise ValueError(
                "must be an address such as http://HOST:PORT or socks5h://USER:PASSWORD@HOST:PORT,"
                f" or {NO_PROXY}; signs such as @ and / in a password are written %40 and %2F"
            )
        return proxy

    @model_validator(mode="after")
    def _of_the_past(self) -> Self:
        """Refuse days of which no exchange can have a candle, before one is asked."""
        now = datetime.now(UTC)
        begins = self.starts(self.until or now)
        if begins is not None and begins >= now:
            raise ValueError(
                f"begins {begins:%Y-%m-%dT%H:%M}Z, and it is {now:%Y-%m-%dT%H:%M}Z: of the future"
                " there are no candles. Choose an earlier since or until"
            )
        if self.until is not None and self.until <= EARLIEST:
            raise ValueError(
                f"ends {self.until:%Y-%m-%d}, and no exchange has candles from before"
                f" {EARLIEST:%Y-%m-%d}. Choose a later until"
            )
        return self

    def objections(self) -> Iterator[str]:
        """Yield that the history ends in the future: it would be shorter than what is asked for."""
        now = datetime.now(UTC)
        if self.until is not None and self.until > now:
            yield (
                f"data ends {self.until:%Y-%m-%dT%H:%M}Z, and it is {now:%Y-%m-%dT%H:%M}Z: of the"
                f" future there are no candles. Choose an until of {now:%Y-%m-%d} or earlier"
                " (the first day no longer wanted)."
            )

    @property
    def network(self) -> Network:
        """The way to the exchange."""
        return Network(self.proxy, self.ca)

    @property
    def days(self) -> float | None:
        """Length of the history in days; None where it is open, or reaches as far as there is."""
        if self.since is not None or self.history == ALL:
            return super().days
        end = self.until or datetime.now(UTC)
        start = self.starts(end)
        assert start is not None, "an exchange's history has a default"
        return (end - start).total_seconds() / 86_400

    def span_ms(self, now_ms: int) -> tuple[int, int]:
        """Return the half-open span to fetch at ``now_ms``, milliseconds UTC; by default a year."""
        start = milliseconds(self.starts(self.until or moment(now_ms)))
        assert start is not None, "an exchange's history has a default"
        return start, now_ms if self.until_ms is None else self.until_ms


class FileData(History):
    """Candles of a file; its path is relative to the working directory."""

    source: Literal["file"] = Field(description="From a file, a zip or a folder of candles.")
    path: str = Field(min_length=1, description="a file, zip or folder of candles")
    quality: QualityConfig = Field(description="largest faults let through; null: any")
    funding: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        exclude_if=is_none,
        description="of a perpetual: a file, zip or folder of funding rates; null: none",
    )
    plant: PlantConfig | None = Field(None, description="an edge over a surrogate; null: none")
    timezone: Zone | None = Field(
        None, description="of dates without an offset, such as Europe/Berlin; null: UTC"
    )
    decimal: Literal["point", "comma"] | None = Field(
        None, description="the decimal mark of numbers; null: the numbers tell"
    )

    @field_validator("plant")
    @classmethod
    def _over_a_surrogate(cls, plant: PlantConfig | None, info: ValidationInfo) -> Any:
        if plant is not None and info.data.get("surrogate") is None:
            raise ValueError(
                "needs data.surrogate, such as {kind: bootstrapped, seed: 0}: an edge is laid over"
                " candles that have none, not over the market's own"
            )
        return plant


class SyntheticData(Section):
    """Generated candles, the same for the same ``seed``."""

    source: Literal["synthetic"] = Field(description="Generated; data=planted lays an edge over.")
    days: Days = Field(description="length of the history")
    seed: Seed = Field(description="of the candles alone")
    model: Literal["clock", "garch_t"] = Field(
        "clock", description="clock: habits of a crypto market; garch_t: GARCH(1,1), Student t"
    )
    annual_volatility: float = Field(gt=0, le=10, description="deviation of a year's log return")
    plant: PlantConfig | None = Field(description="the edge of data=planted; null: none")
    funding_rate: FundingRate = DEFAULT_FUNDING_RATE
    quality: QualityConfig = Field(description="largest faults let through; null: any")

    @property
    def synthetic(self) -> bool:
        """Whether the candles are other than a market's: always."""
        return True


DataConfig = Annotated[CcxtData | FileData | SyntheticData, Field(discriminator="source")]
