"""Show a calibration as tables: one for the reader in a hurry, the rest for those who doubt it."""

from typing import NamedTuple

from pipeline.studies.calibrate.summary import (
    CANDIDATES,
    LEVELS,
    PROMISED,
    TRUE_SHARES,
    Calibration,
    Group,
)
from pipeline.validation.stages import STAGES, Stage


class Table(NamedTuple):
    """A title, the heads of columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(calibration: Calibration) -> list[Table]:
    """Return what there is to show, the most important first."""
    found = [_verdicts(calibration)]
    if calibration.nulls:
        found.append(_by_kind(calibration))
    if calibration.planted:
        found.append(_power(calibration))
    found.append(_candidates(calibration))
    if calibration.strict and calibration.planted:
        found += [_false_discoveries(calibration, level) for level in PROMISED]
    return found


def name_of(group: Group) -> str:
    """Say in words what is in the markets of a group."""
    if group.edge is not None:
        years = "1 year" if group.edge.years == 1 else f"{group.edge.years:g} years"
        return f"edge of net Sharpe {group.edge.sharpe:g}, {years} ({group.cell.timeframe})"
    kinds = {
        None: "no edge",
        "real": "real candles as they are",
        "reversed": "real candles read backwards",
    }
    return f"{kinds.get(group.kind, group.kind)}: {group.cell}"


def _verdicts(calibration: Calibration) -> Table:
    """Show every group that a reader asks about first; nulls of a cell are one."""
    groups = (*calibration.strict, *calibration.planted, *calibration.controls)
    rows = [
        (
            name_of(group),
            str(len(group.outcomes)),
            *map(str, group.stages().values()),
            *(str(group.reached(level)) for level in PROMISED),
            str(group.traded()),
        )
        for group in groups
    ]
    stages = [stage for stage in STAGES if stage != "DECAY"]
    columns = ("candles", "markets", *stages, *map(_in_percent, PROMISED), "size above 0, %")
    return Table("What the verdict says", columns, rows)


def _by_kind(calibration: Calibration) -> Table:
    """Count false positives kind by kind: a row for each, a column for each cell."""
    cells = list(dict.fromkeys(group.cell for group in calibration.nulls))
    kinds = list(dict.fromkeys(group.kind for group in calibration.nulls))
    by_both = {(group.kind, group.cell): group for group in calibration.nulls}
    rows = []
    for kind in kinds:
        rates = [
            by_both[kind, cell].reached("VALIDATION") if (kind, cell) in by_both else None
            for cell in cells
        ]
        rows.append((str(kind), *("-" if r is None else f"{r.count} of {r.total}" for r in rates)))
    return Table("False positives by kind of candles", ("candles", *map(str, cells)), rows)


def _power(calibration: Calibration) -> Table:
    rows = []
    for group in calibration.planted:
        assert group.edge is not None
        low, median, high = group.oos_sharpe()
        sharpe = group.planted_sharpe()
        rows.append(
            (
                f"{group.edge.sharpe:g}",
                f"{group.edge.years:g}",
                str(len(group.outcomes)),
                "-" if sharpe is None else f"{sharpe:.2f}",
                str(group.known_rule()),
                *(str(group.reached(level)) for level in LEVELS),
                f"{median:.2f} ({low:.2f} to {high:.2f})",
            )
        )
    columns = (
        "net Sharpe",
        "years",
        "markets",
        "planted",
        "known rule, %",
        *map(_in_percent, LEVELS),
        "OOS Sharpe",
    )
    return Table("Markets with a planted edge: power", columns, rows)


def _candidates(calibration: Calibration) -> Table:
    groups = (*calibration.strict, *calibration.planted, *calibration.controls)
    rows = [(name_of(group), *map(str, group.candidates().values())) for group in groups]
    columns = ("candles", *(f"{name}, %" for name in CANDIDATES))
    return Table("What else could decide VALIDATION", columns, rows)


def _false_discoveries(calibration: Calibration, level: Stage) -> Table:
    rows = [
        (
            name_of(group),
            *(
                f"{_percent(case['rate'])}, up to {_percent(case['rate_upper'])}"
                for case in calibration.false_discoveries(level, group)
            ),
        )
        for group in calibration.planted
    ]
    columns = ("candles", *(f"{share:.0%} of markets true, %" for share in TRUE_SHARES))
    return Table(f"False discoveries among the markets called {or_better(level)}", columns, rows)


def or_better(level: Stage) -> str:
    """Write a stage and those above it as a column's head does."""
    return level if level == STAGES[-1] else f"{level}+"


def _in_percent(level: Stage) -> str:
    return f"{or_better(level)}, %"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
