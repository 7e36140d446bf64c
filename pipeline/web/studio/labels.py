"""What the form says of each choice."""

from __future__ import annotations

#: When to use which search, from the measurements of docs/optimizers.md.
METHODS = {
    "grid": "Every combination of the grid. Take it whenever the space is a grid: it is exact, and"
    " alone gives the score surface, plateau ranking and the stability of the winner.",
    "random": "Combinations drawn at random, none twice. Take it for a quick look, or where the"
    " space is too large to search whole.",
    "bayesian": "Combinations that a model of the scores so far proposes (TPE). Take it where an"
    " evaluation is dear, as in a continuous space; each proposal takes longer than many"
    " evaluations on a grid.",
}

VALIDATIONS = {
    "walk_forward": "Search the train days, skip the gap, test once on days that no search had"
    " seen; move on and repeat. What counts is all the test days together.",
    "train_test_split": "One search on the first part of the history, tested once on the rest."
    " Quick, and one period's luck decides more.",
}

SPACES = {
    "grid": "the values of the grid",
    "continuous": "anything between the ends of each parameter's range",
}

SELECTIONS = {
    "auto": "plateau on a grid, else peak",
    "plateau": "the combination with the best neighbourhood",
    "peak": "the combination with the best score",
}

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
