"""Print the end of a sweep: a row a market, how many ended how, and why the failed ones did."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.cli.console import Console
from pipeline.results.artifacts.pooled import search_of
from pipeline.validation.pooling import PooledVerdict, pooled_sentences
from pipeline.validation.stages import STAGES, Stage
from pipeline.validation.wording import defined, marked, plural


@dataclass(frozen=True)
class MarketRow:
    """How one market of a sweep ended; ``market`` is its label (`sweeps.manifest.SweepRequest`).

    ``error`` is why it failed, or None. ``stage`` is None where nothing was stored. Figures are
    None where they are undefined or unknown; ``seconds`` is what its training took. ``note`` says
    in a word how its result came about, such as ``kept``. ``edit`` says why its configuration is
    not shown, where that is not what was stored.
    """

    market: str
    stage: Stage | None = None
    synthetic: bool = False
    oos_sharpe_ratio: float | None = None
    trades: int | None = None
    p_value: float | None = None
    surrogate_p: float | None = None
    fdr_q_value: float | None = None
    seconds: float | None = None
    error: str | None = None
    note: str = ""
    edit: str | None = None


def noun(labels: Iterable[str]) -> str:
    """Say what labels count: markets, or trainings where one market has several."""
    return "training" if any(map(search_of, labels)) else "market"


def show(console: Console, rows: Sequence[MarketRow], pooled: Sequence[PooledVerdict]) -> None:
    """Show the table, the counts, the markets pooled, and below them what went wrong."""
    columns = (
        *("market", "stage", "OOS Sharpe", "trades"),
        *("p", "surrogate p", "q", "seconds", "note"),
    )
    # Without a note there is no column of them.
    shown = columns if any(row.note for row in rows) else columns[:-1]
    title = "Markets, judged together"
    console.table(title, shown, [_cells(row)[: len(shown)] for row in rows])
    if any(row.synthetic for row in rows):
        console.print("SYNTHETIC candles say nothing about a market; their q is among themselves.")
    if any(row.note == "skipped" for row in rows):
        console.print("skipped: another sweep had trained just that; its result counts here too.")
    console.print(_counts(rows))
    for pool in pooled:
        for sentence in pooled_sentences(pool):
            console.print(sentence)
    for error in dict.fromkeys(row.error for row in rows if row.error is not None):
        markets = ", ".join(row.market for row in rows if row.error == error)
        console.print(f"{markets} failed: {error}")
    for row in rows:
        if row.edit is not None:
            console.print(f"{row.market}: {row.edit}")


def _cells(row: MarketRow) -> tuple[str, ...]:
    return (
        row.market,
        "FAILED" if row.error is not None else _stage(row),
        "-" if row.oos_sharpe_ratio is None else f"{row.oos_sharpe_ratio:.2f}",
        "-" if row.trades is None else f"{row.trades:,}",
        *(defined(p, ".3g") for p in (row.p_value, row.surrogate_p, row.fdr_q_value)),
        "-" if row.seconds is None else f"{row.seconds:,.1f}",
        row.note,
    )


def _stage(row: MarketRow) -> str:
    if row.edit is not None:
        return "EDITED"
    if row.stage is None:
        return "nothing stored"
    return marked(row.stage, row.synthetic)


def _counts(rows: Sequence[MarketRow]) -> str:
    """``24 markets: 1 MATURE, 3 VALIDATION, 19 PAPER, 1 failed.``, the highest stage first."""
    counts = Counter(
        "failed"
        if row.error is not None
        else "edited"
        if row.edit is not None
        else row.stage or "nothing stored"
        for row in rows
    )
    kinds = (*reversed(STAGES), "nothing stored", "edited", "failed")
    text = ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind])
    return f"{plural(len(rows), noun(row.market for row in rows))}: {text or 'none'}."
