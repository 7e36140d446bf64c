"""Write the out-of-sample trades of a configuration as a plain table."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from gpu_engine import REASONS

COLUMNS = (
    "number",
    "side",
    "signal_bar_open",
    "entry_time",
    "entry",
    "exit_bar_open",
    "exit",
    "reason",
    "net_return",
    "stop",
    "target",
)


def trades_csv(trades: NDArray[Any], first_open: int, step_ms: int) -> str:
    """Return the trades as comma-separated values with a header line.

    Parameters
    ----------
    trades : `TRADE` array of shape (m,)
        Bars count from ``first_open``, milliseconds since the epoch, in steps of ``step_ms``.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = trades.dtype.names or ()

    def time(bar: int) -> str:
        moment = datetime.fromtimestamp((first_open + int(bar) * step_ms) / 1000, UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")

    def level(trade: Any, name: str) -> str:
        return "" if name not in names or trade[name] != trade[name] else repr(float(trade[name]))

    for number, trade in enumerate(trades, 1):
        writer.writerow(
            (
                number,
                "long" if trade["side"] > 0 else "short",
                time(trade["signal_bar"]),
                time(trade["entry_bar"]),
                repr(float(trade["entry"])),
                time(trade["exit_bar"]),
                repr(float(trade["exit"])),
                REASONS[trade["reason"]],
                repr(float(trade["ret"])),
                level(trade, "stop"),
                level(trade, "target"),
            )
        )
    return out.getvalue()
