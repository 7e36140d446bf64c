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
from pipeline.studies.calibrate.summary import Calibration, Group, Table, tables
from pipeline.training import provenance
from pipeline.training.provenance import engine_hash, runtime_env

#: By the beginning of the title of the first table that it belongs to.
EXPLANATIONS = {
    "Markets without an edge": (
        "Each market ran through the same training as `scripts/train`: the search in"
        " each walk-forward window, the statistics, the stage. No edge exists in these markets."
        " `synthetic` years are generated martingales. `permuted` are real candles with their bars"
        " in random order. `sign_flipped` are real candles with each UTC day mirrored or not, with"
        " equal chance. Columns named after a stage count markets. `VALIDATION+` is the share that"
        " reached VALIDATION or better, with its two-sided 95 % Clopper-Pearson interval. The"
        " limits are 5 % for `VALIDATION+` and 1 % for `MATURE`."
    ),
    "Markets with a planted edge": (
        "In these generated years one combination of the grid has an edge. The strength is its"
        " annualised Sharpe ratio before costs, over the whole year. OOS Sharpe (median,"
        " quartiles) is what remains out of sample and after costs, when each window must find the"
        " edge again. If the candles of a seed cannot carry a strength, the next seed takes its"
        " place; so the figures describe only candles that can."
    ),
    "False discoveries among": (
        "The share is `(1 - p) a / ((1 - p) a + p power)`. p is the share of markets with a true"
        " edge of that strength. a is the false-positive rate of the worst kind above: first as it"
        " was counted, then at the upper end of its interval. A dash means that nothing was found."
    ),
}


def write(calibration: Calibration, command: str, workers: int, folder: Path) -> None:
    """Write page, picture and JSON into ``folder``.

    Parameters
    ----------
    calibration : Calibration
        The figures.
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
    values = {**origin, **calibration.to_dict()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(calibration, folder / "calibration.png")
        page = markdown(calibration, origin)
        (folder / "calibration.md").write_text(page, "utf-8")
        text = json.dumps(jsonable(values), indent=2, allow_nan=False)
        (folder / "calibration.json").write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"--write {folder} cannot be written: {error.strerror}.") from None


def markdown(calibration: Calibration, origin: Mapping[str, Any]) -> str:
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
        f" workers. sweep-trainer {__version__}, engine `{origin['engine_hash'][:12]}`;"
        f" {versions}. Figures with all digits: [calibration.json](calibration.json).",
        "![Power and false positives](calibration.png)",
    ]
    explanations = dict(EXPLANATIONS)
    for table in tables(calibration):
        about = next((words for words in explanations if table.title.startswith(words)), None)
        text = [] if about is None else [explanations.pop(about)]
        parts += [f"## {table.title}", *text, _markdown_table(table)]
    return "\n\n".join([*parts, "## Time", _seconds(calibration)]) + "\n"


def _seconds(calibration: Calibration) -> str:
    """Say what a market costs, and which seeds could not be used."""
    groups = (*calibration.nulls, *calibration.planted)
    each = ", ".join(f"{_name(group)} {group.seconds():.1f}" for group in groups)
    skipped = ", ".join(f"{_name(g)}: {g.out_of_reach}" for g in groups if g.out_of_reach)
    sentence = f"Median seconds that a worker needed for one market: {each}."
    return f"{sentence} Seeds skipped: {skipped}." if skipped else sentence


def _name(group: Group) -> str:
    return group.kind if group.strength is None else f"{group.kind} {group.strength:g}"


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
