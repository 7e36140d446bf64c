"""Random markets for the engine: coarse candles, random tables, batches, windows and limits."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gpu_engine import (
    Batch,
    Candles,
    Costs,
    EventTable,
    ExitSettings,
    Funding,
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


def random_market(rng, n_bars, n_tables=2, n_units=6, n_windows=3, row_share=0.4, every_exit=False):
    """Draw everything; the share of bars with a signal is ``row_share`` a table.

    Exits are stops in ATR and targets in stop distances, or with ``every_exit`` of all kinds, with
    levels and exit signals in the tables, maker fees, funding, borrowing and leverage.
    """
    candles = coarse_candles(rng, n_bars, step_ms=int(rng.choice([1, 4, 12])) * 3_600_000)
    tables = [_table(rng, candles, row_share) for _ in range(n_tables)]
    exits, costs = _plain_exits(rng), _costs(rng)
    if every_exit:
        signals = rng.random() < 0.5
        tables = [_with_own_columns(rng, candles, table, signals) for table in tables]
        exits, costs = random_exits(rng), _all_costs(rng, candles, costs)
    return RandomMarket(
        candles,
        Tables(tuple(tables), SENSES),
        exits,
        costs,
        _risk(rng, every_exit),
        _batch(rng, n_tables, n_units, len(exits)),
        tuple(_window(rng, n_bars) for _ in range(n_windows)),
    )


def random_exits(rng, count=None):
    """Draw one to six exit settings, or ``count``, of every kind (exits rules §2)."""
    drawn = [_exit(rng) for _ in range(count or rng.integers(1, 7))]
    names = {name for setting in drawn for name in setting}
    columns = {n: np.array([setting.get(n, np.nan) for setting in drawn]) for n in names}
    if not columns:  # an empty setting has no columns to count
        columns = {"holding_bars": np.full(len(drawn), np.nan)}
    return ExitSettings(**columns)


def only(batch, combination):
    """The batch of one combination of ``batch``."""
    unit, offset = divmod(combination, batch.exits_per_unit)
    first_exit = batch.first_exit[unit : unit + 1] + np.int32(offset)
    return Batch(batch.table[unit : unit + 1], batch.thresholds[unit : unit + 1], first_exit, 1)


def _table(rng, candles, row_share):
    n_bars = len(candles)
    rows = rng.binomial(2 * n_bars, row_share / 2)
    signal = rng.integers(0, n_bars, rows)
    setup = np.maximum(signal - rng.integers(0, 4, rows), 0)
    keys = np.stack([signal, setup, -rng.choice([-1, 1], rows)], axis=1)
    signal, setup, short = np.unique(keys, axis=0).T  # sorted as rows are, each once
    rows, side = len(signal), -short
    features = rng.integers(0, 4, (rows, len(SENSES))).astype(np.float64)
    features[rng.random(features.shape) < 0.03] = np.nan
    return EventTable(
        setup_bar=setup.astype(np.int32),
        signal_bar=signal.astype(np.int32),
        side=side.astype(np.int8),
        atr=TICK * rng.choice([0, 2, 3, 4, 8], rows, p=[0.02, 0.28, 0.2, 0.25, 0.25]),
        features=features,
    )


def _with_own_columns(rng, candles, table, signals):
    """The same rows with levels, and with exit signals where ``signals`` says so."""
    close = candles.close[table.signal_bar]
    bars = _exit_signals(rng, table.signal_bar, len(candles))
    return replace(
        table,
        stop_level=_levels(rng, close, -table.side),
        target_level=_levels(rng, close, table.side),
        exit_signal_bar=bars if signals else None,
    )


def _levels(rng, close, direction):
    """Prices some ticks beyond the close, some on its wrong side, some NaN."""
    levels = close + direction * TICK * rng.integers(-2, 9, len(close))
    return np.where(rng.random(len(close)) < 0.05, np.nan, levels)


def _exit_signals(rng, signal, n_bars):
    bar = signal + rng.integers(1, 20, len(signal))
    never = (bar >= n_bars) | (rng.random(len(signal)) < 0.3)
    return np.where(never, -1, bar).astype(np.int32)


def _plain_exits(rng):
    pairs = [(s, m) for s in (0.5, 1.0, 2.0) for m in (1.0, 1.5, 4.0)]
    stop, target = np.array(pairs)[rng.permutation(len(pairs))[: rng.integers(1, 7)]].T.copy()
    return ExitSettings(stop_distance=stop, target_multiple=target)


def _exit(rng):
    """One setting by name: a stop or none, a target or none, and what else may be there."""
    stops = {"stop_distance": (0.5, 1.0, 2.0), "stop_fraction": (0.005, 0.01, 0.02)}
    stops |= {"stop_offset": (0.0, 0.5, 1.0)}
    targets = {"target_distance": (0.5, 1.0, 3.0), "target_fraction": (0.005, 0.02)}
    targets |= {"target_reach": (0.5, 1.0, 1.5)}
    setting = _one_of(rng, stops, 0.8)
    if setting:
        targets["target_multiple"] = (1.0, 1.5, 4.0)
    setting |= _one_of(rng, targets, 0.7)
    if setting.keys() & stops.keys() and rng.random() < 0.4:
        setting["break_even_trigger"] = float(rng.choice([0.5, 1.0, 2.0]))
    if rng.random() < 0.4:
        setting["trail_activation"] = float(rng.choice([0.0, 0.5, 1.0, 2.0]))
        setting["trail_distance"] = float(rng.choice([0.5, 1.0, 2.0]))
    if rng.random() < 0.3:
        setting["holding_bars"] = float(rng.choice([1, 2, 5, 20]))
    return setting


def _one_of(rng, choices, share):
    """One parameter of some and its value, or none of them."""
    if rng.random() >= share:
        return {}
    name = str(rng.choice(list(choices)))
    return {name: float(rng.choice(choices[name]))}


def _costs(rng):
    return Costs(float(rng.choice([0.0, 0.001])), float(rng.choice([0.0, 0.0005, 0.004, 0.02])))


def _all_costs(rng, candles, costs):
    """The same costs with a maker fee, funding or borrowing, both or neither."""
    maker, funding = None, None
    if rng.random() < 0.4:
        step, hours = candles.step_ms, rng.integers(1, 12)
        first, last = int(candles.timestamp[0]) - step, int(candles.timestamp[-1]) + step
        times = np.arange(first, last, hours * 3_600_000) + int(rng.choice([0, 1]))
        funding = Funding(times, rng.choice([-1e-4, 0.0, 1e-4, 1e-2], len(times)))
    if rng.random() < 0.5:
        maker = float(rng.choice([-0.0002, 0.0, 0.0005]))
    borrow = float(rng.choice([0.0002, 0.01])) if rng.random() < 0.5 else None
    return replace(costs, maker_fee=maker, funding=funding, borrow_rate=borrow)


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


def _risk(rng, leveraged):
    def maybe(*values):
        return None if rng.random() < 0.4 else values[rng.integers(len(values))]

    leverage = maybe(1.0, 10.0, 50.0, 100.0) if leveraged else None
    fractions = [1.0, 0.5, 20.0] if leverage is None else [0.02, 0.1, 1.0]
    return RiskLimits(
        position_fraction=float(rng.choice(fractions, p=[0.4, 0.4, 0.2])),  # the last: ruin
        max_daily_loss=maybe(0.005, 0.01, 0.02),
        consecutive_losses_limit=maybe(1, 2, 5),
        max_holding_bars=maybe(1, 3, 8),
        direction=str(rng.choice(["both", "both", "long", "short"])),
        leverage=leverage,
        maintenance_rate=float(rng.choice([0.0, 0.005])),
    )
