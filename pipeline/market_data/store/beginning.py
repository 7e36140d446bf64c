"""Keep answered time that has no file of its month: the long one before a market's first candle."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gpu_engine import DAY_MS, Int64
from pipeline.market_data.raw import Span, uncovered
from pipeline.market_data.store.atomic_files import Put, replace_file, replace_text
from pipeline.market_data.store.month import month_names, month_span

#: Earlier versions listed the months here, and the answers of months without a candle; a save puts
#: these into files of their own and removes it.
FORMER_MANIFEST = "_manifest.json"

#: Holds a long answered time before the month of the first candle, which would be hundreds of
#: files of no rows: all of `data.history=all` begins in 2010. Up to two years are such files.
BEGINNING = "_beginning.json"
LONG_MS = 2 * 366 * DAY_MS


def former_answers(path: Path) -> list[Span]:
    """Read what only the manifest of an earlier version knows: answered months without a candle."""
    try:
        values = read_sealed(path / FORMER_MANIFEST)
        return [(int(start), int(end)) for start, end in values["answered_empty"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # these spans are asked for once more


def empty_beginning(path: Path) -> list[Span]:
    """Read the answered time before the month of the first candle that has no files."""
    try:
        start, end = read_sealed(path / BEGINNING)["answered"]
        return [(int(start), int(end))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # it is asked for once more


def save_beginning(
    path: Path, times: Int64, answered: Sequence[Span], put: Put = replace_file
) -> Sequence[Span]:
    """Keep a long answered time before the month of the first candle; return the other spans.

    Parameters
    ----------
    path : Path
        The market's folder.
    times : int64 array of shape (n,)
        Of all its rows, sorted, milliseconds since the epoch, UTC.
    answered : sequence of Span
        Sorted and disjoint.
    put : callable
        Writes and removes files.
    """
    file = path / BEGINNING
    first = month_span(month_names(times[:1], ())[0])[0] if len(times) else 0
    start = next((span[0] for span in answered if span[0] < first <= span[1]), first)
    if first - start <= LONG_MS:
        put(file, None)
        return answered
    if empty_beginning(path) != [(start, first)]:
        write_sealed(file, {"answered": [start, first]}, put)
    return [part for span in answered for part in uncovered(span, [(start, first)])]


def write_sealed(file: Path, values: Mapping[str, object], put: Put = replace_file) -> None:
    """Replace a file by JSON of ``values`` that carries their hash."""
    replace_text(file, json.dumps({**values, "sha256": _seal(values)}), put)


def read_sealed(file: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote; a `ValueError` where it has another hash."""
    values: dict[str, Any] = json.loads(file.read_bytes())
    if values.pop("sha256") != _seal(values):
        raise ValueError("it is not what was written")
    return values


def _seal(values: Mapping[str, object]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
