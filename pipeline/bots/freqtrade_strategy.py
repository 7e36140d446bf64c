"""Trade one configuration in freqtrade: what an exported strategy file extends.

It decides by the same event table and levels as the backtest that trained the configuration
(`pipeline.bots.entries`); freqtrade sends the orders. Where freqtrade's own rules differ, and what
that means, stands in docs/freqtrade.md.

This module needs freqtrade, which the rest of the program does not.
"""

from __future__ import annotations

import logging
from datetime import datetime
from math import isinf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from freqtrade.configuration import TimeRange
from freqtrade.enums import RunMode
from freqtrade.exceptions import OperationalException
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy, stoploss_from_absolute

from gpu_engine import Candles
from pipeline.bots.breakers import blocked_day
from pipeline.bots.entries import Position, Signals
from pipeline.bots.freqtrade_trades import KnownTrades
from pipeline.bots.plan import Plan
from pipeline.bots.terms import aim, candles_of
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.training.provenance import engine_hash_of

log = logging.getLogger(__name__)


class ConfigurationStrategy(IStrategy):
    """The strategy of one exported configuration; a subclass names its plan."""

    #: File of the plan; a subclass sets it.
    plan_file: ClassVar[Path]

    INTERFACE_VERSION = 3
    minimal_roi: ClassVar = {"0": 1_000_000.0}  # never: `custom_roi` sets the target
    stoploss = -0.99  # the last resort: `custom_stoploss` sets the stop
    use_custom_stoploss = True
    use_custom_roi = True
    trailing_stop = False
    use_exit_signal = True
    exit_profit_only = False
    ignore_roi_if_entry_signal = False
    position_adjustment_enable = False
    process_only_new_candles = True
    ignore_buying_expired_candle_after = 60  # seconds: an entry is at the open, or not at all
    order_types: dict[str, Any] = {  # noqa: RUF012, as freqtrade declares it
        "entry": "market",
        "exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": False,
    }

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.plan = Plan.from_json(self.plan_file.read_text("utf-8"))
        self._check_program()
        self._step = timeframe_ms(self.plan.timeframe)
        self._risk, self._costs = self.plan.limits(), self.plan.record_of_costs()
        self._live = config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
        self._known = KnownTrades(self._costs, self._step, live=self._live)
        if not self._live:  # an exit at the close of a bar needs a price of its own
            self.order_types = self.order_types | {"exit": "limit"}
        if self.plan.size == 0.0:
            log.warning(
                "%s is in %s: its size is 0, and nothing is entered.",
                self.plan.configuration_id,
                self.plan.stage,
            )

    def _check_program(self) -> None:
        """Refuse to trade with other code than that which wrote the file."""
        own = self.plan.strategy
        if engine_hash_of(own["name"], own.get("text")) != self.plan.engine_hash:
            raise OperationalException(
                f"{self.plan_file.name} was written by another version of sweep-trainer than the"
                " one that is installed here. Export the configuration again with this one."
            )

    # Signals

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """Leave the candles as they are: the event table computes its own indicators."""
        return dataframe

    def populate_entry_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """Mark the bars at whose close a signal stands that the next open takes."""
        side = np.zeros(len(dataframe), np.int8)
        if metadata["pair"] == self.plan.pair and len(dataframe):
            candles = candles_of(dataframe, self._step, self._payments())
            signals = Signals(self.plan, candles, self._start(candles))
            self._known.look_at(candles, signals)
            side = signals.side if self.plan.size else side
        dataframe["enter_long"] = (side > 0).astype(int)
        dataframe["enter_short"] = (side < 0).astype(int)
        dataframe["enter_tag"] = np.where(side != 0, self.plan.configuration_id[-6:], "")
        return dataframe

    def _payments(self) -> Any:
        """Return the funding of a backtest, as freqtrade keeps it; None on spot and live."""
        if self._live or ":" not in self.plan.pair:
            return None
        return self.dp.get_pair_dataframe(self.plan.pair, "1h", candle_type="funding_rate")

    def populate_exit_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """Mark nothing: an exit belongs to its entry (`custom_exit`)."""
        dataframe["exit_long"], dataframe["exit_short"] = 0, 0
        return dataframe

    def _start(self, candles: Candles) -> int:
        """Return the first bar that a signal may depend on (fills rules §8): a backtest's start."""
        if self._live:
            return 0
        given = TimeRange.parse_timerange(self.config.get("timerange"))
        start = int(given.startts) * 1000 if given.starttype == "date" else 0
        bar = int(np.searchsorted(candles.timestamp, start))
        return max(bar, int(self.startup_candle_count))

    # Entries

    def confirm_trade_entry(
        self, pair: str, order_type: str, amount: float, rate: float, time_in_force: str,
        current_time: datetime, entry_tag: str | None, side: str, **kwargs: Any,
    ) -> bool:  # fmt: skip
        """Enter unless the rules leave the signal out (fills rules §6.3, §9)."""
        bar_time = self._known.bar_time(current_time)
        bar = self._known.bar(bar_time)
        if (
            self._known.signals is None
            or self._known.candles is None
            or bar is None
            or self.plan.size == 0.0
        ):
            return False
        if bar < len(self._known.candles) and self._known.candles.filled[bar]:
            return False
        closed = self._known.closed(self._mine(pair))
        if closed and closed[-1].exit_bar >= bar_time:
            return False
        if bar_time // 86_400_000 <= blocked_day(self._risk, closed):
            return False
        return (
            self._known.signals.at(bar, _sign(side), self._opening(rate, _sign(side))) is not None
        )

    def custom_stake_amount(
        self, pair: str, current_time: datetime, current_rate: float, proposed_stake: float,
        min_stake: float | None, max_stake: float, leverage: float, entry_tag: str | None,
        side: str, **kwargs: Any,
    ) -> float:  # fmt: skip
        """Return the stage's share of what freqtrade may trade (``tradable_balance_ratio``)."""
        tradable = self.wallets.get_total_stake_amount() if self.wallets else 0.0
        return min(self.plan.size * self._risk.position_fraction * tradable, max_stake)

    def leverage(
        self, pair: str, current_time: datetime, current_rate: float, proposed_leverage: float,
        max_leverage: float, entry_tag: str | None, side: str, **kwargs: Any,
    ) -> float:  # fmt: skip
        """Return the leverage that was trained with; 1 without one."""
        return self._risk.leverage or 1.0

    def order_filled(
        self, pair: str, trade: Any, order: Any, current_time: datetime, **kwargs: Any
    ) -> None:
        """Set the levels of a position when its entry fills (fills rules §6.4)."""
        if order.ft_order_side != trade.entry_side or self._known.signals is None:
            return
        bar = self._known.bar(self._known.bar_time(trade.open_date_utc))
        side = -1 if trade.is_short else 1
        opening = self._opening(trade.open_rate, side)
        position = None if bar is None else self._known.signals.at(bar, side, opening)
        if position is None:  # the fill is beyond the levels: nothing is left to wait for
            log.warning("%s: the entry was filled beyond its levels; it is closed.", pair)
            return
        self._known.keep(trade, position)

    # Exits

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Move stops before a backtest looks at a candle: freqtrade asks for them only after.

        Where a candle reaches the old stop, `custom_stoploss` is not even called.
        """
        if self._live:
            return
        for trade in Trade.get_trades_proxy(is_open=True):
            level = self._new_stop(trade, current_time)
            if level is not None:
                # Twice the level and half of it, or half and twice: no rounding on the way.
                price, ratio = (level / 2, 1.0) if trade.is_short else (level * 2, 0.5)
                trade.adjust_stop_loss(price, ratio * trade.leverage)

    def custom_stoploss(
        self, pair: str, trade: Any, current_time: datetime, current_rate: float,
        current_profit: float, after_fill: bool, **kwargs: Any,
    ) -> float | None:  # fmt: skip
        """Return the stop in force (exits rules §4), relative to the price; None where it stays."""
        level = self._new_stop(trade, current_time, after_fill)
        if level is None:
            return None
        return float(stoploss_from_absolute(level, current_rate, trade.is_short, trade.leverage))

    def custom_roi(
        self, pair: str, trade: Any, current_time: datetime, trade_duration: int,
        entry_tag: str | None, side: str, **kwargs: Any,
    ) -> float | None:  # fmt: skip
        """Return the profit at the target; None without one, and where a stop counts as first."""
        position = self._known.position(trade)
        if position is None or isinf(position.target) or self._known.is_filled(current_time):
            return None
        if not self._live and self._reaches(trade, current_time, trade.stop_loss, adverse=True):
            return None  # exits rules §5.9
        return float(trade.calc_profit_ratio(self._target(trade, position)))

    def custom_exit(
        self, pair: str, trade: Any, current_time: datetime, current_rate: float,
        current_profit: float, **kwargs: Any,
    ) -> str | None:  # fmt: skip
        """Leave at an open, by a signal or by the clock (exits rules §5.1 to §5.3, §5.6)."""
        position = self._known.position(trade)
        if position is None:  # filled beyond its levels; another strategy's is not touched
            return "no_levels" if self._is_mine(trade) else None
        now = self._known.bar_time(current_time)
        if now > position.opened and not self._known.is_filled(current_time):
            if not self._live:
                opening = position.side * current_rate
                if opening <= position.stop_in_force(self._known.best(position, now)):
                    return "stop_gap"
                if opening >= position.target:
                    return "target_gap"
            left = self._known.left(trade, position)
            if left is not None and now > left:
                return "signal"
        return "time" if self._ends(trade, position, current_time) else None

    def custom_exit_price(
        self, pair: str, trade: Any, current_time: datetime, proposed_rate: float,
        current_profit: float, exit_tag: str | None, **kwargs: Any,
    ) -> float:  # fmt: skip
        """Return the price of an exit that is not at the open; only a backtest asks."""
        position, bar = (
            self._known.position(trade),
            self._known.bar(self._known.bar_time(current_time)),
        )
        if exit_tag == "time" and self._known.candles is not None and bar is not None:
            return float(self._known.candles.close[bar])
        if exit_tag == "target_gap" and position is not None:
            return abs(position.target)
        return proposed_rate

    def _ends(self, trade: Any, position: Position, current_time: datetime) -> bool:
        """Say whether the clock closes a position now (exits rules §5.6).

        A backtest leaves at the close of the last bar, unless that bar reaches a level before.
        """
        limits = (self._holding_bars, self._risk.max_holding_bars)
        bars = min((limit for limit in limits if limit is not None), default=None)
        if bars is None:
            return False
        end = position.opened + int(bars) * self._step
        if self._live:
            return current_time.timestamp() * 1000 >= end
        if self._known.bar_time(current_time) < end - self._step:
            return False
        if self._known.is_filled(current_time):
            return True
        target = self._target(trade, position)
        return not (
            self._reaches(trade, current_time, trade.stop_loss, adverse=True)
            or self._reaches(trade, current_time, target, adverse=False)
        )

    @property
    def _holding_bars(self) -> float | None:
        parameters = {p.exit: p.name for p in self.plan.load().parameters if p.kind == "exit"}
        name = parameters.get("holding_bars")
        return None if name is None else self.plan.parameters[name]

    def _new_stop(
        self, trade: Any, current_time: datetime, after_fill: bool = False
    ) -> float | None:
        """Return the stop that freqtrade is to set now; None where what it has stays."""
        position = self._known.position(trade)
        if position is None or (self._known.is_filled(current_time) and not after_fill):
            return None
        best = (
            None if after_fill else self._known.best(position, self._known.bar_time(current_time))
        )
        signed = position.stop_in_force(best)
        if isinf(signed):
            return None
        level = aim(trade, position.side * signed, up=trade.is_short)
        if not after_fill and position.side * (level - trade.stop_loss) <= 0.0:
            return None
        return level

    def _target(self, trade: Any, position: Position) -> float:
        """Return the price just before the first tick at which the target is reached."""
        return aim(trade, position.side * position.target, up=not trade.is_short)

    def _reaches(self, trade: Any, current_time: datetime, price: float, *, adverse: bool) -> bool:
        """Say whether the candle of a backtest reaches a price, on the side of losses or gains."""
        bar = self._known.bar(self._known.bar_time(current_time))
        assert self._known.candles is not None, "a trade is open"
        assert bar is not None, "a trade is open"
        if adverse == bool(trade.is_short):
            return bool(self._known.candles.high[bar] >= price)
        return bool(self._known.candles.low[bar] <= price)

    def _mine(self, pair: str) -> list[Any]:
        """Return the closed trades of this strategy; a live bot's database may hold others'."""
        return [t for t in Trade.get_trades_proxy(pair=pair, is_open=False) if self._is_mine(t)]

    def _is_mine(self, trade: Any) -> bool:
        return not self._live or trade.strategy == self.get_strategy_name()

    def _opening(self, rate: float, side: int) -> float:
        """Return the open whose fill, slippage included, is ``rate``; a backtest fills the open."""
        return float(rate) / (1.0 + side * self._costs.slippage) if self._live else rate


def _sign(side: str) -> int:
    return -1 if side == "short" else 1
