"""What an exported strategy sees of freqtrade, and its backtest of one pair, in a few lines.

The order of the steps and the prices are those of freqtrade 2026.9: `Backtesting.backtest_loop`,
`IStrategy.should_exit`, `LocalTrade.adjust_stop_loss`. tests/bots/test_freqtrade_agreement.py runs
the real one.
"""

import importlib.util
import math
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pandas as pd


class RunMode(Enum):
    """How freqtrade runs."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    BACKTEST = "backtest"


class OperationalException(Exception):  # noqa: N818, as freqtrade calls it
    """A mistake that stops freqtrade."""


class TimeRange:
    """Seconds from a date on, or from the beginning."""

    @staticmethod
    def parse_timerange(text):
        if not text:
            return SimpleNamespace(starttype=None, startts=0)
        return SimpleNamespace(starttype="date", startts=int(text.split("-")[0]))


class IStrategy:
    """Holds the settings."""

    def __init__(self, config):
        self.config, self.wallets, self.dp = config, None, None

    def get_strategy_name(self):
        return type(self).__name__


class Trade:
    """A trade on a market with a tick."""

    everyone: ClassVar = []
    price_precision, precision_mode_price, leverage, amount = 0.01, 4, 1.0, 1.0
    entry_side, strategy = "entry", None

    def __init__(self, number, side, opened, rate, fee):
        self.id, self.is_short, self.open_date_utc, self.open_rate = number, side < 0, opened, rate
        self.fee, self.stop_loss, self.is_stop_loss_trailing = fee, None, False
        self.close_date_utc = self.close_rate = self.exit_reason = None
        self.funding_fees, self.kept = 0.0, {}

    @classmethod
    def get_trades_proxy(cls, pair=None, is_open=None):
        return [t for t in cls.everyone if (t.close_date_utc is None) == is_open]

    def set_custom_data(self, key, value):
        self.kept[key] = value

    def get_custom_data(self, key):
        return self.kept.get(key)

    def calc_profit_ratio(self, rate):
        side = -1 if self.is_short else 1
        opened, closed = self.open_rate * (1 + side * self.fee), rate * (1 - side * self.fee)
        return round(side * (closed / opened - 1) if side > 0 else 1 - closed / opened, 8)

    def close_rate_for(self, ratio):
        side = -1 if self.is_short else 1
        opened = self.open_rate * (1 + side * self.fee)
        return opened * (1 + side * ratio) / (1 - side * self.fee)

    def adjust_stop_loss(self, price, ratio, allow_refresh=False):
        raw = price * (1 + abs(ratio)) if self.is_short else price * (1 - abs(ratio))
        ticks = raw / self.price_precision
        level = (math.floor(ticks) if self.is_short else math.ceil(ticks)) * self.price_precision
        level = round(level, 8)
        better = self.stop_loss is None or (
            level < self.stop_loss if self.is_short else level > self.stop_loss
        )
        if better or allow_refresh:
            self.is_stop_loss_trailing |= self.stop_loss is not None and not allow_refresh
            self.stop_loss = level


def stoploss_from_absolute(stop_rate, current_rate, is_short=False, leverage=1.0):
    """The stop relative to a price, as freqtrade asks for it."""
    ratio = 1 - stop_rate / current_rate
    return max(-ratio if is_short else ratio, 0.0) * leverage


@contextmanager
def stand_in():
    """Make ``import freqtrade`` find this."""
    names = {
        "freqtrade": {},
        "freqtrade.configuration": {"TimeRange": TimeRange},
        "freqtrade.enums": {"RunMode": RunMode},
        "freqtrade.exceptions": {"OperationalException": OperationalException},
        "freqtrade.persistence": {"Trade": Trade},
        "freqtrade.strategy": {
            "IStrategy": IStrategy,
            "stoploss_from_absolute": stoploss_from_absolute,
        },
    }
    ours = "pipeline.bots.freqtrade_strategy"
    before = {name: sys.modules.pop(name, None) for name in (*names, ours)}
    for name, values in names.items():
        module = ModuleType(name)
        vars(module).update(values)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def load_strategy_file(path, config):
    """Run an exported file and return its strategy, as freqtrade's resolver does."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, path.stem)(config)


def frame_of(candles):
    """Candles as freqtrade hands them over: missing ones are filled, and not marked."""
    columns = {n: getattr(candles, n) for n in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"date": pd.to_datetime(candles.timestamp, unit="ms", utc=True), **columns})


def payments_of(candles):
    """What the contract paid, as freqtrade keeps it; None where nothing is known."""
    if candles.funding is None:
        return None
    times = pd.to_datetime(candles.funding.timestamp, unit="ms", utc=True)
    return pd.DataFrame({"date": times, "funding_rate": candles.funding.rate})


def backtest(strategy, pair, candles, start):
    """Trade a pair from bar ``start`` on; trades, oldest first."""
    Trade.everyone = []
    strategy.wallets = SimpleNamespace(get_total_stake_amount=lambda: 1000.0)
    strategy.dp = SimpleNamespace(get_pair_dataframe=lambda *_, **__: payments_of(candles))
    frame = frame_of(candles)
    frame["enter_tag"] = ""
    frame = strategy.populate_exit_trend(
        strategy.populate_entry_trend(frame, {"pair": pair}), {"pair": pair}
    )
    long, short = frame["enter_long"].to_numpy() == 1, frame["enter_short"].to_numpy() == 1
    fee, last = 0.001, len(candles) - 1
    for bar in range(start + 1, len(candles)):
        time = datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC)
        strategy.bot_loop_start(current_time=time)
        direction = int(long[bar - 1]) - int(short[bar - 1])
        if not strategy.can_short:
            direction = max(direction, 0)
        for _ in (0, 1):
            before = Trade.get_trades_proxy(is_open=True)
            if direction and not before and bar != last:
                _enter(strategy, pair, candles, bar, time, direction, fee)
            for trade in Trade.get_trades_proxy(is_open=True):
                _leave(strategy, pair, candles, bar, time, trade)
            closed = before and not Trade.get_trades_proxy(is_open=True)
            if not (closed and direction and (direction < 0) != before[0].is_short):
                break
    for trade in Trade.get_trades_proxy(is_open=True):
        _close(trade, time, float(candles.open[last]), "force_exit")
    return Trade.everyone


def _enter(strategy, pair, candles, bar, time, direction, fee):
    rate, side = float(candles.open[bar]), "short" if direction < 0 else "long"
    stake = strategy.custom_stake_amount(pair, time, rate, 1000.0, 5.0, 1000.0, 1.0, None, side)
    if not stake:
        return
    if not strategy.confirm_trade_entry(
        pair, "market", stake / rate, rate, "GTC", time, None, side
    ):
        return
    trade = Trade(len(Trade.everyone) + 1, direction, time, rate, fee)
    trade.adjust_stop_loss(rate, strategy.stoploss)
    Trade.everyone.append(trade)
    strategy.order_filled(pair, trade, SimpleNamespace(ft_order_side="entry"), time)
    _ask_for_stop(strategy, pair, trade, time, rate, after_fill=True)


def _ask_for_stop(strategy, pair, trade, time, rate, *, after_fill):
    ratio = strategy.custom_stoploss(
        pair, trade, time, rate, trade.calc_profit_ratio(rate), after_fill
    )
    if ratio:
        trade.adjust_stop_loss(rate, ratio, allow_refresh=after_fill)


def _leave(strategy, pair, candles, bar, time, trade):
    side = -1 if trade.is_short else 1
    opening = float(candles.open[bar])
    low, high = float(candles.low[bar]), float(candles.high[bar])
    adverse, favourable = (low, high) if side > 0 else (high, low)
    if side * trade.stop_loss < side * adverse:
        _ask_for_stop(strategy, pair, trade, time, favourable, after_fill=False)
    stopped = side * trade.stop_loss >= side * adverse
    lasted = int((time - trade.open_date_utc) / timedelta(minutes=1))
    word = "short" if side < 0 else "long"
    ratio = strategy.custom_roi(pair, trade, time, lasted, None, word)
    reached = ratio is not None and trade.calc_profit_ratio(favourable) > ratio
    reason = strategy.custom_exit(pair, trade, time, opening, 0.0)
    if reason:
        rate = strategy.custom_exit_price(pair, trade, time, opening, 0.0, reason)
        _close(trade, time, min(rate, high) if side < 0 else max(rate, low), reason)
    elif stopped and not (trade.is_stop_loss_trailing and reached):
        beyond = trade.stop_loss < low if side < 0 else trade.stop_loss > high
        reason = "trailing_stop_loss" if trade.is_stop_loss_trailing else "stop_loss"
        _close(trade, time, opening if beyond else trade.stop_loss, reason)
    elif reached:
        _close(trade, time, min(max(trade.close_rate_for(ratio), low), high), "roi")


def _close(trade, time, rate, reason):
    tick = trade.price_precision
    trade.close_rate, trade.exit_reason = round(round(rate / tick) * tick, 8), reason
    trade.close_date_utc = time
