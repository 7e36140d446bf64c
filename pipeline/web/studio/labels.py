"""Name the fields of the form; what they mean is explained in `pipeline.config`."""

from __future__ import annotations

_LABELS = {
    "samples": "combinations a search",
    "trials": "trials a search",
    "batch": "proposed at a time",
    "train": "train, days",
    "gap": "gap, days",
    "test": "test, days",
    "step": "step, days (empty: as test)",
    "anchored": "anchored: train from the first day on",
    "ratio": "share of days to train on",
    "evidence": "evidence against luck",
    "surrogates": "also search candles without an edge (minutes)",
    "days": "newest days",
    "since": "from (UTC)",
    "until": "up to, without (UTC)",
    "space": "search space",
    "objective": "search for the best",
    "selection": "winner of a search",
    "min_trades": "least trades in a window",
}


def label(name: str) -> str:
    """Return what a field is called in the form."""
    return _LABELS.get(name, name.replace("_", " "))
