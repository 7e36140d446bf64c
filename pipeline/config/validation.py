"""Define how a search is tested: unseen days and luck (validation rules §1, §4).

A command refuses windows that hold too few bars to search and to test on, and says which would do.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.config.catalogue import read
from pipeline.config.data import CcxtData, DataConfig, MarketConfig, SyntheticData
from pipeline.config.section import Days, Section

#: Surrogates of each kind where nothing else is asked for (validation rules §5.6).
SURROGATES = 99

#: A combination must trade ``min_trades`` times to win. Of the built-in strategies even those that
#: trade most take about so many bars to a trade. More than ten trades are a wish, not a need.
BARS_A_TRADE, MOST_TRADES = 20, 10
#: A trade that is open at the end of a test is closed there, so a test must be longer than trades.
LEAST_TEST = 24
#: Bars of the default windows in the coarsest candles of `conf/market`, 4h: these do.
GOOD_TRAIN, GOOD_TEST = 540, 180

_MINUTES = {"m": 1, "h": 60, "d": 1440}


class LuckTests(Section):
    """How much of the evidence against luck is gathered (validation rules §3 to §5).

    ``evidence=deciding`` leaves the stage of the configuration as it is; what is only reported is
    missing. At least 20 surrogates: the smallest p of 19 is 0.05, which passes no gate. Without a
    count there are 99; a sweep asks for as many as its correction needs (validation rules §5.6).
    """

    evidence: Literal["full", "deciding"] = Field(
        description="against luck; deciding: only what can change the stage"
    )
    resamples: int = Field(ge=99, le=100_000, description="of the reality check over all scores")
    surrogate_count: Annotated[int, Field(ge=20, le=1_000_000)] | None = Field(
        description="searches of candles without an edge, of each kind, at most; null: 99"
    )
    memory_gb: float = Field(gt=0, description="for daily returns that are held at a time")

    @property
    def most_surrogates(self) -> int:
        """Searches of candles without an edge, of each kind, at most."""
        return SURROGATES if self.surrogate_count is None else self.surrogate_count


class MovingWindows(LuckTests):
    """Search, skip ``gap`` days, test on ``test``; move on by ``step``; repeat.

    The methods differ in how many days before a gap a search sees (validation rules §1.2).
    """

    train: Days = Field(description="days of the first search; of rolling, of each")
    gap: int = Field(ge=0, description="days between search and test")
    test: Days = Field(description="days to test on; of a split at least")
    step: Days | None = Field(description="days to the next window; null: as long as test")

    @field_validator("step")
    @classmethod
    def _no_overlap(cls, step: int | None, info: ValidationInfo) -> int | None:
        test = info.data.get("test")
        if step is not None and test is not None and step < test:
            raise ValueError(f"must be at least validation.test ({test}): tests must not overlap")
        return step

    @abstractmethod
    def train_days(self, days: int) -> int:
        """Days that a search sees, of the ``days`` that lie before its gap."""

    @property
    def stride(self) -> int:
        """Days from one window to the next."""
        return self.test if self.step is None else self.step

    def complaint(self, days: float) -> str | None:
        """Say why ``days`` of history are too few, if they are: two windows must fit."""
        span = self.train + self.gap + self.test
        needed = span + self.stride
        if days >= needed:
            return None
        advice = (
            "Ask for more history, shorten validation.train or use validation=train_test_split."
            if _split_would_do(days)
            else "Ask for more history or shorten validation.train and validation.test."
        )
        return (
            f"validation needs {needed} days for two windows (train {self.train} + gap {self.gap}"
            f" + test {self.test} + step {self.stride}), the history has {days:g}. {advice}"
        )


class WalkForward(MovingWindows):
    """Search all days before a gap, at most the last ``max_train``: a search learns as it goes."""

    method: Literal["walk_forward"] = Field(
        description="Search all days before a gap; test once on days not seen; move on; repeat."
        " max_train bounds the days that a search sees. What counts is all the test days together."
    )
    max_train: Days | None = Field(description="days that a search sees at most; null: all")

    @field_validator("max_train")
    @classmethod
    def _first_window_fits(cls, most: int | None, info: ValidationInfo) -> int | None:
        train = info.data.get("train")
        if most is not None and train is not None and most < train:
            raise ValueError(
                f"must be at least validation.train ({train}), the days of the first search;"
                " validation.max_train=null sets no limit"
            )
        return most

    def train_days(self, days: int) -> int:
        """All of the ``days`` before a gap, at most ``max_train``."""
        return days if self.max_train is None else min(days, self.max_train)


class Rolling(MovingWindows):
    """Search the last ``train`` days before a gap: what is older is forgotten."""

    method: Literal["rolling"] = Field(
        description="The same, but search only the last train days before the gap."
        " For an edge that soon fades: 90 days are few to choose on."
    )

    def train_days(self, days: int) -> int:
        """Of the ``days`` before a gap the last ``train``, however many there are."""
        return min(days, self.train)


class TrainTestSplit(LuckTests):
    """Search on the first ``ratio`` of the days, skip ``gap`` days, test on the rest."""

    method: Literal["train_test_split"] = Field(
        description="One search on the first part of the history, tested once on the rest. Quick,"
        " and one period's luck decides more."
    )
    ratio: float = Field(gt=0, lt=1, description="share of the days to search")
    gap: int = Field(ge=0, description="days between search and test")
    test: Days = Field(description="days to test on; of a split at least")

    def train_days(self, days: int) -> int:
        """Whole days to train on, of ``days`` of history."""
        return int(Fraction(str(self.ratio)) * days)  # 0.7 of 90 is 63, in floats 62.99...

    def complaint(self, days: float) -> str | None:
        """Say why ``days`` of history are too few, if they are."""
        left = int(days) - self.train_days(int(days)) - self.gap
        if self.train_days(int(days)) < 1:
            return (
                f"validation.ratio={self.ratio:g} leaves no day of {days:g} to train on: raise it"
                " or ask for more history."
            )
        if left >= self.test:
            return None
        return (
            f"validation leaves {max(left, 0)} of {days:g} days to test on (ratio {self.ratio:g},"
            f" gap {self.gap}), at least {self.test} are needed. Ask for more history or lower"
            " validation.ratio, validation.gap or validation.test."
        )


def _split_would_do(days: float) -> bool:
    """Whether `conf/validation/train_test_split.yaml` as it stands takes ``days`` of history."""
    choice = TrainTestSplit.model_validate(read("validation", "train_test_split"))
    return choice.complaint(days) is None


ValidationConfig = Annotated[WalkForward | Rolling | TrainTestSplit, Field(discriminator="method")]


def bars_a_day(timeframe: str) -> int:
    """Return the bars of a UTC day."""
    return 1440 // (int(timeframe[:-1]) * _MINUTES[timeframe[-1]])


def too_few_bars(
    validation: MovingWindows | TrainTestSplit,
    market: MarketConfig,
    data: DataConfig,
    min_trades: int,
) -> str | None:
    """Say why windows hold too few bars, and the words that make them long enough.

    Windows fit the history wanted where the configuration tells its days; where it may be longer,
    windows as good as those in 4h candles are named with the history that they take.
    """
    timeframe, days = market.timeframe, _days(market, data)
    per_day, least = bars_a_day(timeframe), BARS_A_TRADE * _trades(min_trades)
    if isinstance(validation, MovingWindows):
        train: int | None = validation.train
    else:
        train = None if days is None else validation.train_days(int(days))
    test = validation.test
    if (train is None or train * per_day >= least) and test * per_day >= LEAST_TEST:
        return None
    faults = []
    if train is not None and train * per_day < least:
        moving = isinstance(validation, MovingWindows)
        whose = f"validation.train={train} is" if moving else f"{train} days to train on are"
        faults.append(
            f"{whose} {train * per_day} bars of {timeframe}, and a search needs {least}"
            f" ({BARS_A_TRADE} for each of {_trades(min_trades)} trades)"
        )
    if test * per_day < LEAST_TEST:
        faults.append(
            f"validation.test={test} is {test * per_day} bars of {timeframe}, and a test needs"
            f" {LEAST_TEST}"
        )
    ways = list(_ways(validation, market, data, min_trades))
    advice = f"Write {', or '.join(ways)}" if ways else "Take a finer market.timeframe"
    return f"{'; '.join(faults)}. {advice}."


def _trades(min_trades: int) -> int:
    return min(max(min_trades, 1), MOST_TRADES)


def _ways(
    validation: MovingWindows | TrainTestSplit,
    market: MarketConfig,
    data: DataConfig,
    min_trades: int,
) -> Iterator[str]:
    """Yield the words to type, the best first."""
    days, per_day = _days(market, data), bars_a_day(market.timeframe)
    least = BARS_A_TRADE * _trades(min_trades)
    good = math.ceil(max(GOOD_TRAIN, least) / per_day), math.ceil(GOOD_TEST / per_day)
    enough = (math.ceil(least / per_day), max(validation.test, math.ceil(LEAST_TEST / per_day)))
    if days is None or _needed(validation, *good) <= days:
        yield _words(validation, *good)
        return
    longer = _longer(market, data, _needed(validation, *good))
    if longer:
        yield f"{_words(validation, *good)} {longer}".strip()
    if _needed(validation, *enough) <= days and (words := _words(validation, *enough)):
        yield words + (f" within these {days:.0f} days" if longer else "")


def _needed(validation: MovingWindows | TrainTestSplit, train: int, test: int) -> int:
    """Return the days that such windows take: two of those that move."""
    if isinstance(validation, TrainTestSplit):
        ratio = validation.ratio
        return max(math.ceil(train / ratio), math.ceil((validation.gap + test) / (1 - ratio))) + 1
    step = test if validation.step is None else max(validation.step, test)
    return train + validation.gap + test + step


def _words(validation: MovingWindows | TrainTestSplit, train: int, test: int) -> str:
    words = [] if test == validation.test else [f"validation.test={test}"]
    if isinstance(validation, MovingWindows):
        words.insert(0, f"validation.train={train}")
        if validation.step is not None and validation.step < test:
            words.append("validation.step=null")
        most = getattr(validation, "max_train", None)
        if most is not None and most < train:
            words.append("validation.max_train=null")
    return " ".join(words)


def _served(market: MarketConfig, data: DataConfig) -> float:
    """Return the days that an exchange serves."""
    served = market.exchange.history_candles
    if not isinstance(data, CcxtData) or served is None or data.kraken == "trades":
        return math.inf
    return served / bars_a_day(data.resample_from or market.timeframe)


def _days(market: MarketConfig, data: DataConfig) -> float | None:
    """Return the days of history that there can be; None where only the candles tell."""
    if isinstance(data, SyntheticData):
        return data.days
    return None if data.days is None else min(data.days, _served(market, data))


def _longer(market: MarketConfig, data: DataConfig, days: int) -> str:
    """Return the word that asks for so many days, where it is the length alone that is asked."""
    if isinstance(data, SyntheticData):
        return f"data.days={days}"
    if data.since is not None or not isinstance(data, CcxtData) or days > _served(market, data):
        return ""
    return f"data.history={math.ceil(days / 365)}y"
