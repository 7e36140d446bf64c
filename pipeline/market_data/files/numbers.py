"""Tell how the numbers of a text file are written, and read those that are not plain.

``1.234`` is a thousand and more to some and a little over one to others. So a mark counts as the
decimal one only where a number proves it; a file without such a proof is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from gpu_engine import Float
from pipeline.errors import UserError
from pipeline.market_data.arrow import array_of, cast

Decimal = Literal["point", "comma"]
MARKS: dict[Decimal, str] = {"point": ".", "comma": ","}

#: Between thousands besides the other mark: space, no-break spaces, apostrophes.
_SPACES = "[ \u00a0\u202f'\u2019]"
_SIGNED = r"[+-]?"

#: A mark, at most three digits before it and three after: decimals, or thousands.
_DOUBTFUL = re.compile(rf"{_SIGNED}[1-9]\d{{0,2}}([.,])\d{{3}}")
_THOUSANDS = {
    mark: re.compile(rf"{_SIGNED}[1-9]\d{{0,2}}(\{mark}\d{{3}}){{2,}}") for mark in MARKS.values()
}

#: What stands for an empty cell, beside nothing.
EMPTY = ["", "-", "null", "NULL", "NaN", "nan", "NA", "N/A", "n/a", "None"]

#: Behind a volume in some exports: ``1.23K``.
_MANY = {"K$": "e3", "M$": "e6", "B$": "e9"}


@dataclass(frozen=True)
class Style:
    """How numbers are written.

    Attributes
    ----------
    decimal : {"point", "comma"}
    plain : bool
        Whether there is nothing in them but digits, a sign, an exponent and the decimal mark.
    """

    decimal: Decimal
    plain: bool


def style_of(
    cells: Iterable[str], separator: str, name: str, decimal: Decimal | None, advice: str
) -> Style:
    """Tell how numbers are written from some of them.

    Parameters
    ----------
    cells : iterable of str
        Those of prices and volumes, from the first rows.
    separator : str
        Between columns. Where it is a comma, marks stand in quotes or are points.
    name : str
        What errors call the file.
    decimal : {"point", "comma"} or None
        What the user says; None: the numbers tell.
    advice : str
        What to do where they do not tell.

    Raises
    ------
    UserError
        If some prove the one mark and some the other, or none proves what the marks mean.
    """
    proofs: dict[str, str] = {}
    doubt: dict[str, str] = {}
    plain = True
    for cell in cells:
        text = cell.strip()
        plain &= text == cell and (text in EMPTY or re.fullmatch(r"[\d.,eE+-]*", text) is not None)
        number = re.sub(rf"(?<=\d){_SPACES}(?=\d{{3}})", "", text).lstrip("$").rstrip("KMB")
        mark, proven = _proof(number)
        if mark:
            (proofs if proven else doubt).setdefault(mark, text)
            plain &= number.count(".") + number.count(",") <= 1
    if decimal is None and len(proofs) > 1:
        first, second = proofs.values()
        raise UserError(
            f"{name} writes numbers in two ways, {first} and {second}: export it again, with one"
            " decimal mark in all columns."
        )
    if decimal is None and not proofs and doubt and (separator != "," or "," in doubt):
        raise UserError(
            f"{name}: {next(iter(doubt.values()))} may be a number with decimals or one with"
            f" thousands, and no other number tells which. {advice}"
        )
    mark = MARKS[decimal] if decimal else next(iter(proofs), ".")
    other = "," if mark == "." else "."
    plain = plain and other not in doubt and other not in proofs
    return Style("comma" if mark == "," else "point", plain)


def _proof(number: str) -> tuple[str, bool]:
    """Return the mark that a number has or allows as its decimal one, and whether it proves it."""
    marks = [sign for sign in number if sign in ".,"]
    if not marks:
        return "", False
    other = {",": ".", ".": ","}
    if len(set(marks)) == 2:  # the last is the decimal one: 16,541.50
        return marks[-1], True
    if len(marks) > 1:
        return (other[marks[0]], True) if _THOUSANDS[marks[0]].fullmatch(number) else ("", False)
    return marks[0], _DOUBTFUL.fullmatch(number) is None


def numbers_of(column: pa.ChunkedArray, style: Style, name: str, what: str) -> Float:
    """Read numbers that are not plain, each exactly as the style says.

    Parameters
    ----------
    column : ChunkedArray of string
    style : Style
    name, what : str
        What errors call the file and the column.

    Returns
    -------
    float64 array
        NaN for an empty cell.

    Raises
    ------
    UserError
        If a cell is no number in this style.
    """
    from pyarrow import compute  # 50 ms, and needless to whom all numbers are plain

    mark = MARKS[style.decimal]
    thousands = r"\." if mark == "," else ","
    digits = rf"(\d+|\d{{1,3}}({thousands}\d{{3}})+|\d{{1,3}}({_SPACES}\d{{3}})+)"
    many = "[KMB]?" if what == "volume" else ""
    pattern = rf"^\$?{_SIGNED}({digits}(\{mark}\d*)?|\{mark}\d+)([eE]{_SIGNED}\d+)?{many}$"
    text = compute.utf8_trim_whitespace(cast(column, pa.string()))
    empty = compute.is_in(text, value_set=pa.array(EMPTY))
    fits = compute.or_(compute.fill_null(empty, True), compute.match_substring_regex(text, pattern))
    bad = compute.index(fits, value=False).as_py()
    if bad >= 0:
        raise UserError(
            f"{name}: column '{what}' has {text[bad].as_py()!r}, which is no number with a decimal"
            f" {style.decimal}: export it again, with one way to write numbers in all rows."
        )
    text = compute.if_else(compute.fill_null(empty, True), None, text)
    plain = [(rf"\$|{_SPACES}", ""), (thousands, ""), (rf"\{mark}", "."), *_MANY.items()]
    for written, replacement in plain:
        text = compute.replace_substring_regex(text, written, replacement)
    values: Float = array_of(cast(text, pa.float64()))
    return values
