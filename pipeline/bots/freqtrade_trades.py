"""Remember what belongs to freqtrade's trades: their levels, and what they made by our rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import numpy as np

from gpu_engine import Candles, Costs, Float
from pipeline.bots.breakers import ClosedTrade
from pipeline.bots.entries import Position, Signals
from pipeline.bots.terms import tick_of

#: Under this name freqtrade keeps the levels of an open trade.
KEPT = "position"
#: Exits at a target, which pay the maker fee and no slippage (exits rules §6.1).
AT_TARGET = ("roi", "target_gap")


class KnownTrades:
    """What is known of the trades of one pair; `look_at` says on which candles.

    Parameters
    ----------
    costs : Costs
        Those that the configuration was trained with.
    step_ms : int
        Length of a candle, milliseconds.
    live : bool
        Whether fills are real or of a dry run; a backtest fills at the prices of its candles.
    """

    def __init__(self, costs: Costs, step_ms: int, *, live: bool) -> None:
        self._costs, self._step, self._live = costs, step_ms, live
        self.candles: Candles | None = None
        self.signals: Signals | None = None
        self._funding_sums: Float | None = None
        self._positions: dict[int, Position] = {}
        self._ended: dict[int, ClosedTrade] = {}

    def look_at(self, candles: Candles, signals: Signals) -> None:
        """Take newer candles; a backtest is a run of its own, whose trades are counted anew."""
        self.candles, self.signals = candles, signals
        funding = candles.funding
        self._funding_sums = None if funding is None else funding.sums(candles)
        if not self._live:
            self._positions.clear()
            self._ended.clear()

    def position(self, trade: Any) -> Position | None:
        """Return the levels of a trade, also after a restart."""
        if trade.id not in self._positions:
            kept = trade.get_custom_data(KEPT)
            if kept is None:
                return None
            self._positions[trade.id] = Position(**kept)
        return self._positions[trade.id]

    def keep(self, trade: Any, position: Position) -> None:
        """Keep the levels of a trade, here and in freqtrade's database."""
        self._positions[trade.id] = position
        trade.set_custom_data(KEPT, asdict(position))

    def left(self, trade: Any, position: Position) -> int | None:
        """Return the bar at whose close the strategy wanted out; once known, it is kept."""
        left = None if self.signals is None else self.signals.left(position)
        if left is not None and left != position.left:
            self.keep(trade, replace(position, left=left))
        return left

    def best(self, position: Position, now: int) -> float | None:
        """Return the best signed price since the entry of closed candles before ``now``."""
        if self.candles is None:
            return None
        time = self.candles.timestamp
        start, end = np.searchsorted(time, (position.opened, now))
        prices = self.candles.high if position.side > 0 else self.candles.low
        held = position.side * prices[start:end]
        return float(held.max()) if len(held) else None

    def closed(self, trades: Iterable[Any]) -> list[ClosedTrade]:
        """Return what closed trades of freqtrade's made, in the order in which they ended."""
        ended = []
        for trade in trades:
            if trade.id not in self._ended:
                self._ended[trade.id] = self._as_closed(trade)
            ended.append(self._ended[trade.id])
        return sorted(ended, key=lambda trade: trade.exit_bar)

    def _as_closed(self, trade: Any) -> ClosedTrade:
        """Return what a closed trade made by exits rules §6; a live one by its own fills."""
        side, at_target = -1 if trade.is_short else 1, trade.exit_reason in AT_TARGET
        slippage = 0.0 if self._live else self._costs.slippage
        entry = trade.open_rate * (1.0 + side * slippage)
        exit_price = self._level(trade) * (1.0 - side * (0.0 if at_target else slippage))
        fee = self._costs.target_fee if at_target else self._costs.fee_rate
        ret = side * (exit_price - entry) / entry
        ret -= self._costs.fee_rate + fee * exit_price / entry
        ret -= self._funding(trade, side)
        late = self._live and trade.exit_reason == "time"  # just after the close it is meant for
        return ClosedTrade(self.bar_time(trade.close_date_utc) - late * self._step, float(ret))

    def _funding(self, trade: Any, side: int) -> float:
        """Return what a trade paid of its notional: of a backtest by exits rules §6.3."""
        if self._live or self._funding_sums is None:
            return -float(trade.funding_fees or 0.0) / float(trade.amount * trade.open_rate)
        moments = trade.open_date_utc, trade.close_date_utc
        opened, closed = (self._funding_sums[self.bar(self.bar_time(m)) or 0] for m in moments)
        return float(side * (closed - opened))

    def _level(self, trade: Any) -> float:
        """Return the price of an exit; of a backtest's the level itself, which it has rounded."""
        rate, position, tick = float(trade.close_rate), self.position(trade), tick_of(trade)
        if self._live or position is None or tick is None:
            return rate
        if trade.exit_reason == "target_gap":  # beyond the candle: freqtrade fills inside
            return abs(position.target)
        best = self.best(position, self.bar_time(trade.close_date_utc))
        levels = {"roi": position.target, "stop_loss": position.stop_in_force(best)}
        levels["trailing_stop_loss"] = levels["stop_loss"]
        level = abs(levels.get(trade.exit_reason, rate))
        return level if abs(level - rate) < tick else rate

    def bar_time(self, moment: datetime) -> int:
        """Return the open of the candle that a moment is in, milliseconds since the epoch."""
        return int(moment.timestamp() * 1000) // self._step * self._step

    def bar(self, bar_time: int) -> int | None:
        """Return the bar that opens at a time; the one after the last counts."""
        if self.candles is None:
            return None
        bar = (bar_time - int(self.candles.timestamp[0])) // self._step
        return bar if 0 < bar <= len(self.candles) else None

    def is_filled(self, current_time: datetime) -> bool:
        """Say whether nothing is traded in the candle of a backtest (exits rules §5.8)."""
        bar = None if self._live else self.bar(self.bar_time(current_time))
        return bar is not None and self.candles is not None and bool(self.candles.filled[bar])
