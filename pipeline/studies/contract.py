"""Check that a strategy keeps its contract, on random candles: what a test of your own file calls.

Each of `CHECKS` takes a strategy and yields a sentence for each fault; none, when it keeps to it::

    @pytest.mark.parametrize("check", CHECKS)
    def test_it_keeps_the_contract(check):
        assert list(check(STRATEGY)) == []

The candles lie on coarse ticks, so that equal prices, and with them every tie of a rule, happen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpu_engine import (
    METRICS,
    Backend,
    Candles,
    Costs,
    EventTable,
    RiskLimits,
    Window,
    compare_metrics,
)
from pipeline.causality import Examination, settings_of
from pipeline.causality.comparison import first_difference
from pipeline.causality.mirror import swapped, upside_down
from pipeline.search import Evaluator, Space, make_space, single_point
from pipeline.search.backends import cpu_backends
from pipeline.strategies import declaration, tables
from pipeline.strategies.base import Strategy, of_kind
from pipeline.studies.coarse_candles import coarse_candles

BARS = 2_400
COMBINATIONS = 24
TRADED = 240  # combinations that every backend trades
#: Far above any move, so that a fraction of the price is the same on mirrored prices, nearly.
ALTITUDE = 2.0**20
#: Of the level, relative: a few times the spacing of float64.
LEVEL_ROUNDING = 4 * 2.0**-52


def declaration_is_legal(strategy: Strategy) -> Iterator[str]:
    """Check that name, parameters, roles and grids are as `pipeline.strategies.base` asks."""
    yield from declaration.faults(strategy)


def tables_are_in_order(strategy: Strategy, seed: int = 0) -> Iterator[str]:
    """Check columns, types, shapes and order of every table (exits rules §1)."""
    space = _space(strategy)
    builder = strategy.events(_candles(seed), space.loosest())
    for setting in settings_of(space):
        yield from tables.faults(strategy, setting, builder.table(setting), BARS)


def past_is_kept(strategy: Strategy, seed: int = 0) -> Iterator[str]:
    """Check that no row depends on bars after its signal, or on chance (exits rules §1)."""
    space, candles = _space(strategy), _candles(seed)
    examination = Examination(strategy, space.loosest(), settings_of(space), candles)
    yield from (finding.sentence for finding in examination.findings())


def builders_keep_nothing(strategy: Strategy, seed: int = 0) -> Iterator[str]:
    """Check that a table is the same from a fresh builder and from one that has made all."""
    space, candles = _space(strategy), _candles(seed)
    settings, loosest = settings_of(space), space.loosest()
    used = strategy.events(candles, loosest)
    for setting in reversed(settings):
        used.table(setting)
    for setting in settings:
        alone = strategy.events(candles, loosest).table(setting)
        difference = first_difference(alone, used.table(setting), BARS, exact=True)
        if difference is not None:
            yield f"table({_written(setting)}) depends on tables made before: {difference}."


def loosest_changes_no_row(strategy: Strategy, seed: int = 0) -> Iterator[str]:
    """Check that a combination takes the same rows whatever else the search tries."""
    space, candles = _space(strategy), _candles(seed)
    builder = strategy.events(candles, space.loosest())
    for point in _points(space, seed, COMBINATIONS):
        values = space.parameters(point)
        alone = single_point(strategy, values)
        (setting,) = settings_of(alone)
        own = strategy.events(candles, alone.loosest())
        tables = (own.table(setting), builder.table(setting))
        first, second = (_taken(strategy, table, alone) for table in tables)
        difference = first_difference(first, second, BARS, exact=True)
        if difference is not None:
            yield f"{_written(values)} takes other rows with another loosest: {difference}."


def sides_mirror(strategy: Strategy, seed: int = 0) -> Iterator[str]:
    """Check, of a ``mirrored`` class, that mirrored prices give every row on the other side.

    To the last bit, on every tie, with two exceptions. A level may differ by `LEVEL_ROUNDING`: a
    mean of ``C - p`` rounds otherwise than a mean of ``p``. Features may differ a little more: a
    fraction of the price is another on mirrored prices. `mirror_test` answers the same on any
    market: there a fraction of the price has no bound, and a report counts rows. So the two
    compare differently.
    """
    if not getattr(strategy, "mirrored", False):
        return
    low = _candles(seed)
    prices = {name: ALTITUDE + getattr(low, name) for name in ("open", "high", "low", "close")}
    candles = replace(low, **prices)
    mirror = upside_down(candles, 2 * ALTITUDE)
    thresholds = of_kind(strategy, "threshold")
    loosest = _space(strategy).loosest()
    loosest |= {p.name: p.minimum for p in thresholds if p.sense > 0 and p.minimum is not None}
    here, there = strategy.events(candles, loosest), strategy.events(mirror, loosest)
    for setting in settings_of(_space(strategy)):
        table, other = here.table(setting), swapped(there.table(setting), 2 * ALTITUDE)
        features = table.features, other.features
        if np.shape(features[0]) == np.shape(features[1]):
            if not np.allclose(*features, rtol=1e-3, atol=1e-9, equal_nan=True):
                yield f"table({_written(setting)}) has other features on mirrored prices."
            other = replace(other, features=table.features)
        other = _of_near_levels(table, other)
        difference = first_difference(table, other, BARS, exact=True)
        if difference is not None:
            yield f"table({_written(setting)}) is no mirror: {difference}."


def backends_agree(
    strategy: Strategy, seed: int = 0, backends: Sequence[Backend] | None = None
) -> Iterator[str]:
    """Check that every backend gives random combinations the metrics of the first one."""
    space, candles = _space(strategy), _candles(seed)
    points, windows = _points(space, seed, TRADED), (Window(0, BARS), Window(BARS // 3, BARS - 50))
    risk = RiskLimits(max_daily_loss=None, consecutive_losses_limit=None)  # more trades
    expected, *others = [
        Evaluator(candles, space, Costs(), risk, backend).points(points, windows)
        for backend in backends or cpu_backends()
    ]
    for got in others:
        for window, row in np.ndindex(expected.shape):
            one = dict(zip(METRICS.names or (), expected[window, row].tolist(), strict=True))
            for disagreement in compare_metrics(one, got[window, row]):
                yield f"{_written(space.parameters(points[row]))}: backends differ: {disagreement}."


CHECKS: tuple[Callable[[Strategy], Iterator[str]], ...] = (
    declaration_is_legal,
    tables_are_in_order,
    past_is_kept,
    builders_keep_nothing,
    loosest_changes_no_row,
    sides_mirror,
    backends_agree,
)


def _candles(seed: int) -> Candles:
    return coarse_candles(np.random.default_rng(seed), BARS, hunt_share=0.1)


def _space(strategy: Strategy) -> Space:
    """Return the strategy's default grid."""
    return make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=False)


def _points(space: Space, seed: int, size: int) -> Any:
    generator = np.random.default_rng(seed)
    return np.column_stack([d.draw(size, generator) for d in space.dimensions])


def _of_near_levels(table: EventTable, other: EventTable) -> EventTable:
    """Return ``other`` with the levels of ``table`` where the two differ by rounding alone."""
    levels: dict[str, Any] = {}
    for name in ("stop_level", "target_level"):
        a, b = getattr(table, name), getattr(other, name)
        if a is not None and b is not None and a.shape == b.shape:
            levels[name] = np.where(np.isclose(b, a, rtol=LEVEL_ROUNDING, atol=0.0), a, b)
    return replace(other, **levels)


def _written(values: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _taken(strategy: Strategy, table: EventTable, alone: Space) -> EventTable:
    """Return the rows that one combination takes; of the features only those that it asks for."""
    kept = np.ones(len(table), np.bool_)
    features = table.features.copy()
    limits = alone.loosest()
    for k, threshold in enumerate(of_kind(strategy, "threshold")):
        if threshold.name in limits:
            column = threshold.sense * features[:, k]
            kept &= column >= threshold.sense * limits[threshold.name]
        else:
            features[:, k] = 0.0
    return replace(table, features=features).at(kept)
