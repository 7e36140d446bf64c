"""Read CSV of candles or of trades piece by piece, with named columns or as exchanges publish.

A piece is read as if it were a file: so a file of any size takes the memory of a piece, beside its
candles. A file of up to one piece is read as a whole.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv

from gpu_engine import Advance, Float, Int64
from pipeline.errors import UserError, first_line
from pipeline.market_data.arrow import array_of, cast
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.clock import Clock
from pipeline.market_data.files.layouts import Layout, unreadable
from pipeline.market_data.files.numbers import EMPTY, MARKS, numbers_of
from pipeline.market_data.raw import COLUMNS, RawCandles, concatenate
from pipeline.market_data.resample import NS_PER_MS, candles_of_trades
from pipeline.market_data.timeframe import utc


def csv_parts(member: Member, layout: Layout, clock: Clock) -> Iterator[RawCandles]:
    """Read the candles of a CSV file.

    Raises
    ------
    UserError
        If a row has too few fields or a field is no number.
    """
    for table in tables(member, layout, layout.style.plain):
        time, *figures = COLUMNS
        yield RawCandles(
            clock.times(table.column(time)),
            *(_figure(table.column(name), layout, str(member), name) for name in figures),
        )


def tables(member: Member, layout: Layout, plain: bool) -> Iterator[pa.Table]:
    """Read the columns of a layout piece by piece: numbers where they are plain, else text."""
    name, lines, skip = str(member), 0, layout.skip
    for piece in member.pieces((b"\n", b"\r")):
        try:
            table = _read(piece, layout, skip, plain)
        except (pa.ArrowException, ValueError) as error:  # UnicodeDecodeError too
            table = _as_text(piece, layout, skip, plain)
            if table is None:
                raise _damaged(name, layout, error, lines, piece, skip) from error
        yield table
        skip = 0
        lines += piece.count(b"\n") or piece.count(b"\r")


def _as_text(piece: bytes, layout: Layout, skip: int, plain: bool) -> pa.Table | None:
    """Read as text what is no plain number, such as thousands that the first rows lack."""
    if not plain or layout.archive:
        return None
    try:
        return _read(piece, layout, skip, plain=False)
    except (pa.ArrowException, ValueError):
        return None


def _read(piece: bytes, layout: Layout, skip: int, plain: bool) -> pa.Table:
    """Read one piece; the time is text unless it counts, and its day and hour are joined."""
    names = [f"unused {at}" for at in range(layout.width)]
    time, *rest = layout.positions.time
    names[time] = "timestamp"
    for at in rest:
        names[at] = "hour"
    figures = COLUMNS[1:] if layout.kind == "candles" else ("price", "amount")
    for at, column in zip(layout.positions.figures, figures, strict=True):
        names[at] = column
    needed = ["timestamp", *(["hour"] if rest else []), *figures]
    types = dict.fromkeys(needed, pa.string())
    if plain:
        types |= dict.fromkeys(figures, pa.float64())
        if layout.counts:
            types["timestamp"] = pa.int64()
    if layout.archive:
        types["timestamp"] = pa.int64() if layout.kind == "candles" else pa.decimal128(28, 9)
    table = pyarrow.csv.read_csv(
        pa.BufferReader(piece),
        # Only a single thread counts lines for its errors.
        pyarrow.csv.ReadOptions(
            column_names=names, skip_rows=skip, use_threads=layout.archive is None
        ),
        pyarrow.csv.ParseOptions(delimiter=layout.separator),
        pyarrow.csv.ConvertOptions(
            column_types=types,
            include_columns=needed,
            null_values=[] if layout.archive else EMPTY,
            strings_can_be_null=True,
            decimal_point=MARKS[layout.style.decimal],
        ),
    )
    if rest:
        from pyarrow import compute

        day, hour = table.column("timestamp"), table.column("hour")
        both = compute.binary_join_element_wise(day, hour, " ")
        table = table.set_column(0, "timestamp", both)
    return table


def _figure(column: pa.ChunkedArray, layout: Layout, path: str, name: str) -> Float:
    if pa.types.is_string(column.type):
        return numbers_of(column, layout.style, path, name)
    values: Float = array_of(cast(column, pa.float64()))
    return values


def _damaged(
    name: str, layout: Layout, error: Exception, lines: int, piece: bytes, skip: int
) -> UserError:
    # Arrow counts no empty line behind those that it skips.
    counted = [at for at, line in enumerate(piece.splitlines(), 1) if line or at <= skip]

    def place(row: re.Match[str]) -> str:
        return f"line {counted[int(row[1]) - 1] + lines}"

    reason = re.sub(r"Row #(\d+)", place, first_line(error))
    return unreadable(name, layout.archive, layout.width, reason)


def candles_of_file(
    member: Member, layout: Layout, step: int, advance: Advance | None = None
) -> RawCandles:
    """Build the candles of a file of trades, in the order of time.

    The rules are those of `data.kraken=trades`: an interval without a trade has no candle. A file
    tells not whether it has all trades of its first and of its last interval. Kraken's files begin
    and end with a quarter of a year, so an interval there is whole; any other is left out.

    Parameters
    ----------
    member : Member
    layout : Layout
    step : int
        Length of a candle, milliseconds.
    advance : callable, optional
        Called with the number of trades that were read since its last call.

    Raises
    ------
    UserError
        If a row is no trade, or trades are out of order by more than an interval.
    """
    parts: list[RawCandles] = []
    first = last = 0
    pending: tuple[Int64, Float, Float] = (np.empty(0, np.int64), np.empty(0), np.empty(0))
    for time, price, amount in _trades(member, layout, advance):
        if not len(time):
            continue
        bar = time // (step * NS_PER_MS)
        before = pending[0][-1:] // (step * NS_PER_MS)
        if (np.diff(np.concatenate([before, bar])) < 0).any():
            raise UserError(
                f"{member}: its trades are not in the order of time, so the first and last price"
                " of an interval cannot be told. Download it again."
            )
        first = first or int(time[0])
        last = int(time[-1])
        joined = [np.concatenate(pair) for pair in zip(pending, (time, price, amount), strict=True)]
        over = joined[0] // (step * NS_PER_MS) < bar[-1]
        parts.append(candles_of_trades(joined[0][over], joined[1][over], joined[2][over], step))
        pending = (joined[0][~over], joined[1][~over], joined[2][~over])
    parts.append(candles_of_trades(*pending, step))
    raw = concatenate(parts, RawCandles)
    whole = np.ones(len(raw), np.bool_)
    if len(raw):
        whole[0] = _quarter(int(raw.timestamp[0]))
        whole[-1] &= _quarter(int(raw.timestamp[-1]) + step)
    if not whole.any():
        raise UserError(
            f"{member} has trades from {utc(first // NS_PER_MS)} to {utc(last // NS_PER_MS)}, in"
            " which no interval is whole: take a file of more time."
        )
    return raw.take(whole)


def _trades(
    member: Member, layout: Layout, advance: Advance | None
) -> Iterator[tuple[Int64, Float, Float]]:
    """Read times in nanoseconds, prices and amounts piece by piece."""
    rows = 0
    for table in tables(member, layout, plain=True):
        price, amount = (array_of(table.column(name)) for name in ("price", "amount"))
        bad = ~((price > 0) & (price < np.inf) & (amount >= 0) & (amount < np.inf))
        if bad.any():
            row = int(np.argmax(bad))
            raise UserError(
                f"{member}: no trade has the price {price[row]:g} and the amount {amount[row]:g},"
                f" as row {rows + row + 1} has. It is damaged; download it again."
            )
        yield _nanoseconds(table.column("timestamp")), price, amount
        rows += len(price)
        if advance is not None:
            advance(len(price))


def _nanoseconds(seconds: pa.ChunkedArray) -> Int64:
    """Return decimals of nine places as what they count, without their point."""
    parts = [np.empty(0, np.int64)]
    for chunk in seconds.chunks:
        halves = np.frombuffer(chunk.buffers()[1], np.int64).reshape(-1, 2)  # low, high
        parts.append(halves[chunk.offset : chunk.offset + len(chunk), 0])
    return np.concatenate(parts)


def _quarter(moment: int) -> bool:
    """Whether a moment is the border of two quarters of a year, UTC."""
    time = datetime.fromtimestamp(moment / 1_000, UTC)
    return (time.month % 3, time.day, time.hour, time.minute) == (1, 1, 0, 0)
