"""The list of a market's months, written last: what is stored, without opening a file.

Each entry repeats the record that the month's own file carries, so a manifest that is lost or was
not yet written when the program was killed is rebuilt from the files. What it alone knows is for
which months without a candle the exchange was asked; lost, they are asked for once more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.market_data.month import SCHEMA, DamagedError, Month, check_schema
from pipeline.market_data.replacing import replace_file
from pipeline.market_data.spans import Span

#: With an underscore, so that ``pandas.read_parquet(folder)`` does not take it for candles.
MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a market's folder holds.

    Attributes
    ----------
    months : dict of str to Month
        By name, such as ``2023-01``, in order.
    answered_empty : tuple of Span
        Answered spans in the months that have no candle, and so no file.
    """

    months: dict[str, Month]
    answered_empty: tuple[Span, ...]


NOTHING = Manifest({}, ())


def read_manifest(folder: Path) -> Manifest:
    """Read the folder's manifest; `NOTHING` when there is none.

    Raises
    ------
    DamagedError
        If it is not what `write_manifest` wrote.
    UserError
        If a later version of this program wrote it.
    """
    file = folder / MANIFEST
    try:
        values = json.loads(file.read_bytes())
        if values.pop("sha256") != _seal(values):
            raise DamagedError("it does not have the hash that it was written with")
        check_schema(values, file)
        months = {name: Month.from_json(month, file) for name, month in values["months"].items()}
        return Manifest(months, tuple((start, end) for start, end in values["answered_empty"]))
    except FileNotFoundError:
        return NOTHING
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"it cannot be read: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest in one step."""
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "months": {name: month.to_json() for name, month in manifest.months.items()},
        "answered_empty": manifest.answered_empty,
    }
    text = json.dumps({**values, "sha256": _seal(values)}, indent=1)
    replace_file(folder / MANIFEST, lambda temporary: temporary.write_text(text))


def _seal(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
