"""Choose the bars after which a strategy is cut off from its future.

A leak shows at a cut when a row next to the cut depends on what was behind it. So cuts lie just
behind signals, and behind signals of every kind: both sides, every structural value, the extremes
of candles and features, where a rare leak would hide; the rest is drawn. The number of cuts depends
on the history alone, never on a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import Bool, Candles, EventTable, Float, Int64

#: Where the whole tables are cut, as a share of the history, each at the most used signal nearby.
SHARES = (1 / 3, 2 / 3, 1.0)


@dataclass(frozen=True, eq=False)
class Signals:
    """All rows of all tables of a market, and the settings they are of.

    ``bar``, ``side`` and ``table`` are of shape (m,): a row's signal bar, its side and the index
    of its table. ``settings`` are the structural settings, one a table.
    """

    candles: Candles
    settings: Sequence[Mapping[str, float]]
    tables: Sequence[EventTable]

    @cached_property
    def bar(self) -> Int64:
        """Signal bars."""
        return _joined([t.signal_bar for t in self.tables])

    @cached_property
    def side(self) -> Int64:
        """+1 or -1."""
        return _joined([t.side for t in self.tables])

    @cached_property
    def table(self) -> Int64:
        """Which table a row is of."""
        return np.repeat(np.arange(len(self.tables)), [len(t) for t in self.tables])

    @cached_property
    def exit(self) -> Int64:
        """Bars at whose close a row's exit signal comes, -1 for never."""
        never = (np.full(len(t), -1) for t in self.tables)
        columns = (t.exit_signal_bar for t in self.tables)
        return _joined([n if c is None else c for c, n in zip(columns, never, strict=True)])

    @cached_property
    def bars(self) -> Int64:
        """Bars that are a signal bar of any table, ascending; the last bar of all is left out."""
        used = np.flatnonzero(self.count)
        return used[used < len(self.candles) - 1]

    @cached_property
    def count(self) -> Int64:
        """How many rows each bar has, int64 of shape (n,)."""
        return np.bincount(self.bar, minlength=len(self.candles))

    def at(self, bar: int) -> Int64:
        """Tables with a row that has its signal, or its exit signal, at a bar."""
        return np.unique(self.table[(self.bar == bar) | (self.exit == bar)])


def whole_cuts(signals: Signals, shares: Sequence[float] = SHARES) -> list[int]:
    """Return the cuts of the whole tables, ascending: each is the bar after a much used signal."""
    n = len(signals.candles)
    cuts = set()
    for share in shares:
        target, reach = share * (n - 1), n / 20
        near = signals.bars[np.abs(signals.bars - target) <= reach]
        if len(near):
            cuts.add(int(near[np.argmax(signals.count[near])]) + 1)
        elif share < 1:
            cuts.add(max(1, int(target)))
        elif len(signals.bars):
            cuts.add(int(signals.bars[-1]) + 1)
    return sorted(cuts)


def near_signals(signals: Signals, most: int, seed: int) -> list[int]:
    """Return up to ``most`` bars to look at one by one, in the order of their use."""
    if not len(signals.bars):
        return []
    generator = np.random.default_rng(seed)
    chosen: dict[int, None] = {}
    last = len(signals.candles) - 1
    for bar in itertools.chain(
        _much_used(signals),
        _of_every_value(signals, generator),
        _exits(signals, generator),
        _extremes(signals),
    ):
        if 0 < bar < last:
            chosen[bar] = None
    # A quarter is drawn whatever the rest holds: a leak need not be where anybody looks, and what
    # it hides is a signal that is not there.
    keep = list(chosen)[: most - most // 4]
    drawn = generator.permutation(signals.bars)[:most].tolist()
    anywhere = generator.integers(1, last, most // 16).tolist()
    return list(dict.fromkeys([*keep, *anywhere, *drawn]))[:most]


def _much_used(signals: Signals) -> Iterator[int]:
    for side in (+1, -1):
        used = np.bincount(signals.bar[signals.side == side], minlength=len(signals.candles))
        if used.any():
            yield int(np.argmax(used[:-1]))


def _of_every_value(signals: Signals, generator: np.random.Generator) -> Iterator[int]:
    """Yield a signal of each side at each structural value that the ones before do not have."""
    covered: set[tuple[str, float, int]] = set()

    def cover(bar: int) -> None:
        rows = np.flatnonzero(signals.bar == bar)
        for row in rows.tolist():
            setting = signals.settings[int(signals.table[row])]
            covered.update((name, v, int(signals.side[row])) for name, v in setting.items())

    for bar in _much_used(signals):
        cover(bar)
    for index, setting in enumerate(signals.settings):
        table = signals.tables[index]
        for side in (+1, -1):
            if all((name, v, side) in covered for name, v in setting.items()):
                continue
            bars = table.signal_bar[table.side == side]
            bars = bars[bars < len(signals.candles) - 1]
            if len(bars):
                bar = int(generator.choice(bars))
                cover(bar)
                yield bar


def _extremes(signals: Signals) -> Iterator[int]:
    """Signals where candles or features are largest and smallest."""
    candles, bars = signals.candles, signals.bars
    for column in (*_of_candles(candles, bars), *_of_features(signals)):
        where, values = column
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            yield int(where[known[np.argmax(values[known])]])
            yield int(where[known[np.argmin(values[known])]])
    beside = _beside_filled(candles.filled)[bars]
    if beside.any():
        yield int(bars[np.argmax(beside)])
    if len(bars):
        yield int(bars[0])
        yield int(bars[-1])


def _of_candles(candles: Candles, bars: Int64) -> Iterator[tuple[Int64, Float]]:
    before, close = candles.close[np.maximum(bars - 1, 0)], candles.close[bars]
    yield bars, candles.volume[bars]
    yield bars, close / before
    yield bars, (candles.high[bars] - candles.low[bars]) / close
    yield bars, candles.close[bars + 1] / close
    yield bars, candles.volume[bars + 1]


def _of_features(signals: Signals) -> Iterator[tuple[Int64, Float]]:
    table = max(signals.tables, key=len)
    inside = table.signal_bar < len(signals.candles) - 1
    bars = table.signal_bar[inside].astype(np.int64)
    close = signals.candles.close[bars]
    columns = [*table.features[inside].T, table.atr[inside] / close]
    for level in (table.stop_level, table.target_level):
        if level is not None:
            columns.append(level[inside] / close)
    yield from ((bars, column) for column in columns)


def _beside_filled(filled: Bool) -> Bool:
    """Bars before or after a filled one."""
    beside = filled.copy()
    beside[:-1] |= filled[1:]
    beside[1:] |= filled[:-1]
    return beside


def _exits(signals: Signals, generator: np.random.Generator) -> Iterator[int]:
    """Bars that give an exit signal."""
    columns = [t.exit_signal_bar for t in signals.tables if t.exit_signal_bar is not None]
    if columns:
        bars = np.unique(np.concatenate(columns))
        bars = bars[bars > 0]
        yield from generator.permutation(bars)[:4].tolist()


def _joined(columns: Sequence[NDArray[Any]]) -> Int64:
    return np.concatenate(columns).astype(np.int64) if columns else np.zeros(0, np.int64)
