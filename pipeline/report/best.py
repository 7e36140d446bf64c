"""Lay out the best combinations of a search, in sample and on days that it did not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gpu_engine import Int32, Int64
from pipeline.report.rows import BestRow, ResultRow, columns_of
from pipeline.report.shell import macro
from pipeline.report.tables import Table, slices
from pipeline.report.trials import SCORE, Trials
from pipeline.review.replay import Replay
from pipeline.validation.wording import of_combination, plural, setting

#: Combinations that are shown.
BEST = 50
#: What is said of a combination on some days.
RESULTS = tuple(ResultRow.model_fields)


@dataclass(frozen=True, eq=False)
class Best:
    """The best combinations of a search, the stored one among them.

    Attributes
    ----------
    trials : Trials
    rows : int64 array of shape (n,)
        Of the best scores, best first. Where the stored one is none of the best `BEST`, it stands
        in the last place.
    stored : int or None
        Row of the stored configuration; None where it is not kept.
    """

    trials: Trials
    rows: Int64
    stored: int | None

    @cached_property
    def rank(self) -> Int64:
        """Places among all scores of the search, int64 of shape (n,)."""
        rank = np.arange(1, len(self.rows) + 1)
        if self.stored is not None and len(rank) and self.rows[-1] == self.stored:
            rank[-1] = self.trials.rank(self.stored)
        return rank

    @cached_property
    def parameters(self) -> list[dict[str, float | None]]:
        """Values by name, None for off."""
        columns = {name: make(self.rows) for name, make in self.trials.parameters.items()}
        return [
            {name: None if np.isnan(v[i]) else float(v[i]) for name, v in columns.items()}
            for i in range(len(self.rows))
        ]

    def kept(self, name: str) -> NDArray[Any]:
        """Return a metric as the search kept it, by closed trades; NaN where it kept none."""
        make = self.trials.metrics.get(name)
        return np.full(len(self.rows), np.nan) if make is None else make(self.rows)


def best_of(trials: Trials, stored: Mapping[str, Any], count: int = BEST) -> Best:
    """Choose the best combinations by the score that the search ranked by."""
    rows, own = trials.best(count), trials.row_of(stored)
    if own is not None and own not in rows:
        rows = np.append(rows[: count - 1], own)
    return Best(trials, rows, own)


def best_table(best: Best, again: Replay | None = None) -> Table:
    """Lay out the best combinations, best first (`BestRow`).

    ``again`` is what they came to when they were simulated again; without it the results are those
    that the search kept.
    """
    count = len(best.rows)
    whole: dict[str, NDArray[Any]] = {
        "rank": best.rank,
        "index": best.trials.index(best.rows),
        "stored": best.rows == best.stored,
        "score": best.kept(SCORE),
        "valued": np.full(count, "closed_trades" if again is None else "marked_to_market"),
    }
    for name, make in best.trials.parameters.items():
        whole[f"parameters.{name}"] = make(best.rows)
    for name in RESULTS:
        seen = best.kept(name) if again is None else again.seen.metrics[name]
        unseen = again.unseen if again is not None else None
        none = np.full(count, np.nan)
        whole[f"in_sample.{name}"] = seen
        whole[f"unseen.{name}"] = none if unseen is None else unseen.metrics[name]
    return Table(columns_of(BestRow, list(best.trials.parameters)), count, slices(whole))


def days_sentences(again: Replay | str) -> list[str]:
    """Say which days the search saw, which it did not, and what the figures of those are."""
    if isinstance(again, str):
        return [
            "Only the figures that the search kept are shown, on the days that it saw and by"
            f" closed trades. {again}"
        ]
    results = "Its result is" if again.unseen is None else "Both results are"
    sentences = [
        f"This search saw {_span(again.seen.day)}. {results} marked to market; the score is of"
        " closed trades, as the search ranked it."
    ]
    if again.refused:
        sentences.append(f"Candles since the training are stored and not used: {again.refused}")
    if again.unseen is None:
        return [
            *sentences,
            "It saw every day of its candles, and no unseen days are used: these figures are a"
            " promise alone. The test days of the windows, and the days after the training, say"
            " what such a promise is worth.",
        ]
    gap = f" less a gap of {plural(again.gap, 'day')}" if again.gap else ""
    if again.before is not None:
        sentences.append(
            f"Unseen are {_span(again.before)}: days before those of the search{gap}. Nobody could"
            " have traded these values then, because they were found later. This search did not see"
            " these days; the searches of earlier windows did."
        )
    if again.after is not None:
        sentences.append(
            f"Unseen are {_span(again.after)}: days after those of the search{gap}. They are the"
            " test days, on which the procedure was judged with the values that its window chose. A"
            " search that draws may store other values: it draws anew for the last search."
        )
    if again.since is not None:
        too = "" if again.before is None and again.after is None else " too"
        sentences.append(
            f"Unseen are {_span(again.since)}{too}: days since the training{gap}, of which the"
            " store has candles by now. No search and no test of the training saw them."
        )
    sentences.append(
        "The list is the best in sample. Whoever picks another row because its unseen figures are"
        " better chooses with hindsight: those figures then prove nothing."
    )
    return sentences


def _span(day: Int32) -> str:
    first, last = (str(np.datetime64(int(one), "D")) for one in (day[0], day[-1]))
    return f"{plural(len(day), 'day')}, {first} to {last} (UTC)"


class ShownRow(NamedTuple):
    """A row of the page's table: its rank, what heads it, and each cell with what sorts it."""

    rank: int
    head: str
    stored: bool
    figures: list[tuple[str, float | None]]


class ShownTable(NamedTuple):
    """The page's table."""

    caption: str
    heads: list[str]
    rows: list[ShownRow]


_HEADS = {
    "net_profit": "net",
    "sharpe_ratio": "Sharpe",
    "max_drawdown": "drawdown",
    "sample_size": "trades",
    "win_rate": "wins",
}


def _shown_table(best: Best, again: Replay | None) -> ShownTable:
    """Write the table for the page: per figure the days seen and, if any, unseen side by side."""
    table = best_table(best, again)
    cells = table.cells(0, table.total)
    kinds = [("in_sample", "in sample")]
    if again is not None and again.unseen is not None:  # else it would be columns of nothing
        kinds.append(("unseen", "unseen"))
    columns = [("score", "score")]
    columns += [
        (f"{days}.{name}", f"{_HEADS[name]} {words}") for name in RESULTS for days, words in kinds
    ]
    columns += [(f"parameters.{name}", name) for name in best.trials.parameters]
    rows = [
        ShownRow(
            rank=int(cells["rank"][i]),
            head=f"{cells['rank'][i]:,}" + (" (stored)" if cells["stored"][i] else ""),
            stored=bool(cells["stored"][i]),
            figures=[_cell(name, _figure(cells, name, i)) for name, _ in columns],
        )
        for i in range(table.total)
    ]
    caption = f"Of {best.trials.evaluated:,} combinations, by the score that the search ranked by."
    if best.stored is None:
        caption += " The stored one is not among those that were kept."
    elif int(best.rank[best.rows == best.stored][0]) > 1:
        caption += (
            " The stored one has not the best score: the search took that of the best mean over"
            " itself and its neighbours (validation rules §2.7)."
        )
    return ShownTable(caption, ["rank", *(head for _, head in columns)], rows)


def best_markup(best: Best, again: Replay | None = None) -> Markup:
    """Write the table as HTML, in which every text is escaped."""
    return macro("search.jinja", "best", _shown_table(best, again))


def _figure(cells: Mapping[str, Any], name: str, row: int) -> float:
    """Return a figure of a row; NaN for the share of wins among no trades."""
    days, _, metric = name.partition(".")
    none = metric == "win_rate" and not cells[f"{days}.sample_size"][row]
    return np.nan if none else float(cells[name][row])


def _cell(name: str, value: float) -> tuple[str, float | None]:
    """Write a cell, and say what it is sorted by: None comes last."""
    kind, _, metric = name.partition(".")
    if kind == "parameters":
        return setting(None if np.isnan(value) else value), None if np.isnan(value) else value
    if np.isnan(value):
        return "-", None
    return of_combination(metric, value), value
