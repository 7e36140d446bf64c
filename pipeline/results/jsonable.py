"""Turn values into JSON: NaN and ±inf become null here and nowhere else.

SQLite would store NaN inside JSON without a word, PostgreSQL refuses it and JSON does not know
it. `open_database` makes `dumps` the serializer of every JSON column, and documents and files
pass through `jsonable`, so no caller has to remember the rule. So a stored number that is not
finite was written by somebody else: `loads` refuses it, where Python would take it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """Turn ``value`` into what JSON can hold, NumPy and dataclasses included.

    Parameters
    ----------
    value : Any
        Mappings, lists, tuples, dataclass instances, NumPy scalars, arrays and structured rows,
        aware datetimes (as ISO 8601), strings, numbers, booleans and None, at any depth.

    Returns
    -------
    Any
        New dicts, lists and plain scalars. Floats that are not finite are None.

    Raises
    ------
    TypeError
        For anything else: guessing a text for an unknown object would hide a mistake.
    """
    if isinstance(value, np.void) and value.dtype.names:
        return {name: jsonable(value[name]) for name in value.dtype.names}
    if isinstance(value, np.ndarray):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON: {value!r}")


def dumps(value: Any) -> str:
    """JSON text of `jsonable` ``value``."""
    return json.dumps(jsonable(value), allow_nan=False)


def loads(text: str | bytes) -> Any:
    """Read the JSON of a column.

    Raises
    ------
    ValueError
        When it is no JSON, or holds a number that is not finite (``Infinity``, ``NaN``, 1e999).
    """
    return json.loads(text, parse_constant=finite, parse_float=finite, parse_int=_whole)


def finite(number: str | float) -> float:
    """Return a number of a column, or raise a ValueError where it is not finite."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"it holds {str(number)[:20]}, which is no finite number")
    return value


def _whole(digits: str) -> int:
    finite(digits)
    return int(digits)
