"""Write the figures of an out-of-sample record as tables, for the terminal and for pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.validation import wording

Figures = Mapping[str, Any]

#: Metrics as tables have them: what they are called, their field, how they are written.
_METRICS: tuple[tuple[str, str, str | Callable[[float], str]], ...] = (
    ("net profit", "net_profit", wording.percent),
    ("Sharpe ratio", "sharpe_ratio", ".2f"),
    ("Sortino ratio", "sortino_ratio", ".2f"),
    ("Calmar ratio", "calmar_ratio", ".2f"),
    ("largest drawdown", "max_drawdown", wording.share),
    ("trades", "sample_size", ",d"),
    ("win rate", "win_rate", wording.share),
    ("profit factor", "profit_factor", ".2f"),
    ("days", "n_days", ",d"),
)
#: Costs by their field; the last two are shown where there was such a cost.
_PAID = {
    "fees": "fees",
    "slippage": "slippage",
    "funding": "funding",
    "borrow": "borrowing for shorts",
}
_FORMS = {name: form for _, name, form in _METRICS}


class RecordTable(NamedTuple):
    """A table of written figures; the first cell of a row says what it is of."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def record_tables(
    in_sample: Figures | None,
    out_of_sample: Figures,
    statistics: Figures,
    parameters: Figures | None,
) -> list[RecordTable]:
    """Return the tables of a record, without those whose figures it lacks.

    Parameters
    ----------
    in_sample, out_of_sample : mapping
        Metrics by name; in sample None where nothing is to be stored.
    statistics : mapping
        Those of validation rules §3; an earlier build knew fewer.
    parameters : mapping or None
        The stored ones.
    """
    tables = (
        evidence(in_sample, out_of_sample, statistics),
        years(statistics),
        costs(out_of_sample, statistics),
        sides(statistics),
        settings(parameters or {}, statistics),
    )
    return [table for table in tables if table.rows]


def evidence(in_sample: Figures | None, out_of_sample: Figures, statistics: Figures) -> RecordTable:
    """Set metrics out of sample beside closed trades, holding and the promise.

    Closed trades have a column where one of their figures is written differently, and the long side
    alone where shorts need a loan (validation rules §3.21).
    """
    closed, hold = statistics.get("closed"), statistics.get("hold")
    alone = statistics.get("long_alone")
    if closed is not None and _written(closed, closed) == _written(out_of_sample, closed):
        closed = None
    every = {
        "out of sample": out_of_sample,
        "by closed trades": closed,
        "without shorts": None if alone is None else alone | {"sample_size": alone["trades"]},
        "buy and hold": hold,
        "in sample": in_sample,
    }
    columns = {name: figures for name, figures in every.items() if figures is not None}
    rows = [
        (label, *(_cell(figures, name) for figures in columns.values()))
        for label, name, _ in _METRICS
    ]
    interval = statistics.get("sharpe_interval")
    if interval is not None:
        low, high = (f"{interval[end]:.2f}" for end in ("low", "high"))
        rows.insert(2, ("its 95 % interval", f"{low} to {high}", *("",) * (len(columns) - 1)))
    title = "Evidence: the procedure out of sample, marked to market every day; net of costs"
    return RecordTable(title, ("metric", *columns), rows)


def years(statistics: Figures) -> RecordTable:
    """Set every calendar year's result beside holding."""
    rows = [
        (
            str(year["year"]),
            str(year["days"]),
            f"{year['trades']:,}",
            *(_cell(year, name) for name in ("net_profit", "sharpe_ratio", "max_drawdown")),
            wording.percent(year["hold_net_profit"]),
        )
        for year in statistics.get("years") or ()
    ]
    columns = ("year", "days", "trades", "net profit", "Sharpe ratio", "drawdown", "buy and hold")
    return RecordTable("Out of sample, year by year", columns, rows)


def costs(out_of_sample: Figures, statistics: Figures) -> RecordTable:
    """Set the result without costs, what was paid, and what was left below each other."""
    paid = statistics.get("costs")
    rows: list[tuple[str, ...]] = []
    if paid is not None:
        rows = [("net profit had nothing been paid", wording.percent(paid["gross_net_profit"]))]
        for name, label in _PAID.items():
            if name in ("fees", "slippage") or paid.get(name):
                rows.append((f"{label} paid", wording.share(paid[name])))
        rows.append(("net profit", _cell(out_of_sample, "net_profit")))
    return RecordTable(
        "Costs, in shares of the equity at the time", ("out of sample", "share"), rows
    )


def sides(statistics: Figures) -> RecordTable:
    """Set the longs beside the shorts; a side that was never traded has no row."""
    rows = [
        (
            f"{side}s",
            f"{figures['trades']:,}",
            _cell(figures, "net_profit"),
            _cell(figures, "sharpe_ratio"),
        )
        for side, figures in (statistics.get("sides") or {}).items()
        if figures["trades"]
    ]
    columns = ("side", "trades", "net profit", "Sharpe ratio")
    return RecordTable("Longs and shorts out of sample, by closed trades", columns, rows)


def settings(parameters: Figures, statistics: Figures) -> RecordTable:
    """Say of each stored value how many windows chose it too, and whether its range ends there."""
    made = statistics.get("parameter_choices") or {}
    rows = [
        (name, wording.setting(value), *_choice(made.get(name, {})))
        for name, value in parameters.items()
    ]
    columns = ("parameter", "stored", "windows that chose it", "end of its range")
    return RecordTable("Stored parameters", columns, rows)


def _choice(choice: Figures) -> tuple[str, str]:
    """Write how many windows chose a value, and at which end of its range it lies."""
    counted = choice.get("chosen_in")
    windows = "-" if counted is None else f"{counted} of {choice['windows']}"
    return windows, choice.get("edge") or ""


def statistic_rows(statistics: Figures, out_of_sample: Figures) -> list[tuple[str, str, str]]:
    """Write every statistic with its meaning: name, value, words.

    ``stability_score`` has no row where it is undefined: off the grid there are no neighbours.
    """
    drawdown = out_of_sample.get("max_drawdown")
    beside = {
        "monte_carlo_drawdown": ""
        if drawdown is None
        else f"; the whole record drew down {wording.share(drawdown)}"
    }
    rows = [
        (name, wording.plain(name, statistics[name]), meaning + beside.get(name, ""))
        for name, meaning in wording.MEANINGS.items()
        if name in statistics and (name != "stability_score" or statistics[name] is not None)
    ]
    earlier = statistics.get("earlier_searches")
    if earlier is not None:
        rows.append(("earlier_searches", str(earlier["count"]), _meaning_of(earlier)))
    return rows


def _meaning_of(earlier: Figures) -> str:
    words = "others of this market and these days in the database; they decide no stage"
    if "uncounted" in earlier:
        words += f". {wording.uncounted_searches(earlier['uncounted']).rstrip('.')}"
    if not earlier["count"] or earlier["p_after"] is None:
        return words
    return f"{words}: of the best of all, p is at most {wording.number(earlier['p_after'])}"


def _cell(figures: Figures, name: str) -> str:
    """Write a metric; empty where there is none of its kind. Of no trade there is no win rate."""
    if name == "win_rate" and name in figures and figures.get("sample_size") == 0:
        return "-"
    return wording.defined(figures[name], _FORMS[name]) if name in figures else ""


def _written(figures: Figures, names: Figures) -> Sequence[str]:
    return [_cell(figures, name) for name in names]
