"""Recognize how a text file lays its candles out: separator, lines above, columns, numbers.

With a line of names any order and spelling is read (`headers`). Without one only what exchanges
publish is known, and each is told from what has as many fields: Binance's trades have seven fields
as Kraken's candles have, KuCoin's candles too, in another order.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.errors import NotCandlesError, UserError
from pipeline.market_data.files.headers import Positions, likeness, other_content, positions
from pipeline.market_data.files.numbers import Decimal, Style, style_of
from pipeline.market_data.raw import COLUMNS

#: Bytes of the line of names, and columns that it may name; lines in which it is looked for, and
#: those whose numbers are looked at.
LONGEST_LINE, MOST_COLUMNS = 64 << 10, 1_000
DEEPEST_HEADER, SAMPLE = 30, 2_000

SEPARATORS = (",", ";", "\t", "|")

#: The names of Binance's archives of futures; those of spot have none
#: (https://github.com/binance/binance-public-data/issues/283).
BINANCE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)


@dataclass(frozen=True)
class Notation:
    """What the user tells about a file that it does not tell itself.

    Attributes
    ----------
    base : str or None
        The market's base, whose volume is wanted.
    decimal : {"point", "comma"} or None
    zone : str or None
        Where times without an offset are from.
    number_advice, zone_advice : str
        What to do where a file does not tell them.
    """

    base: str | None = None
    decimal: Decimal | None = None
    zone: str | None = None
    number_advice: str = "Export it with decimal points and nothing between thousands."
    zone_advice: str = "Write its times with their offset, such as 2023-01-31T14:00+01:00."


@dataclass(frozen=True)
class Layout:
    """How a text file lays its candles out.

    Attributes
    ----------
    separator : str
    skip : int
        Lines above the first row.
    width : int
        Fields of a row.
    positions : Positions
    style : Style
    archive : str or None
        The exchange that publishes such files, where they name no columns.
    kind : {"candles", "trades"}
        Of trades the columns are the time, the price and the amount.
    contract : str or None
        ``linear`` or ``spot`` where the content tells.
    counts : bool
        Whether the first times are whole numbers.
    """

    separator: str
    skip: int
    width: int
    positions: Positions
    style: Style
    archive: str | None = None
    kind: str = "candles"
    contract: str | None = None
    counts: bool = False


_POINTS = Style("point", plain=True)
_FIRST_SIX = Positions((0,), (1, 2, 3, 4, 5))

#: Open time, open, high, low, close, volume, close time, quote volume, trades, taker's volume in
#: base and in quote, unused. Spot files count microseconds from 2025 and milliseconds before; the
#: magnitude tells (https://github.com/binance/binance-public-data).
BINANCE = Layout(",", 0, 12, _FIRST_SIX, _POINTS, "binance")

#: Time in seconds, open, high, low, close, volume, trades
#: (https://support.kraken.com/articles/360047124832).
KRAKEN = Layout(",", 0, 7, _FIRST_SIX, _POINTS, "kraken")

#: Time in seconds, price, amount: Kraken's "time and sales".
KRAKEN_TRADES = Layout(",", 0, 3, Positions((0,), (1, 2)), _POINTS, "kraken", "trades")


def layout_of(text: bytes, name: str, notation: Notation) -> Layout:
    """Recognize the layout of a text file from its beginning, in UTF-8 without a mark.

    Raises
    ------
    NotCandlesError
        If it holds something else.
    UserError
        If what it holds cannot be told for sure.
    """
    lines = _lines(text, name)
    first = _fields(lines[0], ",")
    if _is_number(first[0]):
        return _unnamed(first, lines, name)
    at, separator, names = _header(lines, name)
    if names and lines[at].strip() == BINANCE_HEADER:
        rows = [_fields(line, ",") for line in lines[at + 1 :]]
        _check_linear(rows, name)
        contract = "linear" if rows and len(rows[0][0].strip()) == 13 else None  # milliseconds
        return Layout(",", at + 1, 12, _FIRST_SIX, _POINTS, "binance", contract=contract)
    where = positions(names, name, notation.base)
    rows = [row for line in lines[at + 1 :] if len(row := _fields(line, separator)) == len(names)]
    if len(where.time) == 2 and rows and ":" in rows[0][where.time[0]]:
        where = where._replace(time=where.time[:1])  # the date has its hour, whatever time is
    cells = (row[column] for row in rows for column in where.figures)
    style = style_of(cells, separator, name, notation.decimal, notation.number_advice)
    times = [row[column] for row in rows for column in where.time]
    counts = bool(times) and all(time.isascii() and time.isdigit() for time in times)
    return Layout(separator, at + 1, len(names), where, style, counts=counts)


def _lines(text: bytes, name: str) -> list[str]:
    start = text.lstrip()[: LONGEST_LINE + 1].splitlines()[0]
    fields = start.count(b",") + 1
    if b"\0" in start:
        raise NotCandlesError(
            f"{name} is no CSV: line 1 holds bytes that are no text in UTF-8 or UTF-16. Give a"
            " file of candles, or export this one again as CSV.",
            "no text",
        )
    if len(start) > LONGEST_LINE or fields > MOST_COLUMNS:
        raise NotCandlesError(
            f"{name}: line 1 has {fields:,} fields or more; at most {MOST_COLUMNS:,} are read, of"
            f" {LONGEST_LINE:,} bytes in all. Export the columns {', '.join(COLUMNS)} alone.",
            "lines of too many fields",
        )
    lines = text[: 1 << 20].decode("utf-8", "replace").splitlines()
    if len(text) > 1 << 20:
        lines.pop()  # it is cut
    return lines[: SAMPLE + DEEPEST_HEADER]


def _header(lines: Sequence[str], name: str) -> tuple[int, str, list[str]]:
    """Find the line of names, the first one that names most; return its place and separator."""
    found: list[tuple[int, int, str, list[str]]] = []
    for at, line in enumerate(lines[:DEEPEST_HEADER]):
        if len(line) > LONGEST_LINE:
            break
        for separator in SEPARATORS:
            names = [field.strip() for field in _fields(line, separator)]
            if other := other_content(names):
                there = line.strip()[:100]
                raise NotCandlesError(
                    f"{name} holds {other}, no candles (line {at + 1}: {there}): take the file of"
                    " the candles.",
                    other,
                )
            found.append((likeness(names), -at, separator, names))
    best, at, separator, names = max(found, key=lambda entry: entry[:2])
    if best < 2 or len(names) < 2:
        needed = ", ".join(COLUMNS)
        raise NotCandlesError(
            f"{name} has no line that names the columns of candles in its first"
            f" {DEEPEST_HEADER} lines; line 1 is {lines[0].strip()[:80]!r}. Needed: {needed}. If it"
            " holds candles, write such a line above them.",
            "no line that names columns of candles",
        )
    return -at, separator, names


def _unnamed(first: Sequence[str], lines: Sequence[str], name: str) -> Layout:
    rows = [_fields(line, ",") for line in lines]
    known = (BINANCE, KRAKEN, KRAKEN_TRADES)
    layout = next((one for one in known if one.width == len(first)), None)
    truths = any(field.strip().lower() in ("true", "false") for field in first)
    if truths or (len(first) == 7 and not _is_time(first[0])):
        raise NotCandlesError(
            f"{name} holds trades, no candles (line 1: {','.join(first)[:80]}): take the exchange's"
            " archive of klines.",
            "trades",
        )
    if layout is None or not (all(map(_is_number, first)) and _is_time(first[0])):
        raise NotCandlesError(
            f"{name}: line 1 names no columns and has {len(first)} fields; without names only the"
            f" archives of Binance ({BINANCE.width} fields) and Kraken ({KRAKEN.width}, trades"
            f" {KRAKEN_TRADES.width}) are known. If it holds candles, give it a first line such as"
            f" {','.join(COLUMNS)}.",
            f"{len(first)} columns without names",
        )
    if layout is not KRAKEN_TRADES:
        check_order(rows, name)
    if layout is KRAKEN and any(len(row) > 6 and "." in row[6] for row in rows):
        raise NotCandlesError(
            f"{name} has 7 columns without names, and the last counts no trades, as Kraken's"
            f" archives do: give it a first line such as {','.join(COLUMNS)},turnover, in the order"
            " of its columns.",
            "7 columns without names",
        )
    if layout is BINANCE:
        _check_linear(rows, name)
        if len(first[0].strip()) == 16:  # only spot archives count microseconds
            return replace(BINANCE, contract="spot")
    return layout


def check_order(rows: Sequence[Sequence[str]], name: str) -> None:
    """Refuse rows without names whose high and low are in other columns than expected.

    Coinbase writes time, low, high, open, close; KuCoin time, open, close, high, low.
    """
    wrong = count = 0
    for row in rows:
        try:
            opened, high, low, close = (float(cell) for cell in row[1:5])
        except ValueError:
            continue
        count += 1
        wrong += high < max(opened, close) or low > min(opened, close)
    if wrong * 2 > count:
        raise NotCandlesError(
            f"{name}: in {wrong:,} of {count:,} rows the third column is not the highest price or"
            " the fourth not the lowest, so its columns are not time, open, high, low, close,"
            " volume. Save it as CSV with a first line that names them in their order, such as"
            " timestamp,low,high,open,close,volume.",
            "columns in another order",
        )


def _check_linear(rows: Sequence[Sequence[str]], name: str) -> None:
    """Refuse rows of Binance whose volumes are those of other prices or of inverse contracts.

    The quote volume is the volume at a price between low and high, where a row counts coins.
    Prices that nobody traded at have no volume, and yet a number of updates.
    """
    traded = inverse = untraded = 0
    for row in rows:
        try:
            high, low, volume, quote, count = (float(row[at]) for at in (2, 3, 5, 7, 8))
        except (ValueError, IndexError):
            continue
        untraded += volume == 0 and count > 0
        if volume > 0 and quote > 0:
            traded += 1
            inverse += not low * 0.999 <= quote / volume <= high * 1.001
    if untraded and not traded:
        raise NotCandlesError(
            f"{name} has no volume and yet updates in every row: it holds mark, index or premium"
            " prices, at which nobody traded. Take the archive of klines.",
            "prices that nobody traded at",
        )
    if inverse * 2 > traded:
        raise NotCandlesError(
            f"{name} counts contracts, not coins: it holds a coin-margined (inverse) future, which"
            " is not traded here. Take the archive of a pair that is settled in its quote, such as"
            " BTCUSDT.",
            "a coin-margined future",
        )


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [""]) or [""]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """Whether it may count seconds, milli-, micro- or nanoseconds since the epoch, from 1973 on."""
    return _is_number(text) and float(text) >= 10**8


def unreadable(name: str, archive: str | None, width: int, reason: str) -> UserError:
    """Say that a row cannot be read as the rows before it."""
    if archive is None:
        return UserError(
            f"{name} cannot be read as csv: {reason}. Every row below the line of the names must"
            " have as many fields as that. The file is damaged, or other lines stand between the"
            " rows; fetch or export it again."
        )
    return UserError(
        f"{name} cannot be read as the {width} columns of an archive of {archive.title()}:"
        f" {reason}. It is damaged or cut short; download it again."
    )
