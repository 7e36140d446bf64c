"""Print how long a sweep would take, what it would hold, and what trades to expect."""

from collections.abc import Mapping

from pipeline.cli.console import Console
from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.estimate.estimate import Estimate, estimate
from pipeline.estimate.probe import measure_speed
from pipeline.executors.share import cores
from pipeline.sweeps.table import noun
from pipeline.validation.surrogates import KINDS
from pipeline.validation.wording import duration, plural

#: Rows of a market in the database (its job, its configuration, its place in the sweep), and their
#: bytes with indexes.
ROWS, ROW_BYTES = 3, 16_000


def plan(
    console: Console, configs: Mapping[str, TrainConfig], slots: int, at_once: int | None = None
) -> None:
    """Print what a sweep over ``configs``, by their label, would take; write nothing.

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
    strategies = {config.strategy.name: config for config in configs.values()}
    speeds = {
        name: measure_speed(config.model_copy(update={"backend": backend}))
        for name, config in strategies.items()
    }
    estimates: dict[str, Estimate] = {}
    refused: dict[str, str] = {}
    with console.progress("estimating", len(configs)) as advance:
        for name, config in configs.items():
            try:
                estimates[name] = estimate(config, speeds[config.strategy.name])
            except UserError as error:
                refused[name] = str(error)
            advance(1)
    if estimates:
        _print_markets(console, estimates)
        _print_totals(console, estimates, slots, at_once or slots)
        count = first.validation.most_surrogates
        longest = max(e.surrogate_seconds for e in estimates.values())
        console.print(
            "Not counted: a market that passes every other gate of VALIDATION, the trades aside,"
            f" is searched again on up to {count} surrogates of each of {len(KINDS)} kinds, up to"
            f" {duration(longest)}."
        )
    for name, sentence in refused.items():
        console.print(f"{name} cannot be trained: {sentence}")
    console.print(
        f"Measured here with {next(iter(speeds.values())).backend}, {plural(threads, 'thread')} a"
        " market. A plan: nothing was fetched, trained or stored."
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
    console: Console, estimates: Mapping[str, Estimate], slots: int, at_once: int
) -> None:
    every, count = estimates.values(), len(estimates)
    seconds = [e.seconds for e in every]
    heaviest = sorted((e.memory_bytes for e in every), reverse=True)[:slots]
    artifacts = sum(e.artifact_bytes for e in every)
    # No schedule beats either bound, and markets handed out one by one come close to the larger.
    total = max(max(seconds), sum(seconds) / at_once)
    evaluations = sum(e.evaluations for e in every)
    console.print(
        f"{plural(count, noun(estimates))}, {evaluations:,} evaluations: about {duration(total)}"
        f" with {plural(slots, 'slot')}, {sum(heaviest) / 1e6:,.0f} MB of memory,"
        f" {ROWS * count:,} rows ({ROW_BYTES * count / 1e6:,.2g} MB) in the database,"
        f" {artifacts / 1e6:,.0f} MB of artifacts."
    )
