"""Show what came of watched strategies as Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.studies.band.measure import CHANGES, HORIZONS, Watched
from pipeline.studies.calibrate.rates import clopper_pearson

#: Sharpe ratios out of sample from which a case counts as chosen: what a stage would ask for.
CHOSEN = (0.5, 1.5)


def figures(process: str, oos_days: int, watched: Watched) -> dict[str, Any]:
    """Return the counts of one process and length of its record, as plain values."""
    same = watched.alarm[:, 0] > 0
    chosen = {f"{least:g}": watched.sharpe > least for least in CHOSEN}
    return {
        "process": process,
        "oos_days": oos_days,
        "cases": len(same),
        "silent": watched.silent,
        "false_alarms": int(same.sum()),
        "chosen": {
            least: {"cases": int(which.sum()), "false_alarms": int(same[which].sum())}
            for least, which in chosen.items()
        },
        "decay": _delay(watched.decay),
        "alarms": {
            change: _delay(watched.alarm[:, column]) for column, change in enumerate(CHANGES)
        },
        "left": dict(zip(CHANGES, watched.left.mean(axis=0).tolist(), strict=True)),
        "held": dict(
            zip([*map(str, HORIZONS), "path"], watched.held.mean(axis=0).tolist(), strict=True)
        ),
    }


def _delay(alarm: Any) -> dict[str, Any]:
    """Count the alarms of a change, and the quartiles of their days; None: not within a year."""
    ordered = sorted(int(day) for day in alarm if day)
    quartiles = [
        ordered[place] if (place := int(share * len(alarm))) < len(ordered) else None
        for share in (0.25, 0.5, 0.75)
    ]
    return {"count": len(ordered), "quartiles": quartiles}


def markdown(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tables by name."""
    return {
        "false alarms": _table(
            ("process", "OOS days", "years", "alarms", "% [95 %]",
             *(f"% of Sharpe > {least:g}" for least in CHOSEN), "older signs of decay"),
            [
                (r["process"], r["oos_days"], f"{r['cases']:,}", r["false_alarms"],
                 _share(r["false_alarms"], r["cases"]),
                 *(_share(c["false_alarms"], c["cases"]) for c in r["chosen"].values()),
                 _power(r["decay"], r["cases"]))
                for r in rows
            ],
        ),
        "power": _table(
            ("process", "OOS days", *(c for c in CHANGES if c != "nothing")),
            [
                (r["process"], r["oos_days"],
                 *(_power(r["alarms"][c], r["cases"]) for c in CHANGES if c != "nothing"))
                for r in rows
            ],
        ),
        "band": _table(
            ("process", "OOS days", *(f"day {n}" for n in HORIZONS), "whole year",
             *(f"left: {c}" for c in CHANGES if c != "nothing")),
            [
                (r["process"], r["oos_days"], *(f"{100 * x:.1f}" for x in r["held"].values()),
                 *(f"{100 * x:.0f}" for c, x in r["left"].items() if c != "nothing"))
                for r in rows
            ],
        ),
    }  # fmt: skip


def _share(count: int, total: int) -> str:
    if not total:
        return "-"
    low, high = clopper_pearson(count, total)
    return f"{100 * count / total:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _power(alarms: Mapping[str, Any], cases: int) -> str:
    """Show the share of alarms within a year, and the days until a quarter and half have one."""
    quarter, half, _ = ("-" if day is None else str(day) for day in alarms["quartiles"])
    return f"{100 * alarms['count'] / cases:.0f} % ({quarter}, {half})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
