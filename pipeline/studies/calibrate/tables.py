"""Show a calibration as tables: one for the reader in a hurry, the rest for those who doubt it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.studies.calibrate.markets import Cell, Kind
from pipeline.studies.calibrate.measure import Outcome
from pipeline.studies.calibrate.summary import (
    CANDIDATES,
    LEVELS,
    PROMISED,
    TRUE_SHARES,
    Calibration,
    Group,
)
from pipeline.validation.stages import STAGES, Stage
from pipeline.validation.wording import defined


class Table(NamedTuple):
    """A title, the heads of columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(calibration: Calibration) -> list[Table]:
    """Return what there is to show, the most important first."""
    several = len(calibration.strategies) > 1
    result = [_side_by_side(calibration)] if several else []
    if several and any(group.kind == "real" for group in calibration.controls):
        result.append(_real_markets(calibration))
    result.append(_verdicts(calibration))
    if calibration.nulls:
        result.append(_by_kind(calibration))
    if calibration.planted:
        result.append(_power(calibration))
    result.append(_candidates(calibration))
    if calibration.strict and calibration.planted:
        result += [_false_discoveries(calibration, level) for level in PROMISED]
    return result


def _side_by_side(calibration: Calibration) -> Table:
    """Show a row a strategy: false positives, power, and real candles, all with every cost."""
    edges = list(dict.fromkeys(group.edge for group in calibration.planted))
    rows = []
    for strategy in calibration.strategies:
        own, together = calibration.of(strategy), calibration.together(strategy)
        by_edge = {group.edge: str(group.reached("VALIDATION")) for group in own.planted}
        rows.append(
            (
                strategy,
                str(len(together.outcomes)),
                *(str(together.reached(level)) for level in PROMISED),
                *(by_edge.get(edge, "-") for edge in edges),
            )
        )
    columns = (
        *("strategy", "no edge"),
        *map(_in_percent, PROMISED),
        *(f"{edge.in_words}: {_in_percent('VALIDATION')}" for edge in edges if edge is not None),
    )
    return Table("Strategies side by side", columns, rows)


def _real_markets(calibration: Calibration) -> Table:
    """Show each strategy's verdict on real candles as they are, with the exchange's costs."""
    verdicts = {
        (outcome.source, outcome.market.cell.strategy): outcome
        for group in calibration.controls
        if group.kind == "real" and group.cell.costs == "exchange"
        for outcome in group.outcomes
    }
    sources = dict.fromkeys(source for source, _ in verdicts)
    rows = [
        (Path(source).name, *(_verdict(verdicts.get((source, s))) for s in calibration.strategies))
        for source in sources
    ]
    columns = ("candles", *calibration.strategies)
    return Table("Real candles as they are: each strategy's verdict", columns, rows)


def _verdict(outcome: Outcome | None) -> str:
    """Say the stage, the out-of-sample Sharpe ratio and how many trades that is of."""
    if outcome is None or outcome.figures is None:
        return "-"
    sharpe = defined(outcome.figures.get("sharpe_ratio"), ".2f")
    return f"{outcome.stage}, {sharpe}, {outcome.figures.get('sample_size') or 0:g}"


def _verdicts(calibration: Calibration) -> Table:
    """Show every group that a reader asks about first; nulls of a cell are one."""
    groups = (*calibration.strict, *calibration.planted, *calibration.controls)
    rows = [
        (
            calibration.name_of(group),
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
    """Count false positives kind by kind: a row for each cell, a column for each kind.

    Of several strategies each has a row of all its cells together in front.
    """
    kinds = list(dict.fromkeys(group.kind for group in calibration.nulls))
    rows = []
    for strategy in calibration.strategies:
        own = calibration.of(strategy).nulls
        cells = list(dict.fromkeys(group.cell for group in own))
        if len(calibration.strategies) > 1 and len(cells) > 1:
            rows.append((strategy, "all together", *_counts(own, kinds)))
        for cell in cells:
            counts = _counts([group for group in own if group.cell == cell], kinds)
            rows.append((*_strategy(calibration, cell), str(cell), *counts))
    columns = (*_strategy_column(calibration), "candles", *map(str, kinds))
    return Table("False positives by kind of candles", columns, rows)


def _counts(groups: Sequence[Group], kinds: Sequence[Kind | None]) -> Iterator[str]:
    """Count the false positives of each kind among some groups."""
    for kind in kinds:
        rates = [group.reached("VALIDATION") for group in groups if group.kind == kind]
        total = sum(rate.total for rate in rates)
        yield f"{sum(rate.count for rate in rates)} of {total}" if total else "-"


def _power(calibration: Calibration) -> Table:
    rows = []
    for group in calibration.planted:
        assert group.edge is not None
        low, median, high = group.oos_sharpe()
        sharpe = group.planted_sharpe()
        rows.append(
            (
                *_strategy(calibration, group.cell),
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
        *_strategy_column(calibration),
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
    rows = [
        (calibration.name_of(group), *map(str, group.candidates().values())) for group in groups
    ]
    columns = ("candles", *(f"{name}, %" for name in CANDIDATES))
    return Table("What else could decide VALIDATION", columns, rows)


def _false_discoveries(calibration: Calibration, level: Stage) -> Table:
    rows = [
        (
            calibration.name_of(group),
            *(
                f"{_percent(case['rate'])}, up to {_percent(case['rate_upper'])}"
                for case in calibration.false_discoveries(level, group)
            ),
        )
        for group in calibration.planted
    ]
    columns = ("candles", *(f"{share:.0%} of markets true, %" for share in TRUE_SHARES))
    return Table(f"False discoveries among the markets called {or_better(level)}", columns, rows)


def _strategy_column(calibration: Calibration) -> tuple[str, ...]:
    """Return the head of a column that one strategy alone does not need."""
    return ("strategy",) if len(calibration.strategies) > 1 else ()


def _strategy(calibration: Calibration, cell: Cell) -> tuple[str, ...]:
    return (cell.strategy,) if len(calibration.strategies) > 1 else ()


def or_better(level: Stage) -> str:
    """Write a stage and those above it as a column's head does."""
    return level if level == STAGES[-1] else f"{level}+"


def _in_percent(level: Stage) -> str:
    return f"{or_better(level)}, %"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
