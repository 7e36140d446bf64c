"""Put the gates of a stored configuration into words, with what their figures mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.validation.stages import WATCHED
from pipeline.validation.wording import number, percent, share

_NEEDED = {">=": "at least", ">": "more than", "<": "less than"}
_OUTCOMES = {True: "passed", False: "failed", None: "skipped"}


class Figure(NamedTuple):
    """How a gate's figure is spoken of.

    ``unknown`` says why it may be missing, after the label.
    """

    label: str
    written: Any
    unknown: str


_LIVE = "is known only from live orders"
FIGURES = {
    "net_profit": Figure("net profit out of sample", percent, "is undefined"),
    "sharpe_ratio": Figure("annualised Sharpe ratio out of sample", number, "is undefined"),
    "fill_rate": Figure("share of orders filled", share, _LIVE),
    "sample_size": Figure("number of trades out of sample", number, "is undefined"),
    "p_value": Figure(
        "p-value of the days out of sample", number, "is undefined: the days do not vary"
    ),
    "fdr_q_value": Figure(
        "q-value among the markets of a sweep", number, "belongs to sweeps, and this was none"
    ),
    "reality_check_p": Figure(
        "p-value of the whole search (reality check)", number, "was not tested, or is undefined"
    ),
    "surrogate_p": Figure(
        "p-value of the search against candles without an edge",
        number,
        "was not tested. It is tested only if every other gate of VALIDATION passes, apart from the"
        " number of trades",
    ),
    "alpha_p": Figure(
        "p-value of alpha (what holding the market does not explain)", number, "is undefined"
    ),
    WATCHED: Figure(
        "p-value of the days watched on paper, all looks and accounts counted", number, "is unknown"
    ),
    "adverse_selection_score": Figure("adverse selection score", number, _LIVE),
}


@dataclass(frozen=True)
class ExplainedGate:
    """A gate of `pipeline.validation.stages` with its outcome in words.

    ``shortfall`` is how far a failed figure is from its threshold, positive; None otherwise.
    ``reported`` is the day on which live orders gave the figure; None where no order did.
    """

    stage: str
    name: str
    value: float | None
    comparison: str
    threshold: float
    outcome: str
    shortfall: float | None
    sentence: str
    reported: str | None = None


def explained(gate: Mapping[str, Any], reported: datetime | None, watched: bool) -> ExplainedGate:
    """Put a stored gate into words.

    ``reported`` is when live orders gave its figure, ``watched`` whether days watched on paper
    answer the row of DISCOVERY.
    """
    figure = FIGURES.get(gate["name"], Figure(gate["name"], number, "is unknown"))
    value, threshold, passed = gate["value"], gate["threshold"], gate["passed"]
    if value is None:
        counts = ". What is not tested does not pass" if passed is False else ""
        sentence = f"{figure.label} {figure.unknown}{counts}: {_OUTCOMES[passed]}"
    else:
        needed = f"{_NEEDED[gate['comparison']]} {figure.written(threshold)}"
        source = "" if reported is None else f" (live orders, reported on {reported:%Y-%m-%d})"
        since = " and since" if watched and gate["name"] in ("net_profit", "sharpe_ratio") else ""
        label = f"{figure.label}{since}{source}"
        only = " only if the strategy follows the market; this one does not"
        if watched and gate["name"] != "alpha_p":
            only = ", and the days watched on paper answer it"
        not_asked = only if passed is None else ""
        sentence = (
            f"{label} is {figure.written(value)}, {needed} is needed{not_asked}:"
            f" {_OUTCOMES[passed]}"
        )
    return ExplainedGate(
        stage=gate["stage"],
        name=gate["name"],
        value=value,
        comparison=gate["comparison"],
        threshold=threshold,
        outcome=_OUTCOMES[passed],
        shortfall=abs(threshold - value) if passed is False and value is not None else None,
        sentence=sentence,
        reported=None if reported is None else f"{reported:%Y-%m-%d}",
    )
