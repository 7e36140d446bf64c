"""The figures of a calibration as tables, for the screen and for the page alike.

``VALIDATION+`` is that stage or a better one.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.calibrate.rates import Rate
from pipeline.calibrate.summary import LEVELS, PROMISED, TRUE_SHARES, Calibration
from pipeline.validation.stages import STAGES, Stage


class Table(NamedTuple):
    """A title, the heads of columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(calibration: Calibration) -> list[Table]:
    """Return what there is to show: false positives, power, false discoveries."""
    found = []
    if calibration.nulls:
        found.append(_false_positives(calibration))
    if calibration.planted:
        found.append(_power(calibration))
    if calibration.nulls and calibration.planted:
        found += [_false_discoveries(calibration, level) for level in PROMISED]
    return found


def _false_positives(calibration: Calibration) -> Table:
    rows = [
        (
            group.kind,
            str(len(group.outcomes)),
            *map(str, group.stages().values()),
            *(_with_interval(group.reached(level)) for level in PROMISED),
        )
        for group in calibration.nulls
    ]
    stages = calibration.nulls[0].stages()
    columns = ("candles", "markets", *stages, *map(_in_percent, PROMISED))
    return Table("Markets without an edge: false positives", columns, rows)


def _power(calibration: Calibration) -> Table:
    rows = []
    for group in calibration.planted:
        low, median, high = group.oos_sharpe()
        rows.append(
            (
                f"{group.strength:g}",
                str(len(group.outcomes)),
                *(_with_interval(group.reached(level)) for level in LEVELS),
                f"{median:.2f} ({low:.2f} to {high:.2f})",
            )
        )
    columns = ("strength", "markets", *map(_in_percent, LEVELS), "OOS Sharpe")
    return Table("Markets with a planted edge: power", columns, rows)


def _false_discoveries(calibration: Calibration, level: Stage) -> Table:
    rows = [
        (
            f"{group.strength:g}",
            *(
                f"{_percent(case['rate'])}, up to {_percent(case['rate_upper'])}"
                for case in calibration.false_discoveries(level, group)
            ),
        )
        for group in calibration.planted
    ]
    columns = ("strength", *(f"{share:.0%} of markets true, %" for share in TRUE_SHARES))
    return Table(f"False discoveries among the markets called {_or_better(level)}", columns, rows)


def _or_better(level: Stage) -> str:
    return level if level == STAGES[-1] else f"{level}+"


def _in_percent(level: Stage) -> str:
    return f"{_or_better(level)}, %"


def _with_interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{_percent(rate.share)} [{_percent(low)}, {_percent(high)}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
