"""List the markets that a calibration is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import (
    CONTROLS,
    KINDS,
    MODELS,
    NULL_KINDS,
    Cell,
    Edge,
    Market,
)
from pipeline.studies.calibrate.measure import Outcome


@dataclass(frozen=True)
class Plan:
    """``nulls`` markets of each kind in each cell, ``planted`` of each edge, each file twice.

    All that a strategy has, every strategy has: the same candles.

    Attributes
    ----------
    cells : tuple of Cell
    nulls : int
    planted : int
    edges : tuple of Edge
        Planted in the last timeframe of ``cells``, net of the exchange's costs, along the signals
        of each strategy.
    files : mapping of str to int
        How many files of real candles there are of each timeframe. Each is a market as it is, and
        one read backwards.
    """

    cells: tuple[Cell, ...]
    nulls: int
    planted: int
    edges: tuple[Edge, ...]
    files: Mapping[str, int]

    def markets(self, known: Mapping[Market, Outcome]) -> list[Market]:
        """Every market, in the order in which they are measured; seeds count from 0.

        A seed whose candles cannot carry a planted edge makes room for the next one. What is not
        ``known`` yet is taken to carry it, so the list grows while markets are measured; the one
        at the end does not depend on the order of measuring.

        Raises
        ------
        UserError
            If most candles cannot carry an edge.
        """
        planned = [market for cell in self.cells for market in self._of(cell)]
        for cell in self.with_edges if self.planted else ():
            for edge in self.edges:
                planned += self._planted(edge, cell, known)
        return sorted(planned, key=self._place)

    @property
    def with_edges(self) -> list[Cell]:
        """The cells of planted edges: one a strategy, in the last timeframe, with costs."""
        timeframe = self.cells[-1].timeframe
        strategies = dict.fromkeys(cell.strategy for cell in self.cells)
        return [Cell(timeframe, "exchange", strategy) for strategy in strategies]

    def _place(self, market: Market) -> tuple[int, int, int, int]:
        """Put a little of everything first, so that a part of the run tells something."""
        if market.edge is not None:
            cell = len(self.cells) + self.with_edges.index(market.cell)
            return market.seed, cell, 0, self.edges.index(market.edge)
        return market.seed, self.cells.index(market.cell), KINDS.index(market.kind), 0

    def _of(self, cell: Cell) -> Iterator[Market]:
        """Nulls and controls of a cell."""
        files = self.files.get(cell.timeframe, 0)
        for kind in NULL_KINDS if files else MODELS:
            yield from (Market(kind, seed, cell) for seed in range(self.nulls))
        for kind in CONTROLS if self.nulls else ():
            yield from (Market(kind, number, cell) for number in range(files))

    def _planted(self, edge: Edge, cell: Cell, known: Mapping[Market, Outcome]) -> Iterator[Market]:
        carried = seed = 0
        while carried < self.planted:
            market = Market("planted", seed, cell, edge)
            out_of_reach = market in known and known[market].stage is None
            carried += not out_of_reach
            seed += 1
            if seed - carried > 10 + 2 * self.planted:
                raise UserError(
                    f"--edges {edge}: {seed - carried} of {seed} markets cannot carry it; the last"
                    f" says: {known[market].source} Leave it out or lower it."
                )
            yield market
