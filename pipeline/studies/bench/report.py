"""The benchmark's figures as plain values (for JSON) and as tables (for a person)."""

from typing import Any

from pipeline.cli.console import Console
from pipeline.studies.bench.timing import Seconds

#: Seconds for the default grid on a year of 5-minute candles with 2 cores, and bytes at the peak.
TARGET_SECONDS = {"numba": 0.4, "numpy": 10.0}
TARGET_PEAK = 1e9


def grid_figures(
    seconds: Seconds, bars: int, combinations: int, repeats: int, peak: int | None = None
) -> dict[str, Any]:
    """Describe passes over a grid."""
    rate = combinations / seconds.total
    figures: dict[str, Any] = {
        "bars": bars,
        "combinations": combinations,
        "repeats": repeats,
        "seconds": seconds._asdict(),
        "combinations_per_second": rate,
        "bar_combinations_per_second": rate * bars,
    }
    return figures if peak is None else {**figures, "peak_bytes": peak}


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print everything that was measured."""
    machine, candles, parity = report["machine"], report["candles"], report["parity"]
    print_machine(console, machine)
    console.print(
        f"{candles['source']}: {candles['bars']:,} bars of {candles['timeframe']};"
        f" {report['combinations']:,} combinations"
    )
    console.print(
        f"parity with reference: {parity['combinations']} random combinations,"
        f" {parity['trades']:,} trades, no disagreement"
    )
    console.table(
        "From candles in memory to the metrics of every combination (seconds)",
        ("backend", "events", "outcomes", "walk", "total", "target", "peak MB", "target"),
        [
            (
                name,
                *(f"{figures['seconds'][stage]:.3f}" for stage in Seconds._fields),
                TARGET_SECONDS.get(name, "-"),
                f"{figures['peak_bytes'] / 1e6:.0f}",
                f"{TARGET_PEAK / 1e6:.0f}",
            )
            for name, figures in report["backends"].items()
        ],
    )
    _print_growth(console, report["growth"])
    for method, run in report["walk_forward"].items():
        console.print(
            f"walk-forward, optimizer={method}, in process: "
            + (
                f"{run['seconds']:.2f} s, {run['evaluations']:,} evaluations"
                if run
                else "history too short"
            )
        )


def print_machine(console: Console, machine: dict[str, Any]) -> None:
    """Print what the figures were measured on."""
    place = ("cpu", "cores", "system")
    versions = ", ".join(f"{name} {value}" for name, value in machine.items() if name not in place)
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; {versions}")


def _print_growth(console: Console, growth: dict[str, Any]) -> None:
    console.table(
        f"How time grows ({growth['backend']})",
        ("grid", "bars", "combos", "seconds", "combos/s", "bar-combos/s"),
        [
            (
                name,
                f"{figures['bars']:,}",
                f"{figures['combinations']:,}",
                f"{figures['seconds']['total']:.3f}",
                f"{figures['combinations_per_second']:,.0f}",
                f"{figures['bar_combinations_per_second']:.3g}",
            )
            for name, figures in growth["grids"].items()
        ],
    )
