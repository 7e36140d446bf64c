"""Draw power and false positives as one picture."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UserError, how_to_install
from pipeline.studies.calibrate.rates import Rate
from pipeline.studies.calibrate.summary import PROMISED, Calibration, Group

#: Of Okabe & Ito 2008: told apart by every kind of sight.
COLOURS = {"VALIDATION": "#56B4E9", "MATURE": "#009E73"}
#: Where a legend covers no figure.
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 4, "frameon": False}
BESIDE = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}


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
