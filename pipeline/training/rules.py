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
    3: (
        "The train part of a walk-forward grows up to 720 days; it was the last 90 days in every"
        " window (validation rules §1.2).",
        "The out-of-sample series and the stored configuration are marked to market at every day's"
        " close; they were counted by closed trades (fills rules §10.4).",
        "VALIDATION asks that the whole search beats luck (surrogate_p < 0.05), and alpha of what"
        " rides the market; it asked for p_value < 0.05, which MATURE asks for now"
        " (validation rules §6).",
        "The statistic of the surrogates is the mean Sharpe ratio of the best 1 % of the active"
        " combinations; it was the single best (validation rules §5.2).",
        "DISCOVERY has size 0 unless too few trades is all that failed; it had a quarter"
        " (validation rules §6.11).",
        "kelly_fraction is null where the size is 0; it was computed (configuration rules §2.6).",
    ),
}

VERSION = max(CHANGES)


def changes_since(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """List what has changed since the result of a provenance was computed, oldest first."""
    stored = provenance.get("rules_version", 1)
    return tuple(change for version in CHANGES if version > stored for change in CHANGES[version])
