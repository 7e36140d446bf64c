"""Measure many markets in worker processes; a run that is broken off keeps what it finished."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event

from gpu_engine import Advance
from pipeline.config import ProcessesExecutor, TrainConfig
from pipeline.errors import UserError
from pipeline.executors import make_executor
from pipeline.studies.calibrate.journal import Journal
from pipeline.studies.calibrate.markets import Configurations, Market
from pipeline.studies.calibrate.measure import Outcome, measure
from pipeline.studies.calibrate.plan import Plan
from pipeline.training.provenance import fingerprint

Task = tuple[Market, TrainConfig, str]


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
