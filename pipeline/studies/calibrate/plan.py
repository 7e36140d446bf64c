"""List the markets that a calibration is made of, and measure them in worker processes.

A run that is broken off keeps what it finished.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event

from gpu_engine import Advance
from pipeline.config import ProcessesExecutor, TrainConfig
from pipeline.errors import UserError
from pipeline.executors import make_executor
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import (
    CONTROLS,
    KINDS,
    MODELS,
    NULL_KINDS,
    Cell,
    Configurations,
    Edge,
    Market,
)
from pipeline.studies.calibrate.measure import Outcome, measure
from pipeline.training.provenance import fingerprint

Task = tuple[Market, TrainConfig, str]


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


def measure_all(
    plan: Plan,
    configurations: Configurations,
    journal: Journal,
    outcomes: dict[Market, Outcome],
    workers: int,
    advance: Advance,
) -> dict[Market, Outcome]:
    """Measure every market of ``plan`` that has no outcome yet; return all of the plan.

    The outcome of a market depends on its own configuration alone, so neither ``workers`` nor the
    order in which they finish changes anything. At an interrupt the markets under way are finished
    and written down first.

    Raises
    ------
    UserError
        What a worker was refused, or that one of them ended without an answer.
    """
    executor = make_executor(ProcessesExecutor(name="processes", workers=workers, retries=0))
    begun: set[Market] = set()

    def tasks() -> Iterator[Task]:
        """Draw the next market of the plan, which grows while markets are measured."""
        while not stopped.is_set():
            left = (m for m in plan.markets(outcomes) if m not in outcomes and m not in begun)
            if (market := next(left, None)) is None:
                return
            begun.add(market)
            config = configurations.of(market)
            yield market, config, fingerprint(config, gates=False)

    with _stop_at_interrupt() as stopped:
        while not stopped.is_set() and not outcomes.keys() >= set(plan.markets(outcomes)):
            with closing(executor.run(_measure, None, tasks())) as results:
                for ended in results:
                    if ended.result is None:
                        raise UserError(
                            f"{ended.error} Finished markets are kept in {journal.path}: the same"
                            " command goes on from there."
                        )
                    outcomes[ended.result.market] = ended.result
                    journal.append(ended.result)
                    advance(ended.result.figures is not None)
    if stopped.is_set():
        raise KeyboardInterrupt
    return {market: outcomes[market] for market in plan.markets(outcomes)}


def _measure(shared: None, task: Task, advance: Advance) -> Outcome:
    """Measure a market in a worker."""
    return measure(*task)


@contextmanager
def _stop_at_interrupt() -> Iterator[Event]:
    """Set the event at the first Ctrl-C, so that what runs may finish; the second interrupts."""
    stopped = Event()

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
