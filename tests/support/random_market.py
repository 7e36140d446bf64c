"""Random markets for the engine: coarse candles, random tables, batches, windows and limits."""

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
from support.coarse import TICK, coarse_candles

SENSES = (+1, -1)


class RandomMarket(NamedTuple):
    candles: Candles
    tables: Tables
    exits: ExitSettings
    costs: Costs
    risk: RiskLimits
    batch: Batch
    windows: tuple[Window, ...]

    def load(self, backend):
        """The market on a backend, or on the one of that name."""
        chosen = named(backend) if isinstance(backend, str) else backend
        return engine.load(self.candles, self.tables, self.exits, self.costs, self.risk, chosen)


def random_market(rng, n_bars, n_tables=2, n_units=6, n_windows=3, row_share=0.4):
    """Draw everything; the share of bars with a signal is ``row_share`` a table."""
    exits = _exits(rng)
    return RandomMarket(
        coarse_candles(rng, n_bars, step_ms=int(rng.choice([1, 4, 12])) * 3_600_000),
        Tables(tuple(_table(rng, n_bars, row_share) for _ in range(n_tables)), SENSES),
        exits,
        Costs(float(rng.choice([0.0, 0.001])), float(rng.choice([0.0, 0.0005, 0.004]))),
        _risk(rng),
        _batch(rng, n_tables, n_units, len(exits)),
        tuple(_window(rng, n_bars) for _ in range(n_windows)),
    )


def only(batch, combination):
    """The batch of one combination of ``batch``."""
    unit, offset = divmod(combination, batch.exits_per_unit)
    first_exit = batch.first_exit[unit : unit + 1] + np.int32(offset)
    return Batch(batch.table[unit : unit + 1], batch.thresholds[unit : unit + 1], first_exit, 1)


def _table(rng, n_bars, row_share):
    rows = rng.binomial(2 * n_bars, row_share / 2)
    signal = rng.integers(0, n_bars, rows)
    sweep = np.maximum(signal - rng.integers(0, 4, rows), 0)
    side = rng.choice([-1, 1], rows)
    order = np.lexsort((-side, sweep, signal))
    features = rng.integers(0, 4, (rows, len(SENSES))).astype(np.float64)
    features[rng.random(features.shape) < 0.03] = np.nan
    return EventTable(
        setup_bar=sweep[order].astype(np.int32),
        signal_bar=signal[order].astype(np.int32),
        side=side[order].astype(np.int8),
        atr=TICK * rng.choice([0, 2, 3, 4, 8], rows, p=[0.02, 0.28, 0.2, 0.25, 0.25]),
        features=features,
    )


def _exits(rng):
    pairs = [(s, m) for s in (0.5, 1.0, 2.0) for m in (1.0, 1.5, 4.0)]
    stop, target = np.array(pairs)[rng.permutation(len(pairs))[: rng.integers(1, 7)]].T.copy()
    return ExitSettings(stop_distance=stop, target_multiple=target)


def _batch(rng, n_tables, n_units, n_exits):
    exits_per_unit = int(rng.integers(1, n_exits + 1))
    off = -np.inf * np.array(SENSES)
    thresholds = rng.integers(0, 5, (n_units, len(SENSES))) - 0.5 * rng.integers(0, 2)
    thresholds = np.where(rng.random(thresholds.shape) < 0.4, off, thresholds)
    return Batch(
        rng.integers(0, n_tables, n_units).astype(np.int32),
        thresholds,
        rng.integers(0, n_exits - exits_per_unit + 1, n_units).astype(np.int32),
        exits_per_unit,
    )


def _window(rng, n_bars):
    start, end = sorted(rng.choice(n_bars + 1, 2, replace=False).tolist())
    return Window(start, end) if rng.random() < 0.8 else Window(0, n_bars)


def _risk(rng):
    def maybe(*values):
        return None if rng.random() < 0.4 else values[rng.integers(len(values))]

    return RiskLimits(
        position_fraction=float(rng.choice([1.0, 0.5, 20.0], p=[0.5, 0.4, 0.1])),  # 20: ruin
        max_daily_loss=maybe(0.005, 0.01, 0.02),
        consecutive_losses_limit=maybe(1, 2, 5),
        max_holding_bars=maybe(1, 3, 8),
        direction=str(rng.choice(["both", "both", "long", "short"])),
    )
