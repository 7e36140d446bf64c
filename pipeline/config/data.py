"""Where candles come from, and how bad they may be: `conf/data`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.config.market import Timeframe
from pipeline.config.section import Days, Moment, Section, Seed, milliseconds

Share = Annotated[float, Field(ge=0, le=1)] | None
Faults = Annotated[int, Field(ge=0)] | None
Magnitude = Annotated[float, Field(ge=0)] | None

#: What `data=ccxt` fetches when it is told neither `since` nor `until`.
DEFAULT_HISTORY_DAYS = 365


class QualityConfig(Section):
    """Largest faults let through, named as in `pipeline.market_data.quality.report.QualityLimits`.

    Shares of the candles, counts, hours, log price ratios and a ratio of volumes; None lets any
    through. What has a default is newer than configurations that may be stored without it: they
    were never held against it.
    """

    filled_share: Share
    longest_gap_bars: Faults
    largest_gap_jump: Magnitude
    zero_volume_share: Share
    flat_share: Share
    ohlc_violations: Faults
    duplicates: Faults
    out_of_order: Faults
    longest_stale_hours: Magnitude = None
    outliers: Faults = None
    largest_volume_change: Annotated[float, Field(ge=1)] | None = None
    median_disagreement: Magnitude = None
    largest_disagreement: Magnitude = None


class SurrogateConfig(Section):
    """Candles rearranged by ``seed`` so that no edge can be left (validation rules §5)."""

    kind: Literal["permuted", "sign_flipped", "bar_flipped"]
    seed: Seed


class _History(Section):
    """A half-open stretch ``[since, until)`` of history; None leaves an end open.

    ``surrogate`` puts rearranged candles in the place of the real ones.
    """

    since: Moment | None = None
    until: Moment | None = None
    surrogate: SurrogateConfig | None = None

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if since is not None and until is not None and until <= since:
            raise ValueError(f"must be after data.since ({since:%Y-%m-%dT%H:%M}Z)")
        return until

    @property
    def since_ms(self) -> int | None:
        """First moment wanted, milliseconds UTC."""
        return milliseconds(self.since)

    @property
    def until_ms(self) -> int | None:
        """First moment no longer wanted, milliseconds UTC."""
        return milliseconds(self.until)

    @property
    def days(self) -> float | None:
        """Length of the history in days where the configuration alone tells it."""
        if self.since is None or self.until is None:
            return None
        return (self.until - self.since).total_seconds() / 86_400

    @property
    def synthetic(self) -> bool:
        """Whether the candles are other than the market's, so that all that follows must say so."""
        return self.surrogate is not None


class CcxtData(_History):
    """Candles fetched from the exchange and kept in the folder ``store``.

    ``kraken`` says whether Kraken's are asked for as candles, of which it serves its newest 720, or
    built from its trades. Other exchanges take no notice of it. ``resample_from`` is the timeframe
    that is fetched and kept instead of the market's, whose candles are then built from it.
    """

    source: Literal["ccxt"]
    store: str
    quality: QualityConfig
    kraken: Literal["ohlc", "trades"] = "ohlc"
    resample_from: Timeframe | None = None

    @property
    def days(self) -> float | None:
        """Length of the history in days; a year when neither end is given."""
        open_ended = self.since is None and self.until is None
        return float(DEFAULT_HISTORY_DAYS) if open_ended else super().days


class FileData(_History):
    """Candles of a Parquet, CSV or freqtrade feather file, relative to the working directory."""

    source: Literal["file"]
    path: Annotated[str, Field(min_length=1, description="a Parquet, CSV or feather file")]
    quality: QualityConfig


class PlantConfig(Section):
    """An edge laid over synthetic candles.

    Attributes
    ----------
    sharpe : float
        Annualised Sharpe, free of costs, of the planted combination over the whole history.
    parameters : dict of str to float or None
        The planted combination: one value for each parameter of the strategy.
    """

    sharpe: Annotated[float, Field(gt=0)]
    parameters: dict[str, float | None]


class SyntheticData(Section):
    """Invented candles, the same for the same ``seed``; ``annual_volatility`` is a fraction."""

    source: Literal["synthetic"]
    days: Days
    seed: Seed
    annual_volatility: Annotated[float, Field(gt=0, le=10)]
    plant: PlantConfig | None
    quality: QualityConfig

    @property
    def synthetic(self) -> bool:
        """Whether the candles are other than a market's: always."""
        return True


DataConfig = Annotated[CcxtData | FileData | SyntheticData, Field(discriminator="source")]
