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

    They stand side by side; of several strategies, whose names take room, one above the other.
    """
    from matplotlib.figure import Figure  # heavy, and an optional dependency

    # A figure of its own, not pyplot's: no display is asked for, and nothing global is kept.
    several = len(calibration.strategies) > 1
    figure = Figure(figsize=(11, 11 if several else 4.5), layout="constrained")
    power, false_positives = figure.subplots(2, 1) if several else figure.subplots(1, 2)
    _draw_power(power, calibration)
    _draw_false_positives(false_positives, calibration)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _draw_power(axes: Any, calibration: Calibration) -> None:
    groups = calibration.planted
    for position, level in enumerate(PROMISED):
        rates = [group.reached(level) for group in groups]
        # Side by side, so that no interval hides another.
        _with_bars(axes, _places(len(rates), position), rates, level)
    edges = ((g, f"{g.edge.sharpe:g}\n{g.edge.years:g} y") for g in groups if g.edge is not None)
    names = [_tick(calibration, group, name) for group, name in edges]
    axes.set_xticks(range(len(names)), names, rotation=_rotation(calibration))
    axes.set(
        xlabel="net Sharpe ratio of the planted combination, years of history",
        ylabel="share of markets",
        title="Planted edge: stage reached or bettered",
        xlim=(-0.5, max(len(names), 1) - 0.5),
        ylim=(-0.02, 1.02),
    )
    if groups:
        axes.legend(**BELOW)


def _draw_false_positives(axes: Any, calibration: Calibration) -> None:
    groups = calibration.strict
    for position, (level, promised) in enumerate(PROMISED.items()):
        rates = [group.reached(level) for group in groups]
        _with_bars(axes, _places(len(rates), position), rates, level)
        axes.axhline(promised, color=COLOURS[level], linestyle="--", label=f"limit {promised:.0%}")
    names = [_tick(calibration, g, str(g.cell).replace(", ", "\n")) for g in groups]
    axes.set_xticks(range(len(names)), names, rotation=_rotation(calibration))
    axes.set(
        ylabel="share of markets",
        title="No edge: false positives",
        xlim=(-0.5, max(len(names), 1) - 0.5),
        ylim=(0, None),
    )
    axes.legend(**BELOW)


def _tick(calibration: Calibration, group: Group, name: str) -> str:
    """Name a group below the axis, on one line where a strategy's name comes first."""
    if len(calibration.strategies) == 1:
        return name
    return f"{group.cell.strategy} {name.replace(chr(10), ' ')}"


def _rotation(calibration: Calibration) -> float:
    return 90.0 if len(calibration.strategies) > 1 else 0.0


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
