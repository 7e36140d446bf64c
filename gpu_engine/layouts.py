"""The kernels' records as NumPy sees them; `gpu_engine/kernels/*.cu*` declare the same in C.

A test compares every size and offset with the C compiler's. Pointers are uint64 addresses of
device memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_engine.records import Candles, Float, Window

#: Most axes of a grid that `pair_maxima` decodes; the kernels are compiled with it.
MAX_AXES = 16


def _record(fields: str) -> np.dtype[Any]:
    """Make a dtype laid out as C does, of names and types such as ``"bar i4, price f8"``."""
    pairs = [field.split() for field in fields.split(",")]
    return np.dtype([(name, kind) for name, kind in pairs], align=True)


OUTCOME = _record("ret f8, exit_bar i4, exit_day i4")
ROW = _record("entry_bar i4, entry_day i4, setup_bar i4, entry i4")
WINDOW = _record("start i4, end i4, first_day i4, n_days i4, last_close f8, last_funding f8")
RULES = _record(
    "fee_rate f8, target_fee f8, slippage f8, exposure f8, max_daily_loss f8, borrow f8,"
    " long_liquidation f8, short_liquidation f8, long_bankruptcy f8, short_bankruptcy f8,"
    " losses_limit i4"
)
MARKET = _record(
    "row_start u8, rows u8, features u8, outcomes u8, entry_side u8, entry_price u8,"
    " entry_funding u8, n_rows i8, n_exits i4"
)
BARS = _record("open u8, high u8, low u8, close u8, funding u8, day u8, filled u8, count i4")
ENTRIES = _record("bar u8, side u8, atr u8, price u8, stop_level u8, target_level u8, leave u8")
EXITS = _record(
    "stop_distance u8, stop_fraction u8, stop_offset u8, target_multiple u8, target_distance u8,"
    " target_fraction u8, target_reach u8, break_even_trigger u8, trail_activation u8,"
    " trail_distance u8, holding u8, count i4"
)
BATCH = _record("table u8, thresholds u8, first_exit u8, exits_per_unit i4")
PLACES = _record(
    "order u8, size u8, stride u8, table_stride u8, threshold u8, first_mask u8, n_axes i4,"
    " n_unit_axes i4, n_exits i4, lanes i4"
)
#: What `score` in reduce.cu applies; the rule itself is `gpu_engine.scoring`.
RULE = _record(
    "minimise i4, may_be_undefined i4, significant_digits i4, least_power i4, min_trades f8,"
    " powers u8"
)
#: By the name that the kernels give them.
RECORDS = {
    "Outcome": OUTCOME,
    "Row": ROW,
    "Window": WINDOW,
    "Rules": RULES,
    "Market": MARKET,
    "Bars": BARS,
    "Entries": ENTRIES,
    "Exits": EXITS,
    "Batch": BATCH,
    "Places": PLACES,
    "Rule": RULE,
}


def window_rows(
    candles: Candles, windows: Sequence[Window], funding: Float | None = None
) -> NDArray[Any]:
    """Return the windows as `WINDOW` records, shape (W,); ``funding`` is that of `EventBook`."""
    rows = np.zeros(len(windows), WINDOW)
    for position, window in enumerate(windows):
        day, close = candles.day[window.start], candles.close[window.end - 1]
        paid = 0.0 if funding is None else funding[window.end - 1]
        days = candles.days_of(window)
        rows[position] = (window.start, window.end, day, days, close, paid)
    return rows
