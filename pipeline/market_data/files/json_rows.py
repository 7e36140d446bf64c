"""Read JSON piece by piece: rows as ccxt, freqtrade and Binance write them, or named ones."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu_engine import Int64
from pipeline.errors import UserError
from pipeline.market_data.files.archives import Member
from pipeline.market_data.files.clock import milliseconds_of
from pipeline.market_data.files.headers import NotCandlesError, positions
from pipeline.market_data.files.layouts import Notation, check_order
from pipeline.market_data.raw import COLUMNS, RawCandles

#: Fields of a row: ccxt's and freqtrade's, Binance's API.
WIDTHS = (6, 12)


def json_parts(member: Member, notation: Notation) -> Iterator[RawCandles]:
    """Read a list of rows: open time, open, high, low, close, volume, and what may follow.

    A row is a list of numbers, or of texts that are numbers, or it names its fields.

    Raises
    ------
    UserError
        If it is no JSON.
    NotCandlesError
        If it is no list of such rows.
    """
    named = member.start().lstrip()[:64].replace(b" ", b"").replace(b"\n", b"").startswith(b"[{")
    pieces = member.pieces((b"},",) if named else (b"],",))
    rows, begun = 0, b""
    piece: bytes | None = next(pieces)
    while piece is not None:
        following = next(pieces, None)
        text = begun + piece
        content = _loaded(text if following is None else text.rstrip()[:-1] + b"]", str(member))
        part = _candles(content, str(member), rows, notation)
        yield part
        rows += len(part)
        piece, begun = following, b"["


def _loaded(text: bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            " It is damaged or cut short; export it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _no_rows(name) from error


def _candles(content: Any, name: str, before: int, notation: Notation) -> RawCandles:
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        content = _by_name(content, name, notation)
    if not (isinstance(content, list) and content):
        raise _no_rows(name)
    try:
        if len({len(row) for row in content}) != 1 or len(content[0]) not in WIDTHS:
            raise _no_rows(name)
        if not before:
            check_order([list(map(str, row)) for row in content[:2_000]], name)
        rows = np.array([row[: len(COLUMNS)] for row in content], dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise _no_rows(name) from error
    return RawCandles(_times(rows[:, 0], name, before), *rows[:, 1:].T)


def _by_name(content: list[dict[str, Any]], name: str, notation: Notation) -> list[Any]:
    names = list(content[0])
    where = positions(names, name, notation.base)
    keys = [names[at] for at in (where.time[0], *where.figures)]
    try:
        return [[row[key] for key in keys] for row in content]
    except KeyError as error:
        raise UserError(
            f"{name}: a row has no {error}, which the first one has. It is damaged; export it"
            " again."
        ) from error


def _times(times: np.ndarray, name: str, before: int) -> Int64:
    # Beyond 2⁵³ a float64 has no place for every integer; NaN and infinity fail too.
    bad = ~(np.abs(times) < 2.0**53) | (times % 1 != 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{name}: the open time in row {before + row + 1} is {times[row]:g}; it must be a whole"
            " number of milliseconds."
        )
    return milliseconds_of(times.astype(np.int64), name, before)


def _no_rows(name: str) -> NotCandlesError:
    return NotCandlesError(
        f"{name} must hold a list of rows of {len(COLUMNS)} numbers ({', '.join(COLUMNS)}), or of"
        " rows that name them. If it holds candles in another form, export them as CSV with a line"
        " of names.",
        "no rows of candles",
    )
