"""Hold a strategy's short side against its long side on candles that stand upside down.

Every price p becomes C - p, so that a high is a low, a rise a fall, and every distance and ATR is
what it was. Prices are put on a grid of powers of two first, on which C - p is exact. What a
strategy measures as a fraction of the price does change, and is not compared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpu_engine import Candles, EventTable
from pipeline.errors import UserError
from pipeline.strategies.base import Strategy, of_kind

STEPS = 2.0**20  # grid steps in the lowest price, at least
NEAR = 1e-6  # relative: means of C - p round otherwise than means of p

_OF_PRICE = re.compile(r"fraction|%|bps|per cent|percent", re.IGNORECASE)


@dataclass(frozen=True)
class Mirrored:
    """Whether the sides of a strategy mirror each other.

    ``outcome`` is ``mirrored``, ``different`` or ``not tested``; ``reason`` says where or why.
    ``rows`` were compared, and ``unlike`` of them differ.
    """

    outcome: str
    reason: str
    rows: int = 0
    unlike: int = 0


def reflected(candles: Candles) -> tuple[Candles, Candles, float]:
    """Return candles on a grid of powers of two, the same upside down, and the C of C - p."""
    step = 2.0 ** np.floor(np.log2(candles.low.min())) / STEPS
    prices = {n: np.rint(getattr(candles, n) / step) * step for n in ("open", "high", "low")}
    close = np.rint(candles.close / step) * step
    constant = float(prices["high"].max() + prices["low"].min())
    upright = replace(candles, **prices, close=close)
    return upright, upside_down(upright, constant), constant


def upside_down(candles: Candles, constant: float) -> Candles:
    """Return candles of the prices ``constant - p``."""
    return replace(
        candles,
        open=constant - candles.open,
        high=constant - candles.low,
        low=constant - candles.high,
        close=constant - candles.close,
    )


def mirror_test(
    strategy: Strategy,
    loosest: Mapping[str, float],
    settings: Sequence[Mapping[str, float]],
    candles: Candles,
) -> Mirrored:
    """Compare every table with the one of the candles upside down, its sides swapped."""
    of_price = [p.name for p in of_kind(strategy, "structural") if _OF_PRICE.search(p.unit)]
    if of_price:
        return Mirrored("not tested", f"{', '.join(of_price)}: a fraction of the price")
    thresholds = of_kind(strategy, "threshold")
    skipped = [k for k, p in enumerate(thresholds) if _OF_PRICE.search(p.unit)]
    # A filter that is a fraction of the price takes other rows there: it is off for both.
    off = {thresholds[k].name: thresholds[k].off for k in skipped if thresholds[k].name in loosest}
    upright, mirror, constant = reflected(candles)
    kept = [k for k in range(len(thresholds)) if k not in skipped]
    rows = unlike = 0
    first = ""
    try:
        builders = [strategy.events(c, {**loosest, **off}) for c in (upright, mirror)]
        for setting in settings:
            one, other = (builder.table(setting) for builder in builders)
            differing, where = _unlike(one, swapped(other, constant), kept)
            rows, unlike = rows + len(one), unlike + differing
            if differing and not first:
                first = f"{where} ({', '.join(f'{n}={v:g}' for n, v in setting.items())})"
    except UserError as error:
        return Mirrored("not tested", str(error))
    left = f"; not compared: {', '.join(thresholds[k].name for k in skipped)}" if skipped else ""
    if unlike:
        return Mirrored(
            "different", f"{unlike:,} of {rows:,} rows, the first {first}{left}", rows, unlike
        )
    return Mirrored("mirrored", f"{rows:,} rows{left}", rows)


def swapped(table: EventTable, constant: float) -> EventTable:
    """Return the table of the mirror image as one of the original."""
    order = np.lexsort((table.side, table.setup_bar, table.signal_bar))
    levels: dict[str, Any] = {
        name: None if level is None else (constant - level)[order]
        for name in ("stop_level", "target_level")
        for level in [getattr(table, name)]
    }
    return replace(table.at(order), side=-table.side[order], **levels)


def _unlike(one: EventTable, other: EventTable, features: Sequence[int]) -> tuple[int, str]:
    """Count rows that only one has or that differ, and say where the first is."""
    keys = [list(zip(t.signal_bar, t.setup_bar, t.side, strict=True)) for t in (one, other)]
    places = [{key: row for row, key in enumerate(k)} for k in keys]
    alone = sorted(set(places[0]) ^ set(places[1]))
    both = [key for key in keys[0] if key in places[1]]
    a, b = (
        t.at(np.array([p[key] for key in both], np.int64))
        for t, p in zip((one, other), places, strict=True)
    )
    differs = np.zeros(len(both), np.bool_)
    names = []
    for name in ("atr", "stop_level", "target_level", "exit_signal_bar"):
        x, y = getattr(a, name), getattr(b, name)
        if x is not None and y is not None:
            names.append((name, ~np.isclose(x, y, NEAR, 0.0, equal_nan=True)))
    for k in features:
        x, y = a.features[:, k], b.features[:, k]
        names.append((f"feature {k + 1}", ~np.isclose(x, y, NEAR, NEAR, equal_nan=True)))
    for _, wrong in names:
        differs |= wrong
    if alone:
        return len(alone) + int(differs.sum()), f"at bar {alone[0][0]:,}: only one side has it"
    if differs.any():
        row = int(np.argmax(differs))
        column = next(name for name, wrong in names if wrong[row])
        return int(differs.sum()), f"at bar {both[row][0]:,}: its {column}"
    return 0, ""
