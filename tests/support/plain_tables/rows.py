"""Make an event table of rows found one by one (exits rules §1)."""

from typing import NamedTuple

import numpy as np

from gpu_engine import EventTable


class Row(NamedTuple):
    """One signal; ``features`` by the name of their threshold, the rest as in `EventTable`."""

    setup_bar: int
    signal_bar: int
    side: int
    features: dict[str, float]
    stop_level: float | None = None
    target_level: float | None = None
    exit_signal_bar: int | None = None


def passes(features, parameters, senses):
    """Say whether every threshold that ``parameters`` sets is met; NaN meets none."""
    for name, sense in senses.items():
        limit = parameters.get(name)
        if limit is not None and not sense * features[name] >= sense * limit:
            return False
    return True


def table_of(rows, atr, senses, columns):
    """Sort rows into an event table; of the optional columns it has those that are named."""
    rows = sorted(rows, key=lambda row: (row.signal_bar, row.setup_bar, -row.side))
    features = [[row.features[name] for name in senses] for row in rows]

    def optional(name, dtype):
        return np.array([getattr(row, name) for row in rows], dtype) if name in columns else None

    return EventTable(
        setup_bar=np.array([row.setup_bar for row in rows], np.int32),
        signal_bar=np.array([row.signal_bar for row in rows], np.int32),
        side=np.array([row.side for row in rows], np.int8),
        atr=np.array([atr[row.signal_bar] for row in rows], np.float64),
        features=np.array(features, np.float64).reshape(len(rows), len(senses)),
        stop_level=optional("stop_level", np.float64),
        target_level=optional("target_level", np.float64),
        exit_signal_bar=optional("exit_signal_bar", np.int32),
    )
