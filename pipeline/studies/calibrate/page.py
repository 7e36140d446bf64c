"""Write the page of a calibration: `calibration.md`, its figures as JSON and its picture."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.results.jsonable import jsonable
from pipeline.studies.calibrate.plot import draw
from pipeline.studies.calibrate.summary import Calibration
from pipeline.studies.calibrate.tables import Table, tables
from pipeline.training import provenance
from pipeline.training.provenance import engine_hash, runtime_env

#: By the beginning of the title of the first table that it belongs to: paragraphs.
EXPLANATIONS: Mapping[str, tuple[str, ...]] = {
    "Strategies side by side": (
        "Every strategy was measured on the same candles, each with its own default grid. `no edge`"
        " counts the markets without an edge of all cells together; of them at most 5 % may be"
        " `VALIDATION+` and 1 % `MATURE`. In the other columns an edge is planted along the"
        " strategy's own signals, and should be found. Shares are in percent, with their two-sided"
        " 95 % Clopper-Pearson interval.",
    ),
    "Real candles as they are": (
        "The stage, the annualised Sharpe ratio out of sample and after the exchange's costs, and"
        " the number of trades that it is of. Each is the verdict on one market alone: it is not"
        " corrected for the number of strategies and markets in this table. A sweep would correct"
        " it.",
    ),
    "What the verdict says": (
        "Each market ran through the same training as `scripts/train`: the search in each"
        " walk-forward window, the statistics, the search against surrogates, the stage. Columns"
        " named after a stage count markets. A column with % is a share with its two-sided 95 %"
        " Clopper-Pearson interval. `VALIDATION+` is VALIDATION or better. `size above 0` is the"
        " share that would trade at all, were its candles real.",
        "**No edge**: at most 5 % may be `VALIDATION+`, and 1 % `MATURE`. Costs are those of the"
        " exchange, or none. Costs alone keep most searches from finding anything, so only the"
        " rows without costs show the size of the test itself. **Edge**: it should be found."
        " **Real candles as they are**: hardly one should pass. **Real candles read backwards**"
        " hold an edge that nobody planted: large moves with volume come after moves of their own"
        " direction, and backwards they foretell them. It should be found.",
    ),
    "False positives by kind": (
        "VALIDATION or better. The first five kinds are the markets without an edge of the table"
        " above. `synthetic` and `garch_t` are generated martingales: one has the habits of a"
        " crypto market, the other is a GARCH(1,1) with Student t innovations. `permuted` are real"
        " candles with their bars in random order. `bar_flipped` are real candles with each bar"
        " mirrored or not, with equal chance. `bootstrapped` are years of real days drawn in"
        " blocks, with their bars mirrored or not. The last three are what surrogates are too, so"
        " the test against surrogates keeps its size on them by construction; the first two are"
        " the harder question.",
        "`sign_flipped` mirrors whole UTC days and is counted apart: what follows on what within"
        " a day stays, upside down, and a strategy that trades both sides alike keeps what edge"
        " there is.",
    ),
    "Markets with a planted edge": (
        "One combination of the grid has an edge: after each of its signals the price drifts its"
        " way. The strength is the annualised Sharpe ratio of that combination over the whole"
        " history, after costs and with circuit breakers; `planted` is the median of what was"
        " reached. `known rule` is the share of markets on whose out-of-sample days this"
        " combination itself has p < 0.05: what a test says that need not search. OOS Sharpe"
        " (median, quartiles) is what the procedure earned out of sample and after costs, when"
        " each window must find the edge again. If the candles of a seed cannot carry an edge, the"
        " next seed takes its place: the figures describe only candles that can.",
        "Two things flatter these figures. A planted edge never fades, which favours windows that"
        " grow. Its strength is fixed on the very days of the history, which favours a test of the"
        " whole history over one of the out-of-sample days.",
    ),
    "What else could decide": (
        "Three tests that could decide VALIDATION, measured on the same markets. All ask the same"
        " of everything else: at least 30 trades, net profit, a Sharpe ratio of at least 0.5, and"
        " alpha where the series rides the market. A asks for an out-of-sample p below 0.05, C for"
        " a search that beats surrogates, B for both. Which one decides: validation rules §6.",
    ),
    "False discoveries among": (
        "The share is `(1 - p) a / ((1 - p) a + p power)`. p is the share of markets with a true"
        " edge of that strength. a is the false-positive rate of the worst row without an edge in"
        " the first table: first as it was counted, then at the upper end of its interval. A dash"
        " means that nothing was found.",
    ),
}

Sources = Mapping[str, Mapping[str, int]]


def write(
    calibration: Calibration, sources: Sources, command: str, workers: int, folder: Path
) -> None:
    """Write page, picture and JSON into ``folder``.

    Parameters
    ----------
    calibration : Calibration
        The figures.
    sources : mapping
        What `sources.real_days` counted.
    command : str
        What was typed.
    workers : int
        Processes at once.
    folder : Path
        Made when it is not there.

    Raises
    ------
    UserError
        If the folder cannot be written to.
    """
    origin = _origin(command, workers)
    values = {**origin, "real_days": sources, **calibration.to_dict()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(calibration, folder / "calibration.png")
        page = markdown(calibration, sources, origin)
        (folder / "calibration.md").write_text(page, "utf-8")
        text = json.dumps(jsonable(values), indent=2, allow_nan=False)
        (folder / "calibration.json").write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"--write {folder} cannot be written: {error.strerror}.") from None


def markdown(calibration: Calibration, sources: Sources, origin: Mapping[str, Any]) -> str:
    """Return the page; ``origin`` says when, where and how it was measured."""
    computer = origin["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
    parts = [
        "# Calibration",
        "How often does the program find an edge that exists, and how often one that does not? This"
        " command measured it and wrote this page; do not edit it by hand.",
        f"```\n$ {origin['command']}\n```",
        f"Measured {origin['date']} on {computer['cpu']}, {computer['cores']} cores, with"
        f" {origin['workers']} workers of one thread each; {calibration.seconds():,.0f} seconds of"
        f" processor time. sweep-trainer {__version__}, engine `{origin['engine_hash'][:12]}`;"
        f" {versions}. Figures with all digits: [calibration.json](calibration.json).",
        "![Power and false positives](calibration.png)",
    ]
    explanations = dict(EXPLANATIONS)
    for table in tables(calibration):
        about = next((words for words in explanations if table.title.startswith(words)), None)
        text = () if about is None else explanations.pop(about)
        parts += [f"## {table.title}", *text, _markdown_table(table)]
        if table.title.startswith("What the verdict"):
            parts += _dependence(sources)
    return "\n\n".join([*parts, "## Time", _seconds(calibration)]) + "\n"


def _dependence(sources: Sources) -> list[str]:
    """Say how few real days the rearranged markets are made of."""
    if not sources:
        return []
    behind = "; ".join(
        f"at {timeframe} {held['files']} files of {held['coins']} coins, {held['coin_days']:,} days"
        f" of a coin on {held['calendar_days']:,} calendar days"
        for timeframe, held in sources.items()
    )
    return [
        "The intervals take markets as independent. Rearranged markets are not quite: all are made"
        f" of the same real days ({behind}), in an order and with signs of their own. Coins move"
        " together on a day. Cells with and without costs have the same candles. Of real candles"
        " as they are there are no more than the files: read those rows as single cases."
    ]


def _seconds(calibration: Calibration) -> str:
    """Say what a market costs, and which seeds could not be used."""
    timed = (*calibration.strict, *calibration.planted)
    each = ", ".join(f"{calibration.name_of(group)} {group.seconds():.1f}" for group in timed)
    skipped = ", ".join(
        f"{calibration.name_of(g)}: {g.out_of_reach}" for g in calibration.planted if g.out_of_reach
    )
    sentence = f"Median seconds of processor time for one market: {each}."
    return f"{sentence} Seeds skipped: {skipped}." if skipped else sentence


def _markdown_table(table: Table) -> str:
    rows = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _origin(command: str, workers: int) -> dict[str, Any]:
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": provenance.describe(),
        "workers": workers,
        "version": __version__,
        "engine_hash": engine_hash(),
        "versions": {k: v for k, v in runtime_env().items() if k != "platform"},
    }
