"""Candles and signals written out by hand, and one combination traded through them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gpu_engine import (
    Batch,
    Candles,
    Costs,
    EventTable,
    ExitSettings,
    RiskLimits,
    Tables,
    Window,
    engine,
)
from support.backends import named

MIDNIGHT = 1_704_067_200_000  # 2024-01-01 00:00 UTC
HOUR = 3_600_000

FREE = Costs(fee_rate=0.0, slippage=0.0)
NO_BREAKERS = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None)


class Signal(NamedTuple):
    """A row of an event table; the setup bar is the signal bar unless given."""

    signal_bar: int
    side: int = +1
    atr: float = 2.0
    setup_bar: int | None = None
    features: tuple[float, ...] = ()
    stop_level: float | None = None
    target_level: float | None = None
    exit_signal_bar: int | None = None


class Result(NamedTuple):
    """What the engine answers for one combination in one window."""

    trades: np.ndarray
    metrics: np.void
    daily_returns: np.ndarray


def make_candles(bars, filled=(), step_ms=HOUR, start=MIDNIGHT):
    """Candles of rows (open, high, low, close), one a ``step_ms``; ``filled`` names bars."""
    opening, high, low, close = np.array(bars, np.float64).reshape(-1, 4).T.copy()
    index = np.arange(len(close))
    is_filled = np.isin(index, filled)
    volume = np.where(is_filled, 0.0, 1.0)
    return Candles(start + step_ms * index, opening, high, low, close, volume, is_filled, step_ms)


def make_table(signals):
    """An event table of ``signals``, in the order given; a column that none has is left out."""

    def optional(name, missing, dtype):
        values = [getattr(signal, name) for signal in signals]
        if all(value is None for value in values):
            return None
        return np.array([missing if value is None else value for value in values], dtype)

    sweeps = [s.signal_bar if s.setup_bar is None else s.setup_bar for s in signals]
    features = np.array([s.features for s in signals], np.float64)
    return EventTable(
        setup_bar=np.array(sweeps, np.int32),
        signal_bar=np.array([s.signal_bar for s in signals], np.int32),
        side=np.array([s.side for s in signals], np.int8),
        atr=np.array([s.atr for s in signals], np.float64),
        features=features.reshape(len(signals), -1 if len(signals) else 0),
        stop_level=optional("stop_level", np.nan, np.float64),
        target_level=optional("target_level", np.nan, np.float64),
        exit_signal_bar=optional("exit_signal_bar", -1, np.int32),
    )


@dataclass(frozen=True)
class Backtest:
    """One combination; the stop is 2 and the target 3 away from an entry of ATR 2.

    ``setting`` is another exit setting by name.
    """

    candles: Candles
    signals: tuple[Signal, ...]
    costs: Costs = FREE
    risk: RiskLimits = NO_BREAKERS
    window: Window | None = None
    stop_distance: float = 1.0
    target_multiple: float = 1.5
    setting: dict[str, float] | None = None
    thresholds: tuple[float, ...] = ()
    senses: tuple[int, ...] = ()

    def run(self, backend: str) -> Result:
        market = engine.load(
            self.candles,
            Tables((make_table(self.signals),), self.senses),
            self._exits(),
            self.costs,
            self.risk,
            named(backend),
        )
        thresholds = np.array(self.thresholds, np.float64).reshape(1, -1)
        batch = Batch(np.zeros(1, np.int32), thresholds, np.zeros(1, np.int32), 1)
        window = self.window or Window(0, len(self.candles))
        return Result(
            engine.trades(market, batch, window),
            engine.evaluate(market, batch, [window])[0, 0],
            engine.daily_returns(market, batch, window)[0],
        )

    def _exits(self) -> ExitSettings:
        setting = self.setting
        if setting is None:
            plain = (self.stop_distance, self.target_multiple)
            setting = dict(zip(("stop_distance", "target_multiple"), plain, strict=True))
        return ExitSettings(**{name: np.array([value]) for name, value in setting.items()})
