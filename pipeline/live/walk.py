"""Walk a trader's series candle by candle: what is decided is kept, not computed again.

Two things are kept after each look. Where the combination stood: trades that are over stay as they
are, and only rows from the open one on are looked at again. And what the averages of Wilder were
some bars before: the newest rows are made of the candles from there on. The result is that of the
whole series, to the last bit but for what sums of funding round to. A kill loses nothing: the next
process begins with the whole series.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from gpu_engine import Candles
from gpu_engine.standing import Combination, Standing, standing_of
from pipeline.live.trader import Series, Trader
from pipeline.strategies.averages import Averages
from pipeline.strategies.warm_up import warm_up_bars

#: Bars between two beginnings of the newest candles: more make a look longer, fewer a new beginning
#: more frequent.
STRIDE = 1_000


class Beginning(NamedTuple):
    """A bar from which tables are made, and what the averages of Wilder were there."""

    bar: int = 0
    seeds: tuple[float, ...] | None = None


class Walk:
    """Where one trader's combination stands, look after look.

    Strategies of one's own look back over nobody knows how much: of them nothing is kept.
    """

    def __init__(self) -> None:
        self._edition = -1
        self._before: Standing | None = None
        self._beginning = Beginning()

    def standing(self, trader: Trader, series: Series, edition: int) -> Standing:
        """Tell where a trader stands after the last candle of its series.

        Parameters
        ----------
        edition : int
            Another one than at the last look: candles that were seen are other ones now.
        """
        if trader.simulation.strategy.text is not None:
            return trader.standing(series)
        if edition != self._edition:
            self._edition, self._before, self._beginning = edition, None, Beginning()
        candles, before = series.candles, self._before
        averages = Averages(self._beginning.seeds)
        with averages.carried():
            combination = _combination(trader, candles, self._beginning.bar)
        costs = replace(trader.simulation.costs.record(), funding=candles.funding)
        risk = trader.simulation.risk.limits()
        standing = standing_of(candles, combination, costs, risk, series.start, before)
        self._before = standing
        if averages.bounded:
            self._begin_later(trader, standing, candles.step_ms, averages)
        return standing

    def _begin_later(
        self, trader: Trader, standing: Standing, step_ms: int, averages: Averages
    ) -> None:
        """Move the beginning up to where the rows that are still open need it."""
        parameters, values = trader.space.strategy.parameters, trader.configuration.parameters
        bar = standing.open_bar - warm_up_bars(parameters, values, step_ms)
        if bar - self._beginning.bar >= STRIDE:
            self._beginning = Beginning(bar, averages.seeds(bar - self._beginning.bar))


def _combination(trader: Trader, candles: Candles, first: int) -> Combination:
    """Make a trader's combination of the candles from a bar on, its bars counted from 0."""
    combination = trader.evaluator(candles.cut(first, len(candles))).combination(trader.point)
    return replace(combination, table=combination.table.moved(first))
