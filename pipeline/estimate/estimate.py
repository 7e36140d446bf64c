"""Plan before running: how long, how much memory, and how many trades to expect.

`estimate` counts the work of one run from its configuration and a look at the candles at hand, and
prices it with `Rates` measured on this machine. Nothing is fetched or stored, and only `plan`
prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.cli.console import Console
from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.candles import Source, candles_at_hand
from pipeline.estimate.power import power_note, sampled_trades
from pipeline.estimate.rates import Rates, grid_of, measured_rates
from pipeline.estimate.work import History, Work
from pipeline.executors.share import cores
from pipeline.search.backends import named_backend
from pipeline.validation.wording import plural

__all__ = ["Estimate", "Rates", "estimate", "measured_rates", "plan"]

#: Rows of a market in the database (its job, its configuration, its place in the sweep), and their
#: bytes with indexes.
ROWS, ROW_BYTES = 3, 16_000


@dataclass(frozen=True)
class Estimate:
    """One market's run before it is made.

    Attributes
    ----------
    market : str
        Such as ``binance:BTC/USDT:5m``.
    combinations : int
        Of one search: the grid, or the budget.
    windows : int
        Tests; there is one search more, the final one.
    evaluations : int
        Combinations times searches.
    bars : int
        Of the history.
    memory_bytes : int
        Most that the process will hold.
    seconds : float
        From candles in memory to the verdict.
    trades_per_window : float
        Of the median admissible combination in one test part.
    expected_trades : float
        Likewise, in all test parts.
    power_note : str
        What so many trades can reach, in words.
    candles : {"stored", "file", "generated", "synthetic stand-in"}
        What the trades were counted on; after a stand-in fetching comes on top of ``seconds``.
    artifact_bytes : int
        What the run leaves in the object store.
    """

    market: str
    combinations: int
    windows: int
    evaluations: int
    bars: int
    memory_bytes: int
    seconds: float
    trades_per_window: float
    expected_trades: float
    power_note: str
    candles: Source
    artifact_bytes: int


def estimate(config: TrainConfig, rates: Rates) -> Estimate:
    """Estimate one training run; the same for the same candles and ``rates``.

    Raises
    ------
    UserError
        When the run would be refused: too little history, a broken file. It says what to do.
    """
    grid = grid_of(config)
    at_hand = candles_at_hand(config)
    history = History.of(config, at_hand.days)
    backend = named_backend(rates.backend)
    days = history.days_a_search, history.days
    traded = sampled_trades(config, grid, at_hand.candles, backend, days)
    work = Work(config, grid, history, traded)
    test_days = history.test_days / history.windows
    return Estimate(
        market=config.market.id,
        combinations=work.budget,
        windows=history.windows,
        evaluations=work.evaluations,
        bars=history.bars,
        memory_bytes=work.memory_bytes(rates),
        seconds=work.seconds(rates),
        trades_per_window=traded.typical * test_days,
        expected_trades=traded.typical * history.test_days,
        power_note=power_note(traded, test_days, history.test_days),
        candles=at_hand.source,
        artifact_bytes=work.artifact_bytes(),
    )


def plan(
    console: Console, configs: Mapping[str, TrainConfig], slots: int, at_once: int | None = None
) -> None:
    """Print what a sweep over ``configs``, by the market's name, would take; write nothing.

    ``slots`` markets are in memory at a time, of which ``at_once`` have a core to themselves (all
    unless told). Slots up to the cores of this machine share them, so one slot's part of them is
    what is measured.

    Raises
    ------
    UserError
        When no rate can be measured: a backend that is not here.
    """
    first = next(iter(configs.values()))
    threads = first.backend.threads or max(1, cores() // slots)
    backend = first.backend.model_copy(update={"threads": threads})
    rates = measured_rates(first.model_copy(update={"backend": backend}))
    estimates: dict[str, Estimate] = {}
    refused: dict[str, str] = {}
    with console.progress("estimating", len(configs)) as advance:
        for name, config in configs.items():
            try:
                estimates[name] = estimate(config, rates)
            except UserError as error:
                refused[name] = str(error)
            advance(1)
    if estimates:
        _print_markets(console, estimates)
        _print_totals(console, list(estimates.values()), slots, at_once or slots)
    for name, sentence in refused.items():
        console.print(f"{name} cannot be trained: {sentence}")
    console.print(
        f"Measured here with {rates.backend}, {plural(threads, 'thread')} a market."
        " A plan: nothing was fetched, trained or stored."
    )


def _print_markets(console: Console, estimates: Mapping[str, Estimate]) -> None:
    columns = ("market", "bars", "windows", "evaluations", "MB", "seconds", "trades", "counted on")
    rows = [
        (
            name,
            f"{e.bars:,}",
            e.windows,
            f"{e.evaluations:,}",
            f"{e.memory_bytes / 1e6:,.0f}",
            f"{e.seconds:,.1f}",
            f"{e.trades_per_window:.0f} x {e.windows}",
            e.candles,
        )
        for name, e in estimates.items()
    ]
    console.table("Estimated", columns, rows)
    for name, e in estimates.items():
        console.print(f"{name}: {e.power_note}.")


def _print_totals(
    console: Console, estimates: Sequence[Estimate], slots: int, at_once: int
) -> None:
    seconds = [e.seconds for e in estimates]
    heaviest = sorted((e.memory_bytes for e in estimates), reverse=True)[:slots]
    artifacts = sum(e.artifact_bytes for e in estimates)
    # No schedule beats either bound, and markets handed out one by one come close to the larger.
    total = max(max(seconds), sum(seconds) / at_once)
    evaluations, count = sum(e.evaluations for e in estimates), len(estimates)
    console.print(
        f"{plural(count, 'market')}, {evaluations:,} evaluations: about {duration(total)} with"
        f" {plural(slots, 'slot')}, {sum(heaviest) / 1e6:,.0f} MB of memory,"
        f" {ROWS * count:,} rows ({ROW_BYTES * count / 1e6:,.2g} MB) in the database,"
        f" {artifacts / 1e6:,.0f} MB of artifacts."
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
