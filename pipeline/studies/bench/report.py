"""The benchmark's figures as tables for a person."""

from typing import Any

from pipeline.cli.console import Console


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print what `measure_trees` measured; before it what differs between two trees."""
    console.print(f"{report['source']}: {report['bars']:,} bars of {report['timeframe']}")
    if "parity" in report:
        console.print(
            f"agreement with reference: {report['parity']['combinations']} random combinations,"
            f" {report['parity']['trades']:,} trades, no disagreement"
        )
    if "changes" in report:
        _print_changes(console, report["changes"], *report["trees"])
    title = f"{report['trees'][0]}: median and range"
    columns: tuple[str, ...] = ("what", "runs", "seconds", "CPU-seconds")
    if len(report["trees"]) > 1:
        there, here = report["trees"]
        title = f"From {there} to {here}, in turn: medians, and the pairs' ratios with their range"
        columns = ("what", "pairs", "seconds", "ratio", "CPU-seconds", "ratio")
    blank = [""] * ((len(columns) - 2) // 2)
    console.table(
        title,
        columns,
        [
            (
                row["what"],
                row["runs"],
                *_cells(row["amount"]),
                *(_cells(row["cpu"]) if "cpu" in row else blank),
            )
            for row in report["rows"]
        ],
    )


def _cells(figures: dict[str, Any]) -> list[str]:
    medians = " to ".join(f"{median:.3g}" for median in figures["medians"])
    if "ratio" not in figures:
        low, high = figures["range"]
        return [f"{medians} ({low:.3g}-{high:.3g})"]
    low, high = figures["ratios"]
    return [medians, f"{figures['ratio']:.2f} ({low:.2f}-{high:.2f})"]


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
        for tree, (index, profit) in ((there, changes["best_there"]), (here, changes["best_here"]))
    )
    console.print(f"Largest net profit, by index: {best}")


def print_machine(console: Console, machine: dict[str, Any]) -> None:
    """Print what the figures were measured on."""
    place = ("cpu", "cores", "system")
    versions = ", ".join(f"{name} {value}" for name, value in machine.items() if name not in place)
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; {versions}")
