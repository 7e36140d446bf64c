"""Every way out on a random market: settings of all kinds, levels, signals, fees and funding."""

from dataclasses import replace

import numpy as np

from gpu_engine import Costs, ExitSettings, Funding, Tables
from support.coarse import TICK


def with_every_exit(rng, drawn, n_settings=None):
    """Give a `RandomMarket` other exits (as many, unless told), tables with levels, and costs."""
    exits = random_exits(rng, n_settings or len(drawn.exits))
    tables = tuple(_with_levels(rng, drawn.candles, table) for table in drawn.tables.tables)
    costs = Costs(
        drawn.costs.fee_rate,
        drawn.costs.slippage,
        maker_fee=rng.choice([None, 0.0, -0.0002, 0.0004]),
        funding=_funding(rng, drawn.candles) if rng.random() < 0.5 else None,
    )
    return drawn._replace(exits=exits, tables=Tables(tables, drawn.tables.senses), costs=costs)


def random_exits(rng, count):
    """Draw settings: a stop of any kind or none, a target likewise, what moves a stop, a limit."""
    settings = [_setting(rng) for _ in range(count)]
    names = sorted(set().union(*settings))
    columns = {n: np.array([s.get(n, np.nan) for s in settings]) for n in names}
    return ExitSettings(**columns) if columns else ExitSettings(holding_bars=np.full(count, np.nan))


def _setting(rng):
    def some(share, **values):
        return {n: float(rng.choice(v)) for n, v in values.items()} if rng.random() < share else {}

    stops = (
        {},
        {"stop_distance": [0.5, 1, 2]},
        {"stop_fraction": [0.01, 0.03]},
        {"stop_offset": [0, 0.5]},
    )
    targets = (
        {},
        {"target_distance": [1, 2]},
        {"target_fraction": [0.01, 0.03]},
        {"target_reach": [0.5, 1, 1.5]},
        {"target_multiple": [1, 1.5, 4]},
    )
    stop = some(1, **stops[rng.integers(4)])
    target = some(1, **targets[rng.integers(5 if stop else 4)])
    moved = some(0.3 if stop else 0, break_even_trigger=[0.5, 1])
    moved |= some(0.4, trail_activation=[0, 1], trail_distance=[0.5, 1.5])
    return stop | target | moved | some(0.3, holding_bars=[1, 4, 9])


def _with_levels(rng, candles, table):
    """Levels about where price is, some on the wrong side or missing; signals, some never."""
    rows = len(table)
    price = candles.close[table.signal_bar]

    def level(side):
        away = TICK * rng.integers(-1, 9, rows)
        return np.where(rng.random(rows) < 0.05, np.nan, price + side * table.side * away)

    wait = rng.geometric(0.2, rows)
    out = np.where(rng.random(rows) < 0.4, -1, table.signal_bar + wait).astype(np.int32)
    out[out >= len(candles)] = -1
    return replace(table, stop_level=level(-1), target_level=level(+1), exit_signal_bar=out)


def _funding(rng, candles):
    first, last = int(candles.timestamp[0]), int(candles.timestamp[-1])
    count = int(rng.integers(0, 60))
    times = np.sort(rng.integers(first - 1, last + candles.step_ms + 1, count))
    times[: count // 2] = candles.timestamp[rng.integers(0, len(candles), count // 2)]  # on a bar
    return Funding(np.sort(times), 0.001 * rng.standard_normal(count))
