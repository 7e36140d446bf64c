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


def print_comparison(console: Console, report: dict[str, Any]) -> None:
    """Print what differs between two trees, then how long each takes (`compare_trees`)."""
    there, here = report["trees"]["there"], report["trees"]["here"]
    _print_changes(console, report["changes"], there, here)
    console.table(
        f"From {there} to {here}, in turn: medians, and the pairs' ratios with their range",
        ("what", "pairs", "seconds", "ratio", "CPU-seconds", "ratio"),
        [
            (row["what"], row["pairs"], *_beside(row["amount"]), *_beside(row.get("cpu")))
            for row in report["rows"]
        ],
    )


def _beside(figures: dict[str, Any] | None) -> tuple[str, str]:
    if figures is None:
        return "", ""
    low, high = figures["ratios"]
    medians = " to ".join(f"{figures[name]:.3g}" for name in ("there", "here"))
    return medians, f"{figures['ratio']:.2f} ({low:.2f}-{high:.2f})"


def _print_changes(console: Console, changes: dict[str, Any], there: str, here: str) -> None:
    trades, size = changes["trades"], changes["combinations"]
    numbers = ("differing", "only_there", "only_here")
    changed_metrics = [m for m in changes["metrics"] if any(m[name] for name in numbers)]
    equal = len(changes["metrics"]) - len(changed_metrics)
    if changed_metrics:
        console.table(
            f"Metrics of all {size:,} combinations, numba: how many differ, or are undefined",
            ("metric", "differ", f"only in {there}", f"only in {here}", "largest difference"),
            [
                (m["metric"], *(f"{m[name]:,}" for name in numbers), f"{m['largest']:.2g}")
                for m in changed_metrics
            ],
        )
    console.print(f"{equal} of {len(changes['metrics'])} metrics are equal in all combinations")
    changed = ", ".join(f"{count:,} {reason}" for reason, count in trades["changed"].items())
    console.print(
        f"Trades of {trades['combinations']} random combinations: {trades['shared']:,} in both"
        f" trees, of which end otherwise: {changed or 'none'}; only in {there}"
        f" {trades['only_there']:,}; only in {here} {trades['only_here']:,}"
    )
    best = "; ".join(
        f"{tree} {index:,} ({profit:+.4f})"
        for tree, (index, profit) in (
            (there, changes["best_there"]),
            (here, changes["best_here"]),
        )
    )
    console.print(f"Largest net profit, by index: {best}")


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
