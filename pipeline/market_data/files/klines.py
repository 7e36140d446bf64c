"""Rows of candles as exchanges publish them for download: CSV without names for its columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv

from gpu_engine.records import Int64
from pipeline.errors import UserError
from pipeline.market_data.raw import COLUMNS, MILLISECONDS_TO, RawCandles

#: The first name of the header that some of Binance's files have.
BINANCE_HEADER = "open_time"


@dataclass(frozen=True)
class Layout:
    """A published archive: how many columns it has, of which the first six are those of a candle.

    Attributes
    ----------
    exchange : str
        Whose candles they are.
    columns : int
        Fields in a row.
    unit_ms : int
        Length of the unit that its times count, in milliseconds.
    """

    exchange: str
    columns: int
    unit_ms: int


#: Open time, open, high, low, close, volume, close time, quote volume, trades, taker's volume in
#: base and in quote, unused. Spot files count microseconds from 2025 and milliseconds before; the
#: magnitude tells (https://github.com/binance/binance-public-data).
BINANCE = Layout("binance", 12, 1)

#: Time in seconds, open, high, low, close, volume, trades
#: (https://support.kraken.com/articles/360047124832).
KRAKEN = Layout("kraken", 7, 1_000)


def published_layout(content: bytes, name: str) -> Layout | None:
    """Tell the layout of a CSV file by its first line; None where that names other columns.

    Raises
    ------
    UserError
        If the line has no names and as many fields as no layout has.
    """
    fields = _first_line(content)
    if fields[0] == BINANCE_HEADER:
        return BINANCE
    if not _is_number(fields[0]):
        return None
    for layout in (BINANCE, KRAKEN):
        if len(fields) == layout.columns:
            return layout
    raise UserError(
        f"{name}: line 1 names no columns and has {len(fields)} fields; without names only the"
        f" archives of Binance ({BINANCE.columns} fields) and Kraken ({KRAKEN.columns}) are known."
        f" Give it a first line such as {','.join(COLUMNS)}."
    )


def read_klines(content: bytes, layout: Layout, name: str) -> RawCandles:
    """Read the rows of a published CSV file, in the order of the file.

    Raises
    ------
    UserError
        If a line has too few fields or a field is no number: the line is named.
    """
    unused = [f"unused {column}" for column in range(layout.columns - len(COLUMNS))]
    types = {column: pa.float64() for column in COLUMNS} | {"timestamp": pa.int64()}
    header = 0 if _is_number(_first_line(content)[0]) else 1
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            # Only a single thread counts lines for its errors.
            pyarrow.csv.ReadOptions(
                column_names=[*COLUMNS, *unused], skip_rows=header, use_threads=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=COLUMNS, null_values=[]
            ),
        )
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".").replace("Row #", "line ")
        raise UserError(
            f"{name} cannot be read as the {layout.columns} columns of an archive of"
            f" {layout.exchange.title()}: {reason}. It is damaged or cut short; download it again."
        ) from error
    time, *numbers = (table.column(column).to_numpy() for column in COLUMNS)
    return RawCandles(_milliseconds(time, layout, name), *numbers)


def _milliseconds(time: Int64, layout: Layout, name: str) -> Int64:
    """Convert from the layout's unit, or from the microseconds of newer files."""
    fine = (layout.unit_ms == 1) & (time >= MILLISECONDS_TO)
    most = np.iinfo(np.int64).max // layout.unit_ms
    bad = (fine & (time % 1_000 != 0)) | (time > most) | (time < -most)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {row + 1} is {time[row]}, no whole number of"
            " milliseconds. It is damaged; download it again."
        )
    return np.where(fine, time // 1_000, time * layout.unit_ms)


def _first_line(content: bytes) -> list[str]:
    line = content.lstrip()[:1_000].splitlines()[0].decode("utf-8", "replace")
    return [field.strip().strip('"') for field in line.removeprefix("\ufeff").split(",")]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
