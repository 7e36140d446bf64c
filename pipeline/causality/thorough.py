"""Check one strategy on one market as far as candles allow: what `pipeline.check` shows."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from gpu_engine import Advance, Candles, EventTable, Window
from pipeline.causality import Examination, settings_of
from pipeline.causality.finding import Finding
from pipeline.causality.mirror import Mirrored, mirror_test
from pipeline.search.evaluator import Evaluator
from pipeline.strategies.base import Strategy
from pipeline.strategies.tables import faults

NEAR = 400  # signals
WORK = 100.0  # histories
SHARES = tuple(k / 12 for k in range(1, 13))  # of the history, where whole tables are cut
YEAR_MS = 365.25 * 86_400_000
LISTED = 20  # findings; one cause shows in every table


@dataclass(frozen=True)
class Frequency:
    """How often a strategy trades at one value of a parameter, the others at their middle.

    ``net_profit`` is a fraction of the equity over the whole history.
    """

    parameter: str
    value: float | int | None
    trades_a_year: float
    net_profit: float


@dataclass(frozen=True)
class CheckReport:
    """What a check says. A strategy is clean when ``findings`` is empty; ``remarks`` are no faults.

    ``seconds`` is the time of one table, its share of what all tables share included.
    """

    strategy: str
    tables: int
    rows: int
    bars: int
    seconds: float
    mirror: Mirrored
    frequencies: list[Frequency]
    findings: list[str]
    remarks: list[str]


def thorough_check(evaluator: Evaluator, advance: Advance) -> CheckReport:
    """Check the strategy of an evaluator; ``advance`` hears of each of `STEPS`.

    Raises
    ------
    UserError
        When an own strategy's file fails, or a table of it breaks its contract.
    """
    space, candles, strategy = evaluator.space, evaluator.candles, evaluator.space.strategy
    settings, loosest = settings_of(space), space.loosest()
    start = time.perf_counter()
    examination = Examination(
        strategy, loosest, settings, candles, near=NEAR, work=WORK, shares=SHARES
    )
    seconds = (time.perf_counter() - start) / len(settings)
    tables = examination.tables
    advance(1)
    findings = list(_contract(strategy, settings, tables, len(candles)))
    if not any(map(len, tables)):
        findings.append("No table has a signal on these candles: nothing could be checked.")
    findings += _first_of_each(examination.findings())
    advance(1)
    findings += _another_process(strategy, loosest, settings, candles, tables)
    advance(1)
    mirror = Mirrored("not tested", "the class does not say mirrored = True")
    if getattr(strategy, "mirrored", False):
        mirror = mirror_test(strategy, loosest, settings, candles)
    if mirror.outcome == "different":
        findings.append(f"The class says mirrored = True, and its sides differ: {mirror.reason}.")
    advance(1)
    frequencies = _frequencies(evaluator)
    advance(1)
    return CheckReport(
        strategy=strategy.name,
        tables=len(tables),
        rows=sum(map(len, tables)),
        bars=len(candles),
        seconds=seconds,
        mirror=mirror,
        frequencies=frequencies,
        findings=findings,
        remarks=list(_remarks(frequencies)),
    )


STEPS = 5


def _contract(
    strategy: Strategy,
    settings: Sequence[Mapping[str, float]],
    tables: Sequence[EventTable],
    bars: int,
) -> Iterator[str]:
    """Yield what breaks exits rules §1: dtypes, shapes, order, NaN."""
    for setting, table in zip(settings, tables, strict=True):
        yield from faults(strategy, setting, table, bars)


def _first_of_each(findings: Iterator[Finding]) -> list[str]:
    """Return the first finding of every check and column; the others have the same cause."""
    first: dict[tuple[str, str], Finding] = {}
    count = 0
    for finding in findings:
        first.setdefault((finding.check, finding.column), finding)
        count += 1
    sentences = [finding.sentence for finding in list(first.values())[:LISTED]]
    if count > len(sentences):
        sentences.append(f"{count:,} differences of this kind in all.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _another_process(
    strategy: Strategy,
    loosest: Mapping[str, float],
    settings: Sequence[Mapping[str, float]],
    candles: Candles,
    tables: Sequence[EventTable],
) -> Iterator[str]:
    """Build the tables again in a new process, where nothing is kept and sets are ordered anew."""
    with ProcessPoolExecutor(1, get_context("spawn"), _print_to_stderr) as pool:
        job = pool.submit(_digests, strategy, dict(loosest), list(settings), candles)
        for setting, own, other in zip(settings, map(_digest, tables), job.result(), strict=True):
            if own != other:
                named = ", ".join(f"{n}={v:g}" for n, v in setting.items())
                yield f"Another process gives another table({named}) for the same candles."
                return


def _print_to_stderr() -> None:
    """Keep what a strategy's file prints, from its loading on, out of the report."""
    sys.stdout = sys.stderr


def _digests(
    strategy: Strategy, loosest: dict[str, float], settings: list[Any], candles: Candles
) -> list[str]:
    builder = strategy.events(candles, loosest)
    return [_digest(builder.table(setting)) for setting in settings]


def _digest(table: EventTable) -> str:
    digest = hashlib.sha256()
    for name, column in table.columns().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _frequencies(evaluator: Evaluator) -> list[Frequency]:
    """Trade every value of every parameter once on the whole history, the others at the middle.

    Of an even number of values the middle is the lower of the two, as for a strategy's example.
    """
    space, candles = evaluator.space, evaluator.candles
    choices = [d.choices for d in space.dimensions if d.choices is not None]
    middle = np.array([c[(len(c) - 1) // 2] for c in choices])
    points, named = [], []
    for k, dimension in enumerate(space.dimensions):
        for value in choices[k].tolist():
            point = middle.copy()
            point[k] = value
            points.append(point)
            named.append((dimension.parameter.name, dimension.parameter.written(value)))
    metrics = evaluator.points(np.array(points), (Window(0, len(candles)),))[0]
    years = len(candles) * candles.step_ms / YEAR_MS
    return [
        Frequency(name, value, float(m["sample_size"]) / years, float(m["net_profit"]))
        for (name, value), m in zip(named, metrics, strict=True)
    ]


def _remarks(frequencies: Sequence[Frequency]) -> Iterator[str]:
    """Yield what is no fault and worth a look."""
    for name in dict.fromkeys(f.parameter for f in frequencies):
        own = [f for f in frequencies if f.parameter == name]
        never = [f"{f.value}" for f in own if f.trades_a_year == 0]
        if never:
            yield f"With the others at their middle it never trades at {name}={', '.join(never)}."
        elif len(own) > 1 and len({(f.trades_a_year, f.net_profit) for f in own}) == 1:
            yield f"No value of {name} changes anything with the others at their middle."
