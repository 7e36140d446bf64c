"""Judge figures by the gates between lifecycle stages (validation rules §6)."""

import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

Stage = Literal["DECAY", "PAPER", "DISCOVERY", "VALIDATION", "MATURE"]

#: Lowest first.
STAGES: tuple[Stage, ...] = get_args(Stage)

#: Share of a full position that a stage may trade (validation rules §6.11).
_SIZES: dict[Stage, float] = {
    "DECAY": 0.0,
    "PAPER": 0.0,
    "DISCOVERY": 0.25,
    "VALIDATION": 0.5,
    "MATURE": 1.0,
}
#: Version of the rules of sizes. It is in the tag of what is active: a trader that polls must hear
#: of sizes that a new version changed.
SIZE_RULES = "3"

#: Level of every test that decides a stage.
LEVEL = 0.05
#: Limit of the false-discovery rate among the markets of a sweep.
Q_LIMIT = 0.1

#: Size of beta above which a series rides the market, up or down: it must show alpha beside it
#: (validation rules §6).
RIDES_MARKET = 0.2
#: Trades that MATURE asks for where nothing says otherwise (validation rules §6.10).
MOST_TRADES_NEEDED = 101

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Requirement:
    """What a figure must fulfil to pass beyond a stage.

    ``optional`` requirements are skipped while their figure is unknown; any other figure that is
    unknown or undefined fails. ``relaxed_by`` names the figure that holds the threshold where it is
    known.
    ``where`` names a figure and a size: the requirement is skipped where the figure is not larger.
    ``listed`` is False for a figure that few configurations have: where it is unknown there is no
    gate of it.
    """

    stage: str
    name: str
    comparison: str
    threshold: float
    optional: bool = False
    relaxed_by: str | None = None
    where: tuple[str, float] | None = None
    listed: bool = True


@dataclass(frozen=True)
class Gate:
    """A requirement as it was judged: ``passed`` is None when it was skipped."""

    stage: str
    name: str
    comparison: str
    threshold: float
    value: float | None
    passed: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Return the gate as plain values."""
        return asdict(self)


def least_trades_needed(step_ms: int) -> int:
    """Return the least that MATURE may ask for; from 15m on a year cannot give 101 trades."""
    return MOST_TRADES_NEEDED if step_ms < 15 * 60_000 else 50


def gates_from(stored: Iterable[Mapping[str, Any]]) -> list[Gate]:
    """Return gates of their plain values, as a row holds them."""
    return [Gate(**values) for values in stored]


#: The gate of days that were watched on paper: it answers the row of DISCOVERY by itself.
WATCHED = "watched_p"
#: Its level: the tests of few, dependent days are a little too ready (validation rules §6.13).
WATCHED_LEVEL = 0.04

#: One of them must have passed before anything is traded.
_AGAINST_LUCK = ("surrogate_p", WATCHED)

#: Validation rules §6. Failing any gate of PAPER or DISCOVERY holds a configuration there; passing
#: all gates of MATURE lifts it there; what is left is VALIDATION.
REQUIREMENTS = (
    Requirement("PAPER", "net_profit", ">=", 0.0),
    Requirement("PAPER", "sharpe_ratio", ">=", 0.5),
    Requirement("PAPER", "fill_rate", ">=", 0.7, optional=True),
    Requirement("DISCOVERY", "sample_size", ">=", 30),
    Requirement("DISCOVERY", "alpha_p", "<", LEVEL, where=("beta", RIDES_MARKET)),
    Requirement("DISCOVERY", "surrogate_p", "<", LEVEL),
    Requirement("DISCOVERY", "fdr_q_value", "<", Q_LIMIT, optional=True),
    Requirement("DISCOVERY", WATCHED, "<", WATCHED_LEVEL, optional=True, listed=False),
    Requirement("MATURE", "sample_size", ">=", MOST_TRADES_NEEDED, relaxed_by="trades_needed"),
    Requirement("MATURE", "sharpe_ratio", ">", 1.5),
    Requirement("MATURE", "p_value", "<", LEVEL),
    Requirement("MATURE", "reality_check_p", "<", LEVEL),
    Requirement("MATURE", "adverse_selection_score", "<", 0.3, optional=True),
)


def judge(figures: Mapping[str, float | None]) -> tuple[Stage, list[Gate]]:
    """Return the stage of out-of-sample ``figures``, by requirement name, and every gate.

    A figure that is missing or None is unknown. In a sweep ``fdr_q_value`` is known and binds.
    Days that were watched on paper lift it to VALIDATION, and no further (validation rules §6.13).
    """
    asked = [r for r in REQUIREMENTS if r.listed or _known(figures, r.name) is not None]
    gates = [_judge_one(requirement, figures) for requirement in asked]
    failed = {gate.stage for gate in gates if gate.passed is False}
    if is_watched(gates):
        gates = [_answered(gate) for gate in gates]
        failed = failed - {"DISCOVERY"} | {"MATURE"}
    if "PAPER" in failed:
        return "PAPER", gates
    if "DISCOVERY" in failed:
        return "DISCOVERY", gates
    return ("VALIDATION" if "MATURE" in failed else "MATURE"), gates


def is_watched(gates: Iterable[Gate]) -> bool:
    """Whether days that were watched on paper passed their gate (validation rules §6.13)."""
    return any(gate.name == WATCHED and gate.passed for gate in gates)


def position_size(stage: Stage, gates: Iterable[Gate], synthetic: bool) -> float:
    """Return the share of a full position that a configuration may trade (validation rules §6.11).

    Parameters
    ----------
    gates : iterable of Gate
        Of the same judgement as ``stage``. Those of earlier rules may lack the search against
        luck: what neither it nor watched days were held against has no size.
    synthetic : bool
        Whether its candles were generated or rearranged: nothing is traded on their word.
    """
    judged = list(gates)
    if synthetic or not any(gate.name in _AGAINST_LUCK and gate.passed for gate in judged):
        return 0.0
    if stage == "DISCOVERY":
        failed = {gate.name for gate in judged if gate.passed is False and gate.stage == stage}
        return _SIZES[stage] if failed <= {"sample_size"} else 0.0
    return _SIZES[stage]


def rides_market(beta: float | None) -> bool:
    """Whether a series is known to ride the market, up or down."""
    return beta is not None and abs(beta) > RIDES_MARKET


def awaits_surrogates(figures: Mapping[str, float | None]) -> bool:
    """Whether the stage depends on ``surrogate_p``: other gates hold (validation rules §5.7)."""
    supposed = {"surrogate_p": 0.0, "sample_size": sys.maxsize}
    return judge({**figures, **supposed})[0] not in ("PAPER", "DISCOVERY")


def awaits_reality_check(figures: Mapping[str, float | None]) -> bool:
    """Whether the stage depends on the tests against luck: it is MATURE if they pass."""
    supposed = {"surrogate_p": 0.0, "reality_check_p": 0.0}
    return judge({**figures, **supposed})[0] == "MATURE"


def deciding_p(figures: Mapping[str, Any]) -> float | None:
    """Return the p-value that decides VALIDATION, which q is made of (validation rules §3.2).

    The largest of those that its gates ask for: all must be small, so the largest is the p-value of
    all together. One that is unknown counts as 1: a surrogate test is not made where another gate
    has failed, and such a market is a test that failed, not one that is absent. Where ``p_value``
    is undefined there was nothing to test, and the answer is None.
    """
    if figures.get("p_value") is None:
        return None
    p_values = [
        _known(figures, requirement.name)
        for requirement in REQUIREMENTS
        if requirement.stage == "DISCOVERY"
        and requirement.name in ("p_value", "alpha_p", "surrogate_p")
        and (requirement.where is None or _larger(figures, *requirement.where))
    ]
    return max(1.0 if p is None else p for p in p_values)


def _judge_one(requirement: Requirement, figures: Mapping[str, float | None]) -> Gate:
    value, threshold = _known(figures, requirement.name), requirement.threshold
    if requirement.relaxed_by is not None:
        threshold = _known(figures, requirement.relaxed_by) or threshold
    passed: bool | None
    if requirement.where is not None and not _larger(figures, *requirement.where):
        passed = None
    elif value is None:
        passed = None if requirement.optional else False
    else:
        passed = _COMPARE[requirement.comparison](value, threshold)
    return Gate(
        requirement.stage, requirement.name, requirement.comparison, threshold, value, passed
    )


def _answered(gate: Gate) -> Gate:
    """Skip a failed gate of DISCOVERY: days that were watched answer what it asks."""
    if gate.stage == "DISCOVERY" and gate.passed is False:
        return replace(gate, passed=None)
    return gate


def _known(figures: Mapping[str, float | None], name: str) -> float | None:
    """Return a figure; None where it is unknown or no finite number."""
    value = figures.get(name)
    return None if value is None or not math.isfinite(value) else value


def _larger(figures: Mapping[str, float | None], name: str, size: float) -> bool:
    """Whether a figure is larger than a size, up or down; what is unknown may be."""
    value = _known(figures, name)
    return value is None or abs(value) > size
