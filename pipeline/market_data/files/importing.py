"""Import candles of files into the store, and show where the two disagree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gpu_engine import Int64
from pipeline.cli.console import Console
from pipeline.config import FetchConfig
from pipeline.errors import Note, UserError
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.funding import read_funding
from pipeline.market_data.files.market_files import Progress, read_market_files
from pipeline.market_data.funding import FUNDING, INTERVAL_MS, MINUTE_MS, check_rates
from pipeline.market_data.raw import (
    COLUMNS,
    RawCandles,
    RawFunding,
    Span,
    among,
    clipped,
    empty,
    first_of_each,
    united,
    within,
)
from pipeline.market_data.resample import check_divides, resampled
from pipeline.market_data.store import store
from pipeline.market_data.store.inventory import measured_quality
from pipeline.market_data.timeframe import timeframe_ms, utc

#: Whose candle is kept where the two disagree.
Truth = Literal["stored", "imported"]


@dataclass(frozen=True, eq=False)
class MergeResult:
    """The union of stored and imported candles of one market.

    Attributes
    ----------
    stored : StoredCandles
        Candles of both.
    compared : int
        Times of which both had a candle.
    ours, theirs : RawCandles
        The stored and the imported candles of the times at which they differ, oldest first; rows
        of the same index have the same time.
    only_ours, only_theirs : int64 arrays
        Times of which one has a candle and the other says that there is none, oldest first.
    """

    stored: store.StoredCandles
    compared: int
    ours: RawCandles
    theirs: RawCandles
    only_ours: Int64
    only_theirs: Int64

    def differences(self) -> list[tuple[int, str, float, float]]:
        """Return time, name, stored and imported value of figures of the first that differ."""
        return [
            (int(self.ours.timestamp[row]), name, float(mine), float(other))
            for row in range(min(SHOWN, len(self.ours)))
            for name in COLUMNS[1:]
            if (mine := getattr(self.ours, name)[row]) != (other := getattr(self.theirs, name)[row])
        ]


def merge(
    stored: store.StoredCandles, imported: RawCandles, truth: Truth, answered: Sequence[Span]
) -> MergeResult:
    """Lay imported candles over stored ones.

    Where both answer for a time they may disagree about a candle's numbers, or about whether there
    is one; ``truth`` decides both. Where one alone answers, it is taken. Candles are equal when all
    their numbers are: the decimal strings of an exchange's answers and archives become the same
    float64.

    Parameters
    ----------
    stored : StoredCandles
        What the store has.
    imported : RawCandles
        In any order; of rows of one time the first counts.
    truth : {"stored", "imported"}
        Whose candle is kept where the two disagree.
    answered : sequence of Span
        The time that the imported files answer for. Where it has no candle there was no trade, and
        nothing will be asked for again.
    """
    imported = first_of_each(imported)
    times = imported.timestamp
    our_times = stored.rows.timestamp
    in_both, in_ours = among(our_times, times), among(times, our_times)
    ours = stored.rows.take(np.flatnonzero(in_both))
    theirs = imported.take(np.flatnonzero(in_ours))
    differs = np.zeros(len(ours), np.bool_)
    for name in COLUMNS:
        differs |= getattr(ours, name) != getattr(theirs, name)
    only_theirs = within(times, stored.answered) & ~in_ours
    only_ours = within(our_times, answered) & ~in_both
    if truth == "stored":
        imported = imported.take(~in_ours & ~only_theirs)
    else:
        stored = replace(stored, rows=stored.rows.take(~only_ours))
    return MergeResult(
        stored.overlay(imported, answered),
        len(ours),
        ours.take(differs),
        theirs.take(differs),
        only_ours=our_times[only_ours],
        only_theirs=times[only_theirs],
    )


#: Disagreeing candles to list; the note gives their number.
SHOWN = 5


def import_request(config: FetchConfig) -> Request:
    """Return the files of an import, and the market that they are to be of."""
    assert config.import_path is not None, "whoever calls has files"
    return Request(
        Path(config.import_path),
        config.market.ccxt_id,
        config.market.pair,
        config.data.resample_from or config.market.timeframe,
        zone=config.timezone,
        decimal=config.decimal,
    )


class ImportedCandles(NamedTuple):
    """The candles of files that a configuration takes, and the folder of the store for them."""

    raw: RawCandles
    answered: tuple[Span, ...]
    source: str
    notes: tuple[str, ...]
    folder: Path
    step: int

    @property
    def span(self) -> Span:
        """From the first candle to the end of the last one."""
        return int(self.raw.timestamp[0]), int(self.raw.timestamp[-1]) + self.step


def read_import(config: FetchConfig, progress: Progress | None = None) -> ImportedCandles:
    """Read the candles of an import; nothing is written.

    Raises
    ------
    UserError
        If the files have no candles of the market in ``[data.since, data.until)``, or they are
        broken.
    """
    market, data = config.market, config.data
    request = import_request(config)
    timeframe, path = request.timeframe, request.path
    step = timeframe_ms(timeframe)
    check_divides(step, timeframe_ms(market.timeframe))
    imported = read_market_files(request, progress=progress)
    raw = imported.raw
    since = int(raw.timestamp[0]) if data.since_ms is None else data.since_ms
    until = int(raw.timestamp[-1]) + step if data.until_ms is None else data.until_ms
    # The first open at or after each border: candles open at multiples of the step.
    since, until = (-(-border // step) * step for border in (since, until))
    raw = raw.take((raw.timestamp >= since) & (raw.timestamp < until))
    if len(raw) == 0:
        raise UserError(
            f"{path} has no candle from {utc(since)} to {utc(until)}: widen data.since"
            " and data.until, or leave them null."
        )
    folder = store.candle_path(Path(data.store), request.exchange, market.pair, timeframe)
    answered = clipped(imported.answered, (since, until))
    return ImportedCandles(raw, answered, imported.source, imported.notes, folder, step)


def store_import(
    imported: ImportedCandles,
    truth: Truth,
    note: Note,
    agree: Callable[[MergeResult], None] | None = None,
    held: Note | None = None,
) -> MergeResult:
    """Merge the candles of an import into the store, under the market's lock.

    ``agree`` is called with what would be kept before anything is written, ``held`` in place of
    ``note`` where another process has the lock; both may refuse it by an exception.
    """
    with store.locked(imported.folder, held or note):
        stored = store.load(imported.folder)
        for damage in stored.notes:
            note(damage)
        merged = merge(stored, imported.raw, truth, imported.answered)
        if agree is not None:
            agree(merged)
        store.save(imported.folder, merged.stored, imported.source)
        measured_quality(imported.folder)
    return merged


def preview_import(imported: ImportedCandles) -> MergeResult:
    """Return what an import would lead to; nothing is written, and no lock is waited for."""
    stored = store.load(imported.folder, writable=False)
    return merge(stored, imported.raw, "stored", imported.answered)


def import_candles(console: Console, config: FetchConfig) -> tuple[RawCandles, str]:
    """Merge the candles of files into the store, and return the store's for the same time.

    With ``data.resample_from`` the files hold finer candles. Those are stored, and the market's
    are built from them.

    Returns
    -------
    candles : RawCandles
    source : str
        What errors and tables call them.

    Raises
    ------
    UserError
        As `read_import`.
    """
    imported = read_import(config, console.progress)
    for line in imported.notes:
        console.note(line)
    merged = store_import(imported, config.truth, console.note)
    _show_disagreement(console, merged, config.truth)
    answered = clipped(merged.stored.answered, imported.span)
    candles, step = merged.stored.between(*imported.span), timeframe_ms(config.market.timeframe)
    built = resampled(candles, imported.step, step, answered)
    return built, f"{config.market.id} from {imported.source}"


def import_funding(config: FetchConfig, note: Note) -> int:
    """Put the funding of files into the store; return how many payments they hold.

    Where two payments are at most 8 hours apart there is none between them, and the exchange is
    not asked for any.

    Raises
    ------
    UserError
        If a file is no table of times and rates.
    """
    request = import_request(config)
    source = str(request.path)
    rows = first_of_each(read_funding(request.path, request.pair, request.zone))
    check_rates(rows, source)
    close = np.diff(rows.timestamp) <= INTERVAL_MS + MINUTE_MS
    spans = zip(rows.timestamp[:-1][close], rows.timestamp[1:][close] + 1, strict=True)
    answered = united((int(first), int(after)) for first, after in spans)
    path = store.candle_path(Path(config.data.store), request.exchange, request.pair, FUNDING)
    with store.locked(path, note):
        stored = store.load_rows(path, RawFunding)
        for damage in stored.notes:
            note(damage)
        stored = stored.overlay(empty(RawFunding), answered)
        store.save(path, _with_funding(stored, rows, config.truth, note), source)
    return len(rows)


def _with_funding(
    stored: store.Stored[RawFunding], rows: RawFunding, truth: Truth, note: Note
) -> store.Stored[RawFunding]:
    """Unite stored and imported payments; of one minute the true one counts."""
    ours, theirs = (r.timestamp // MINUTE_MS for r in (stored.rows, rows))
    both = among(theirs, ours)
    differing = rows.rate[both] != stored.rows.rate[np.searchsorted(ours, theirs[both])]
    if differing.any():
        note(
            f"{int(differing.sum()):,} of {int(both.sum()):,} payments that were stored already"
            f" have another rate than the imported ones; truth={truth} keeps the {truth} ones."
        )
    if truth == "stored":
        return stored.overlay(rows.take(~both), ())
    return replace(stored, rows=stored.rows.take(~among(ours, theirs))).overlay(rows, ())


def _show_disagreement(console: Console, merged: MergeResult, truth: Truth) -> None:
    for times, has, lacks in (
        (merged.only_ours, "stored", "imported"),
        (merged.only_theirs, "imported", "stored"),
    ):
        if len(times):
            done = "keeps" if truth == has else "leaves out"
            console.note(
                f"{len(times):,} {has} candles, the first of {utc(int(times[0]))}, are of times for"
                f" which the {lacks} ones say that there is none; truth={truth} {done} them."
            )
    ours = merged.ours
    if len(ours) == 0:
        if merged.compared:
            console.note(f"{merged.compared:,} candles were stored already, and are the same.")
        return
    console.note(
        f"{len(ours):,} of {merged.compared:,} candles that were stored already are other than the"
        f" imported ones; truth={truth} keeps the {truth} ones."
    )
    rows = [
        (utc(time), name, f"{mine:.10g}", f"{other:.10g}")
        for time, name, mine, other in merged.differences()
    ]
    console.table("The first that differ", ("bar", "figure", "stored", "imported"), rows)
