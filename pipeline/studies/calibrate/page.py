"""Write the page of a calibration: `calibration.md`, its figures as JSON and its picture."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_engine import DAY_MS
from pipeline import __version__
from pipeline.errors import UserError, how_to_install
from pipeline.market_data.files.reading import read_file
from pipeline.results.jsonable import jsonable
from pipeline.studies.calibrate.markets import named
from pipeline.studies.calibrate.rates import Rate
from pipeline.studies.calibrate.summary import PROMISED, Calibration, Group
from pipeline.studies.calibrate.tables import Table, tables
from pipeline.training import provenance
from pipeline.training.provenance import engine_hash, runtime_env

#: By the beginning of the title of the first table that it belongs to: paragraphs.
EXPLANATIONS: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_name("explanations.json").read_text("utf-8")
)

Sources = Mapping[str, Mapping[str, int]]

#: Of Okabe & Ito 2008: told apart by every kind of sight.
COLOURS = {"VALIDATION": "#56B4E9", "MATURE": "#009E73"}
#: Where a legend covers no figure.
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 4, "frameon": False}
BESIDE = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}


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


def check_drawable() -> None:
    """Refuse before hours of work what would fail after them.

    Raises
    ------
    UserError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UserError(
            "--write needs matplotlib for its picture, which is not installed. Add it, then try"
            f" again: {how_to_install('calibrate')}"
        )


def draw(calibration: Calibration, path: Path) -> None:
    """Write a PNG: power for each edge, and false positives of each cell.

    They stand side by side; of several strategies, whose names take room, one above the other, and
    then the false positives of all cells of a strategy together.
    """
    from matplotlib.figure import Figure  # heavy, and an optional dependency

    # A figure of its own, not pyplot's: no display is asked for, and nothing global is kept.
    several = len(calibration.strategies) > 1
    figure = Figure(figsize=(11, 9 if several else 4.5), layout="constrained")
    power, false_positives = figure.subplots(2, 1) if several else figure.subplots(1, 2)
    _draw_power(power, calibration)
    _draw_false_positives(false_positives, calibration)
    for axes in (power, false_positives):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(**(BESIDE if several else BELOW))
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _draw_power(axes: Any, calibration: Calibration) -> None:
    groups = calibration.planted
    for position, level in enumerate(PROMISED):
        rates = [group.reached(level) for group in groups]
        # Side by side, so that no interval hides another.
        _with_bars(axes, _places(len(rates), position), rates, level)
    edges = ((g, g.edge) for g in groups if g.edge is not None)
    names = [_tick(calibration, g, f"{e.sharpe:g}\n{e.years:g} y") for g, e in edges]
    axes.set_xticks(range(len(names)), names)
    axes.set(
        xlabel="net Sharpe ratio of the planted combination, years of history",
        ylabel="share of markets",
        title="Planted edge: stage reached or bettered",
        xlim=(-0.5, max(len(names), 1) - 0.5),
        ylim=(-0.02, 1.02),
    )


def _draw_false_positives(axes: Any, calibration: Calibration) -> None:
    groups = calibration.strict
    names = [str(group.cell).replace(", ", "\n") for group in groups]
    if len(calibration.strategies) > 1:
        groups = tuple(calibration.together(strategy) for strategy in calibration.strategies)
        names = [_tick(calibration, group, "all cells") for group in groups]
    for position, (level, promised) in enumerate(PROMISED.items()):
        rates = [group.reached(level) for group in groups]
        _with_bars(axes, _places(len(rates), position), rates, level)
        axes.axhline(promised, color=COLOURS[level], linestyle="--", label=f"limit {promised:.0%}")
    axes.set_xticks(range(len(names)), names)
    axes.set(
        ylabel="share of markets",
        title="No edge: false positives",
        xlim=(-0.5, max(len(names), 1) - 0.5),
        ylim=(0, None),
    )


def _tick(calibration: Calibration, group: Group, name: str) -> str:
    """Name a group below the axis; of several strategies also which, a word a line."""
    if len(calibration.strategies) == 1:
        return name
    lines = (*group.cell.strategy.split("_"), name.replace("\n", ", "))
    return "\n".join(lines)


def _places(count: int, position: int) -> list[float]:
    return [index + 0.2 * (position - 0.5) for index in range(count)]


def _with_bars(axes: Any, places: list[float], rates: list[Rate], level: str) -> None:
    """Shares with their 95 % intervals."""
    if not rates:
        return
    shares = [rate.count / rate.total for rate in rates]
    intervals = [rate.interval for rate in rates]
    below = [share - low for share, (low, _) in zip(shares, intervals, strict=True)]
    above = [high - share for share, (_, high) in zip(shares, intervals, strict=True)]
    colour = COLOURS[level]
    axes.errorbar(places, shares, (below, above), fmt="o", color=colour, capsize=3, label=level)


def real_days(files: Sequence[Path]) -> dict[str, dict[str, int]]:
    """Return for each timeframe what its files hold.

    Returns
    -------
    dict
        By timeframe: ``files``, ``coins``, ``coin_days`` (different pairs of a coin and a UTC day)
        and ``calendar_days`` (different days, on which coins move together).
    """
    held: dict[str, list[tuple[str, set[int]]]] = {}
    for file in files:
        name = named(file)
        days = set((read_file(str(file)).timestamp // DAY_MS).tolist())
        held.setdefault(name.timeframe, []).append((name.coin, days))
    return {
        timeframe: {
            "files": len(contents),
            "coins": len({coin for coin, _ in contents}),
            "coin_days": len({(coin, day) for coin, days in contents for day in days}),
            "calendar_days": len(set().union(*(days for _, days in contents))),
        }
        for timeframe, contents in held.items()
    }
