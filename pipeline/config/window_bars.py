"""Say whether windows hold enough bars to search and to test on, and which windows would."""

import math
from collections.abc import Iterator

from pipeline.config.data import CcxtData, DataConfig, MarketConfig, SyntheticData
from pipeline.config.validation import MovingWindows, TrainTestSplit

#: A combination must trade ``min_trades`` times to win. Of the built-in strategies even those that
#: trade most take about so many bars to a trade. More than ten trades are a wish, not a need.
BARS_A_TRADE, MOST_TRADES = 20, 10
#: A trade that is open at the end of a test is closed there, so a test must be longer than trades.
LEAST_TEST = 24
#: Bars of the default windows in the coarsest candles of `conf/market`, 4h: these do.
GOOD_TRAIN, GOOD_TEST = 540, 180

_MINUTES = {"m": 1, "h": 60, "d": 1440}


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
