"""Read files of funding rates: Binance's archives, freqtrade's, and tables with named columns."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import UserError, first_line
from pipeline.market_data.raw import (
    MILLISECONDS_FROM,
    MILLISECONDS_TO,
    RawFunding,
    concatenate,
)

if TYPE_CHECKING:
    import pandas as pd

#: Names of the two columns, in the spelling of who writes them, letter case aside.
TIMES = ("calc_time", "fundingtime", "fundingratetimestamp", "funding_time", "timestamp", "date")
RATES = ("last_funding_rate", "fundingrate", "funding_rate", "rate")
#: freqtrade writes the rate as the open of a candle.
FREQTRADE = "funding_rate"

KINDS = (".csv", ".feather", ".parquet", ".json")
#: A rate an hour for a hundred years takes less.
MOST_BYTES = 64 << 20


def is_funding(name: str) -> bool:
    """Tell whether the name of a file says that it holds funding rates."""
    lower = name.lower().replace("-", "").replace("_", "")
    return "fundingrate" in lower or "fundinghistory" in lower


def holds_funding(path: str | Path) -> bool:
    """Tell whether a file, or any of a folder, is named for funding."""
    path = Path(path)
    files = path.rglob("*") if path.is_dir() else (path,)
    return any(is_funding(file.name) for file in files)


def read_funding(path: str | Path) -> RawFunding:
    """Read the payments of a file, a zip, or of every file of a folder that is named for funding.

    Times are integers (seconds to nanoseconds since the epoch; the magnitude tells) or dates; those
    without a zone are UTC.

    Returns
    -------
    RawFunding
        In the order of the files; unchecked.

    Raises
    ------
    UserError
        When there is none, or a file is no table of times and rates.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file() and is_funding(f.name))
    parts = [part for file in files for part in _parts(file)]
    if not parts:
        raise UserError(
            f"{path} has no file of funding rates: their names hold fundingRate or funding_rate,"
            " as in BTCUSDT-fundingRate-2023-01.zip."
        )
    return concatenate(parts, RawFunding)


def _parts(file: Path) -> Iterator[RawFunding]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file} is larger than {MOST_BYTES >> 20} MiB: funding takes less.")
        if file.suffix.lower() != ".zip":
            yield _rows(file.read_bytes(), file.name, str(file))
            return
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                if member.file_size > MOST_BYTES:
                    raise UserError(f"{file}: {member.filename} is too large for funding rates.")
                name = f"{file}: {member.filename}"
                yield _rows(archive.read(member), member.filename, name)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} cannot be read: {first_line(error)}.") from None


def _rows(content: bytes, file_name: str, name: str) -> RawFunding:
    import pandas as pd

    readers: dict[str, Any] = {
        ".csv": pd.read_csv,
        ".feather": pd.read_feather,
        ".parquet": pd.read_parquet,
        ".json": lambda file: pd.DataFrame(json.load(file)),
    }
    suffix = Path(file_name).suffix.lower()
    if suffix not in readers:
        raise UserError(f"{name} is no file of {', '.join(KINDS)}, or a zip of one.")
    try:
        table = readers[suffix](io.BytesIO(content))
    except Exception as error:  # pandas and its engines raise whatever they like
        raise UserError(f"{name} cannot be read as {suffix}: {first_line(error)}.") from None
    if suffix == ".json" and list(table.columns)[:2] == [0, 1]:  # freqtrade names no columns
        table = table.rename(columns={0: "date", 1: "open"})
    table.columns = [str(column).strip().lower() for column in table.columns]
    time = next((c for c in TIMES if c in table), None)
    rate = next((c for c in RATES if c in table), None)
    if rate is None and "open" in table and is_funding(name):
        rate = "open"
    if time is None or rate is None:
        raise UserError(
            f"{name} needs a column of times ({', '.join(TIMES)}) and one of rates"
            f" ({', '.join(RATES)}); it has {', '.join(table.columns)}."
        )
    try:
        return RawFunding(_milliseconds(table[time]), table[rate].to_numpy(np.float64))
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{name}: a time or a rate is none: {first_line(error)}.") from None


def _milliseconds(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column):
        moments = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("datetime64[ms]")
        if np.isnat(moments).any():
            raise ValueError("a time is empty")
        return moments.astype(np.int64)
    times = column.to_numpy(np.float64)
    if not np.isfinite(times).all():
        raise ValueError("a time is empty")
    for scale in (1.0, 1e3, 1e-3, 1e-6):  # milliseconds, seconds, micro- and nanoseconds
        scaled = np.rint(times * scale)
        if ((scaled >= MILLISECONDS_FROM) & (scaled < MILLISECONDS_TO)).all():
            return scaled.astype(np.int64)
    raise ValueError("times are of no known unit, or of several")
