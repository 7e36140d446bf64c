"""Look for rows of event tables that depend on bars after their signal (exits rules §1.2).

A table of candles that are cut off, or whose future is another, must have the same rows before
that bar. Two kinds of check:

- *whole*: every table on the history up to a few cuts, and once on the whole length with another
  future. They see what reaches far, what is normalised, fitted or resampled, and every table.
- *near*: at many signals, a short piece of the history up to the signal, with its own future, with
  none and with two others. Pieces are cheap, so that signals of every kind have one.

The whole cuts ask a fresh copy of the strategy, in another order: what is drawn at random, or kept
between calls, differs. Work is counted in bars, never in seconds: the same strategy on the same
candles is always checked at the same bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine import SIGNAL, Advance, Candles, EventTable
from pipeline.causality.comparison import Difference, first_difference
from pipeline.causality.finding import Check, Finding
from pipeline.causality.futures import Future, with_future
from pipeline.causality.loosest_settings import first_with_another
from pipeline.causality.places import SHARES, Signals, near_signals, whole_cuts
from pipeline.errors import UserError
from pipeline.strategies.base import EventBuilder, Strategy, of_kind

SEED = 15  # of places and futures: all trainings check the same
PIECE = 1024  # bars before a near signal; doubled where they give no row
FUTURE = 128  # bars after it
NEAR = 24  # most near signals
NEAR_WORK = 2.0  # histories that near checks may read for each table, if they are longer than
NEAR_BARS = 262_144  # bars: 24 signals behind a warm-up of 8,000
TRADED = 6  # signals of the winners' trades, and as many bars that ended one
TABLES = 6  # of a near check: most with a row there, the others with or without
FEWEST = 2  # of a near check that needs long pieces


@dataclass(frozen=True, eq=False)
class _Piece:
    """Candles from bar ``start`` to some bars behind ``cut``, and their tables.

    ``known`` are of all its candles, ``alone`` of those before the cut. ``length`` is how many
    bars before the cut were asked for.
    """

    candles: Candles
    start: int
    cut: int
    length: int
    tables: list[int]
    known: list[EventTable]
    alone: list[EventTable]


class Examination:
    """Looks for look-ahead in one strategy on one market.

    Parameters
    ----------
    strategy : Strategy
    loosest : mapping
        As `Strategy.events` takes it.
    settings : sequence of mapping
        Structural settings to check.
    candles : Candles
    tables : sequence of EventTable or None
        Of ``settings`` in their order; None to build them.
    near : int
        Most near signals.
    work : float
        Histories that near checks may read.
    shares : sequence of float
        Where the whole tables are cut, as shares of the history.
    """

    def __init__(
        self,
        strategy: Strategy,
        loosest: Mapping[str, float],
        settings: Sequence[Mapping[str, float]],
        candles: Candles,
        tables: Sequence[EventTable] | None = None,
        near: int = NEAR,
        work: float = NEAR_WORK,
        shares: Sequence[float] = SHARES,
    ) -> None:
        self._strategy, self._loosest, self._settings = strategy, loosest, settings
        self._candles = candles
        self._generator = np.random.default_rng(SEED)
        self._used = np.zeros(len(settings), np.int64)  # of every table, in near checks
        every = range(len(settings))
        self.tables = list(self._tables(strategy, candles, every) if tables is None else tables)
        self.signals = Signals(candles, settings, self.tables)
        self._cuts, self._work = whole_cuts(self.signals, shares), work
        self._bars = near_signals(self.signals, near, SEED)

    @property
    def steps(self) -> int:
        """How often `findings` calls ``advance``, at most."""
        return len(self._cuts) + 2 + len(self._bars)

    def findings(self, advance: Advance = lambda n: None) -> Iterator[Finding]:
        """Yield what differs, at most one for each table of a check."""
        one = None
        for one in self._of_candles(advance):
            yield one
        if one is None:  # or the same cause would be said twice
            yield from self._with_other_loosest()
        advance(1)

    def again(self, finding: Finding) -> Finding:
        """Return what differs at a second call with the same candles; else the finding itself."""
        if finding.check not in ("cut", "future"):
            return finding
        k, n = self._settings.index(finding.setting), len(self._candles)
        strategy = _fresh(self._strategy)
        with suppress(UserError):  # what it may remember; too few candles to say anything
            self._tables(strategy, self._candles.cut(0, finding.cut), [k])
        again = self._tables(strategy, self._candles, [k])
        return next(self._compare("repeat", [k], [self.tables[k]], again, 0, n, n), finding)

    def _of_candles(self, advance: Advance) -> Iterator[Finding]:
        yield from self._whole(advance)
        yield from self._near_signals(self._bars, advance)

    def _with_other_loosest(self) -> Iterator[Finding]:
        """Compare the fullest table, on a part of the history, with that of another ``loosest``."""
        for cut in self._cuts:
            rows = [int(np.searchsorted(table.signal_bar, cut)) for table in self.tables]
            if any(rows):
                break
        else:
            return
        k, candles = int(np.argmax(rows)), self._candles.cut(0, cut)

        def build(limits: Mapping[str, float]) -> EventTable:
            (table,) = self._tables(_fresh(self._strategy), candles, [k], limits)
            return table

        table = self.tables[k].at(np.arange(max(rows)))
        parted = first_with_another(self._strategy, self._loosest, table, build, cut)
        if parted is not None:
            yield replace(self._finding("loosest", k, 0, cut, parted[0]), occasions=parted[1])

    def near(self, trades: NDArray[Any]) -> Iterator[Finding]:
        """Yield what differs behind some signals of trades and behind their exit signals, drawn."""
        left = trades["signal_bar"][trades["reason"] == SIGNAL]
        exits = [np.zeros(0, np.int32)]
        for table in self.tables:
            if table.exit_signal_bar is not None:
                exits.append(table.exit_signal_bar[np.isin(table.signal_bar, left)])
        generator, drawn = np.random.default_rng(SEED), []
        for every in (trades["signal_bar"], np.concatenate(exits)):
            bars = np.unique(every)
            bars = bars[(bars > 0) & (bars < len(self._candles) - 1)]
            drawn += generator.permutation(bars)[:TRADED].tolist()
        yield from self._near_signals(drawn)

    def _whole(self, advance: Advance) -> Iterator[Finding]:
        """Compare all tables on candles that are cut, and once on another future."""
        cuts, n = self._cuts, len(self._candles)
        every = list(range(len(self._settings)))
        strategy = _fresh(self._strategy)  # for all cuts: they ascend, so it never saw what follows
        for cut in cuts:
            tables, blind = self._cut(strategy, cut, every[::-1])
            known = [self.tables[k] for k in tables]
            yield from self._compare("cut", tables, known, blind, 0, cut, cut)
            advance(1)
        for cut in cuts[-2:-1] or cuts:
            other = with_future(self._candles, cut, "mirror", SEED)
            imagined = self._imagined(_fresh(self._strategy), other, every)
            if imagined is not None:
                yield from self._compare("future", every, self.tables, imagined, 0, cut, n)
            advance(1)

    def _cut(
        self, strategy: Strategy, cut: int, tables: list[int]
    ) -> tuple[list[int], list[EventTable]]:
        """Return tables of the history before a cut, and which they are.

        A strategy may fail where it has too few candles for a signal; nowhere else.
        """
        candles = self._candles.cut(0, cut)
        try:
            return tables, self._tables(strategy, candles, tables)
        except UserError as error:
            fewer = [k for k in tables if np.any(self.tables[k].signal_bar < cut)]
            if len(fewer) < len(tables):
                return self._cut(strategy, cut, fewer) if fewer else ([], [])
            known = f"On the first {cut:,} of {len(self._candles):,} candles, as they were once"
            raise UserError(f"{known}: {error}") from None

    def _near_signals(
        self, bars: Sequence[int], advance: Advance = lambda n: None
    ) -> Iterator[Finding]:
        """Compare pieces of the history that end at a signal, one signal after another."""
        budget = TABLES * max(self._work * len(self._candles), NEAR_BARS)
        strategy, piece, usual = _fresh(self._strategy), None, None
        for number, bar in enumerate(bars):
            if budget <= 0:
                break
            length = PIECE if piece is None else piece.length
            tables = self._of_signal(bar, max(FEWEST, min(TABLES, 2 * PIECE * TABLES // length)))
            piece = self._piece(strategy, bar, tables, length)
            budget -= 4 * len(piece.candles) * len(tables)
            yield from self._compare_piece(strategy, piece, ("gap", "shock")[number % 2])
            advance(1)
            # Not one that begins with the history: those have lengths of their own.
            if usual is None or piece.start > 0:
                usual = piece
        if usual is not None and usual.known:
            # By now this copy has seen many pieces; one that has seen none must give the same.
            again = self._tables(_fresh(self._strategy), usual.candles, usual.tables)
            start, end = usual.start, usual.start + len(usual.candles)
            yield from self._compare("repeat", usual.tables, usual.known, again, start, end, end)

    def _compare_piece(self, strategy: Strategy, piece: _Piece, kind: Future) -> Iterator[Finding]:
        start, cut, end = piece.start, piece.cut, piece.start + len(piece.candles)
        tables, known = piece.tables, piece.known
        yield from self._compare("cut", tables, known, piece.alone, start, cut, cut)
        kinds: tuple[Future, ...] = ("mirror", kind) if known else ()
        for future in kinds:
            other = with_future(piece.candles, cut - start, future, SEED)
            blind = self._imagined(strategy, other, tables)
            if blind is not None:
                yield from self._compare("future", tables, known, blind, start, cut, end)

    def _piece(self, strategy: Strategy, bar: int, tables: list[int], length: int) -> _Piece:
        """Return the shortest piece in which the signal is one, with its tables.

        How many bars a strategy must have before its first signal is for it to say: a piece that
        is too short, on which it may fail too, grows. One that fails at any length has no tables.
        """
        expected = [k for k in tables if _names(self.tables[k], bar)]
        cut, end = bar + 1, min(bar + 1 + FUTURE, len(self._candles))
        while True:
            start = max(0, cut - length)
            candles = self._candles.cut(start, end)
            try:
                known = self._tables(strategy, candles, tables)
                alone = self._tables(strategy, candles.cut(0, cut - start), tables[::-1])[::-1]
            except Exception:
                if start == 0:
                    return _Piece(candles, start, cut, length, [], [], [])
            else:
                has = {k for k, t in zip(tables, known, strict=True) if _names(t, bar - start)}
                if start == 0 or not expected or has.intersection(expected):
                    return _Piece(candles, start, cut, length, tables, known, alone)
            length *= 2

    def _of_signal(self, bar: int, count: int) -> list[int]:
        """Choose tables for a bar: of those with a row there, and of all, the least used so far."""
        with_row, every = self.signals.at(bar), np.arange(len(self._settings))
        chosen: dict[int, None] = {}
        for tables, most in ((with_row, max(FEWEST, count - 2)), (every, count)):
            drawn = self._generator.permutation(tables)
            for k in drawn[np.argsort(self._used[drawn], kind="stable")].tolist():
                if len(chosen) < most:
                    chosen[k] = None
        self._used[list(chosen)] += 1
        return list(chosen)

    def _imagined(
        self, strategy: Strategy, candles: Candles, tables: Sequence[int]
    ) -> list[EventTable] | None:
        """Return tables of an invented future; None where the strategy cannot take it.

        It may hold what a market never showed, such as six bars without a trade: a strategy that
        fails there has done nothing wrong.
        """
        try:
            return self._tables(strategy, candles, tables)
        except Exception:
            return None

    def _tables(
        self,
        strategy: Strategy,
        candles: Candles,
        tables: Sequence[int],
        loosest: Mapping[str, float] | None = None,
    ) -> list[EventTable]:
        limits = self._loosest if loosest is None else loosest
        builder: EventBuilder = strategy.events(candles, limits)
        return [builder.table(self._settings[k]) for k in tables]

    def _compare(
        self,
        check: Check,
        tables: Sequence[int],
        known: Sequence[EventTable],
        blind: Sequence[EventTable],
        start: int,
        cut: int,
        end: int,
    ) -> Iterator[Finding]:
        """Compare tables of candles from bar ``start``; those of ``blind`` end at ``end``."""
        exact = check != "cut"
        for k, one, other in zip(tables, known, blind, strict=True):
            beyond = other.signal_bar >= end - start
            if beyond.any():
                row = int(np.argmax(beyond))
                bar, side = int(other.signal_bar[row]), int(other.side[row])
                yield self._finding("outside", k, start, cut, Difference("row", bar, side, 0, 0))
                continue
            difference = first_difference(one, other, cut - start, exact)
            if difference is not None:
                yield self._finding(check, k, start, cut, difference)

    def _finding(self, check: Check, k: int, start: int, cut: int, found: Difference) -> Finding:
        bar, first = start + found.bar, self._candles
        known, blind = found.first, found.second
        if found.column == "exit_signal_bar":  # a bar of the whole history, -1 for never
            known, blind = (v + start if v is not None and v >= 0 else v for v in (known, blind))
        return Finding(
            check=check,
            setting=self._settings[k],
            column=self._named(found.column),
            bar=bar,
            time=int(first.timestamp[0]) + bar * first.step_ms,
            side=found.side,
            cut=cut,
            known=known,
            blind=blind,
        )

    def _named(self, column: str) -> str:
        if not column.startswith("features["):
            return column
        k, thresholds = int(column[9:-1]), of_kind(self._strategy, "threshold")
        return f"feature {thresholds[k].name}" if k < len(thresholds) else column


def _names(table: EventTable, bar: int) -> bool:
    """Tell whether a row has its signal, or its exit signal, at a bar."""
    exits = table.exit_signal_bar
    return bool(np.any(table.signal_bar == bar) or (exits is not None and np.any(exits == bar)))


def _fresh(strategy: Any) -> Any:
    """Return a copy that has kept nothing of earlier calls, where the strategy can give one."""
    fresh = getattr(strategy, "fresh", None)
    return strategy if fresh is None else fresh()
