"""Draw the power curve and the false positives as one picture."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UserError, how_to_install
from pipeline.studies.calibrate.summary import LEVELS, PROMISED, Calibration, Rate

#: Of Okabe & Ito 2008: told apart by every kind of sight.
COLOURS = {"DISCOVERY": "#E69F00", "VALIDATION": "#56B4E9", "MATURE": "#009E73"}
#: Where a legend covers no figure.
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "ncols": 4, "frameon": False}


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
    """Write a PNG: power over strength on the left, false positives of each kind on the right."""
    from matplotlib.figure import Figure  # heavy, and an optional dependency

    # A figure of its own, not pyplot's: no display is asked for, and nothing global is kept.
    figure = Figure(figsize=(10, 4), layout="constrained")
    power, false_positives = figure.subplots(1, 2)
    _draw_power(power, calibration)
    _draw_false_positives(false_positives, calibration)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _draw_power(axes: Any, calibration: Calibration) -> None:
    strengths = [group.strength or 0.0 for group in calibration.planted]
    for position, level in enumerate(LEVELS):
        rates = [group.reached(level) for group in calibration.planted]
        # Side by side, so that no interval hides another.
        _with_bars(axes, [s + 0.1 * (position - 1) for s in strengths], rates, level, "-o")
    axes.set(
        xlabel="gross Sharpe ratio of the planted combination",
        ylabel="share of markets",
        title="Planted edge: stage reached or bettered",
        ylim=(-0.02, 1.02),
    )
    axes.set_xticks(strengths)
    if strengths:
        axes.legend(**BELOW)


def _draw_false_positives(axes: Any, calibration: Calibration) -> None:
    for position, (level, promised) in enumerate(PROMISED.items()):
        rates = [group.reached(level) for group in calibration.nulls]
        places = [index + 0.2 * (position - 0.5) for index in range(len(rates))]
        _with_bars(axes, places, rates, level, "o")
        axes.axhline(promised, color=COLOURS[level], linestyle="--", label=f"limit {promised:.0%}")
    names = [group.kind for group in calibration.nulls]
    axes.set_xticks(range(len(names)), names)
    axes.set(
        ylabel="share of markets",
        title="No edge: false positives",
        xlim=(-0.5, max(len(names), 1) - 0.5),
        ylim=(0, None),
    )
    axes.legend(**BELOW)


def _with_bars(axes: Any, places: list[float], rates: list[Rate], level: str, style: str) -> None:
    """Shares with their 95 % intervals."""
    if not rates:
        return
    shares = [rate.count / rate.total for rate in rates]
    intervals = [rate.interval for rate in rates]
    below = [share - low for share, (low, _) in zip(shares, intervals, strict=True)]
    above = [high - share for share, (_, high) in zip(shares, intervals, strict=True)]
    colour = COLOURS[level]
    axes.errorbar(places, shares, (below, above), fmt=style, color=colour, capsize=3, label=level)
