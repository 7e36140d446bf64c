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
EXPLANATIONS: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_name("explanations.json").read_text("utf-8")
)

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
