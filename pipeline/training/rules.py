"""Number the rules that a result was computed by, and say what has changed since."""

from collections.abc import Mapping
from typing import Any

#: What each version changed in figures of the same candles and parameters. A result names its
#: version in its provenance; one that names none is of version 1.
CHANGES: dict[int, tuple[str, ...]] = {
    2: (
        "A gap through the target fills at the target; it filled at the open, which was better"
        " (fills rules §7.2).",
        "A stop that is hit in the entry bar fills at the open of that bar where this is worse; it"
        " filled at the stop (fills rules §7.3).",
        "Sortino and Calmar ratio are undefined where nothing was lost; they were 0. Days that are"
        " equal but for rounding have a Sharpe ratio of 0, whatever their size (fills rules §10).",
    ),
}

VERSION = max(CHANGES)


def changes_since(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """List what has changed since the result of a provenance was computed, oldest first."""
    stored = provenance.get("rules_version", 1)
    return tuple(change for version in CHANGES if version > stored for change in CHANGES[version])
