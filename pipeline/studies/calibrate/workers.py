"""Many markets at once, each in a process with one thread, none lost when the run is broken off."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from pipeline.cli.console import Advance
from pipeline.errors import UserError
from pipeline.executors.orphans import end_with_parent
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import Configurations, Market
from pipeline.studies.calibrate.measure import Outcome, measure
from pipeline.studies.calibrate.plan import Plan
from pipeline.training.provenance import fingerprint

#: How many threads linear algebra takes; read once, when a process starts.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure_all(
    plan: Plan,
    configurations: Configurations,
    journal: Journal,
    known: dict[Market, Outcome],
    workers: int,
    advance: Advance,
) -> dict[Market, Outcome]:
    """Measure every market of ``plan`` that is not ``known``; return all of the plan.

    The outcome of a market depends on its own configuration alone, so neither ``workers`` nor the
    order in which they finish changes anything. At an interrupt the markets under way are finished
    and written down first.

    Raises
    ------
    UserError
        What a worker was refused, or that one of them ended without an answer.
    """
    running: dict[Future[Outcome], Market] = {}

    def harvest(done: set[Future[Outcome]]) -> None:
        for future in done:
            market = running.pop(future)
            known[market] = future.result()
            journal.append(known[market])
            advance(known[market].stage is not None)

    def waiting() -> Iterator[Market]:
        under_way = set(running.values())
        return (m for m in plan.markets(known) if m not in known and m not in under_way)

    with _pool(workers) as pool:
        try:
            while (market := next(waiting(), None)) or running:
                if market and len(running) < workers:
                    config = configurations.of(market)
                    with _interrupts_held():
                        future = pool.submit(measure, market, config, fingerprint(config))
                    running[future] = market
                    continue
                harvest(wait(running, return_when=FIRST_COMPLETED).done)
        except BrokenProcessPool:
            raise UserError(
                "A worker ended without an answer; often memory ran out: try --workers"
                f" {max(1, workers - 1)}. Finished markets are kept in {journal.path}: the same"
                " command goes on from there."
            ) from None
        except KeyboardInterrupt:
            harvest(wait(running).done)
            raise
    return {market: known[market] for market in plan.markets(known)}


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes: a fork would copy a Numba thread pool that no longer runs."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
            yield pool
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back for a moment, and for good in every process started meanwhile.

    Ctrl-C reaches all processes of a terminal, and what it means is the parent's to decide: a
    process inherits what was held back when it started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
