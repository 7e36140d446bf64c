"""Read files of funding rates: Binance's archives, freqtrade's, and tables with named columns."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import UserError, first_line
from pipeline.market_data.files.archives import whole_lines
from pipeline.market_data.files.names import pair_in, spellings
from pipeline.market_data.raw import MILLISECONDS_FROM, MILLISECONDS_TO, RawFunding, concatenate

if TYPE_CHECKING:
    import pandas as pd

#: Names of the two columns, in the spelling of who writes them, letter case aside.
TIMES = ("calc_time", "fundingtime", "fundingratetimestamp", "timestamp", "time", "date")
RATES = ("last_funding_rate", "fundingrate", "rate")
#: Names of the column that says whose a row is.
SYMBOLS = ("symbol", "instid", "pair", "market")

KINDS = (".csv", ".feather", ".parquet", ".json")
#: A rate an hour for a hundred years takes less.
MOST_BYTES = 64 << 20


def is_funding(name: str) -> bool:
    """Tell whether the name of a file says that it holds funding rates."""
    return "funding" in name.lower() and Path(name).suffix.lower() in (*KINDS, ".zip")


def holds_funding(path: str | Path) -> bool:
    """Tell whether a file, or any of a folder, is named for funding."""
    return any(is_funding(file.name) for file in _files(Path(path)))


def holds_funding_alone(path: str | Path) -> bool:
    """Tell whether a path is a file of funding, or a folder that has nothing else."""
    return all(is_funding(f.name) or f.suffix == ".CHECKSUM" for f in _files(Path(path)))


def _files(path: Path) -> list[Path]:
    return sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]


def read_funding(
    path: str | Path, pair: str, zone: str | None = None, growing: bool = False
) -> RawFunding:
    """Read the payments of a file, a zip, or of every file of a folder that is named for funding.

    Of a folder, and of a table with a column of symbols, those of other markets are left out. Times
    are integers (seconds to nanoseconds since the epoch; the magnitude tells) or dates.

    Parameters
    ----------
    path : path
    pair : str
        ccxt's symbol of the market, such as ``BTC/USDT:USDT``.
    zone : str, optional
        Where dates without an offset are from; UTC unless it is given.
    growing : bool
        Whether somebody appends to it: the last line of a CSV file is there when it has its end.

    Returns
    -------
    RawFunding
        In the order of the files; unchecked.

    Raises
    ------
    UserError
        When there is none of the market, or a file is no table of times and rates.
    """
    path = Path(path)
    files = _files(path)
    if path.is_dir():
        files = [file for file in files if is_funding(file.name)]
    mine = [file for file in files if not _is_of_another(file.name, pair)]
    parts = [part for file in mine for part in _parts(file, pair, zone, growing)]
    if not parts:
        others = f"; it has those of {', '.join(f.name for f in files[:3])}" if files else ""
        raise UserError(
            f"{path} has no file of funding rates of {pair}{others}: their names hold fundingRate"
            " or funding_rate, as in BTCUSDT-fundingRate-2023-01.zip."
        )
    return concatenate(parts, RawFunding)


def _is_of_another(name: str, pair: str) -> bool:
    """Tell whether a name has another pair of assets."""
    told = pair_in(name.partition(".")[0].replace("fundingRate", "").replace("funding_rate", ""))
    base, quote = pair.partition(":")[0].split("/")
    return told is not None and (told.base not in spellings(base) or told.quote != quote)


def _parts(file: Path, pair: str, zone: str | None, growing: bool) -> Iterator[RawFunding]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file} is larger than {MOST_BYTES >> 20} MiB: funding takes less.")
        if file.suffix.lower() != ".zip":
            content = file.read_bytes()
            if growing and file.suffix.lower() == ".csv":
                content = b"".join(whole_lines([content]))
            yield _rows(content, file.name, str(file), pair, zone)
            return
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.is_dir() or member.filename.startswith("__MACOSX/"):
                    continue
                if member.file_size > MOST_BYTES:
                    raise UserError(f"{file}: {member.filename} is too large for funding rates.")
                name = f"{file}: {member.filename}"
                yield _rows(archive.read(member), member.filename, name, pair, zone)
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"{file} cannot be read: {reason}.") from None


def _rows(content: bytes, file_name: str, name: str, pair: str, zone: str | None) -> RawFunding:
    table = _table(content, Path(file_name).suffix.lower(), name)
    table.columns = [_plain(str(column)) for column in table.columns]
    time = next((c for c in TIMES if c in table), None)
    rate = next((c for c in RATES if c in table), None)
    if rate is None and "open" in table and is_funding(name):
        rate = "open"
    if time is None or rate is None:
        raise UserError(
            f"{name} needs a column of times ({', '.join(TIMES)}) and one of rates"
            f" ({', '.join(RATES)}); it has {', '.join(table.columns)}."
        )
    if table.empty:
        raise UserError(f"{name} has columns of funding and not one payment: take a whole file.")
    table = _of_market(table, pair, name)
    try:
        return RawFunding(_milliseconds(table[time], zone), table[rate].to_numpy(np.float64))
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{name}: a time or a rate is none: {first_line(error)}.") from None


def _table(content: bytes, suffix: str, name: str) -> pd.DataFrame:
    """Read a table of any kind; numbers and times may be texts."""
    import pandas as pd

    readers: dict[str, Any] = {
        ".csv": lambda file: pd.read_csv(file, sep=None, engine="python"),
        ".feather": pd.read_feather,
        ".parquet": pd.read_parquet,
        ".json": lambda file: pd.DataFrame(_json_rows(json.load(file))),
    }
    if suffix not in readers:
        raise UserError(f"{name} is no file of {', '.join(KINDS)}, or a zip of one.")
    try:
        table: pd.DataFrame = readers[suffix](io.BytesIO(content))
    except Exception as error:  # pandas and its engines raise whatever they like
        raise UserError(f"{name} cannot be read as {suffix}: {first_line(error)}.") from None
    if suffix == ".json" and 0 in table.columns:  # freqtrade names no columns
        table = table.rename(columns={0: "date", 1: "open"})
    return table


def _json_rows(answer: Any) -> Any:
    """Take the list out of what exchanges wrap around it."""
    while isinstance(answer, dict):
        answer = next(answer[key] for key in ("data", "result", "list") if key in answer)
    return answer


def _plain(name: str) -> str:
    """Write the name of a column as `TIMES` and `RATES` do: `Funding Rate` is ``fundingrate``."""
    plain = name.strip().lower()
    joined = re.sub(r"[ _]", "", plain)
    return joined if joined in (*TIMES, *RATES) else plain


def _of_market(table: pd.DataFrame, pair: str, name: str) -> pd.DataFrame:
    """Leave out the rows of other markets where a column says whose they are."""
    column = next((c for c in SYMBOLS if c in table), None)
    if column is None:
        return table
    letters = table[column].astype(str).str.upper().str.replace(r"[^A-Z0-9]", "", regex=True)
    base, quote = pair.partition(":")[0].split("/")
    mine = letters.isin(
        [f"{b}{quote}{end}" for b in spellings(base) for end in ("", quote, "SWAP", "PERP")]
    )
    if not mine.any():
        others = ", ".join(sorted(set(table[column].astype(str)))[:3])
        raise UserError(f"{name} has the funding of {others}, and none of {pair}.")
    return table[mine]


def _milliseconds(column: pd.Series[Any], zone: str | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any():
        moments = pd.to_datetime(column)
        if moments.isna().any():
            raise ValueError("a time is empty")
        if moments.dt.tz is None:
            moments = moments.dt.tz_localize(zone or "UTC", ambiguous="raise", nonexistent="raise")
        utc = moments.dt.tz_convert("UTC").dt.tz_localize(None)
        return utc.to_numpy("datetime64[ms]").astype(np.int64)
    times = numbers.to_numpy(np.float64)
    for scale in (1.0, 1e3, 1e-3, 1e-6):  # milliseconds, seconds, micro- and nanoseconds
        scaled = np.rint(times * scale)
        if ((scaled >= MILLISECONDS_FROM) & (scaled < MILLISECONDS_TO)).all():
            return scaled.astype(np.int64)
    raise ValueError("times are of no known unit, or of several")
