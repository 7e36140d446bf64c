"""Judge figures by the gates between lifecycle stages (validation rules §6)."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Stage = Literal["DECAY", "PAPER", "DISCOVERY", "VALIDATION", "MATURE"]

#: Lowest first.
STAGES: tuple[Stage, ...] = get_args(Stage)

#: Share of a full position that a stage may trade.
STAGE_SIZE: dict[Stage, float] = {
    "DECAY": 0.0,
    "PAPER": 0.0,
    "DISCOVERY": 0.25,
    "VALIDATION": 0.5,
    "MATURE": 1.0,
}

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Requirement:
    """What a figure must fulfil to pass beyond a stage.

    ``optional`` requirements are skipped while their figure is unknown; any other figure that is
    unknown or undefined fails.
    """

    stage: str
    name: str
    comparison: str
    threshold: float
    optional: bool = False


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


#: Validation rules §6. Failing any gate of PAPER or DISCOVERY holds a configuration there; passing
#: all gates of MATURE lifts it there; what is left is VALIDATION.
REQUIREMENTS = (
    Requirement("PAPER", "net_profit", ">=", 0.0),
    Requirement("PAPER", "sharpe_ratio", ">=", 0.5),
    Requirement("PAPER", "fill_rate", ">=", 0.7, optional=True),
    Requirement("DISCOVERY", "sample_size", ">=", 30),
    Requirement("DISCOVERY", "p_value", "<", 0.05),
    Requirement("DISCOVERY", "fdr_q_value", "<", 0.1, optional=True),
    Requirement("MATURE", "sample_size", ">", 100),
    Requirement("MATURE", "sharpe_ratio", ">", 1.5),
    Requirement("MATURE", "reality_check_p", "<", 0.05),
    Requirement("MATURE", "surrogate_p", "<", 0.05, optional=True),
    Requirement("MATURE", "adverse_selection_score", "<", 0.3, optional=True),
)


def judge(figures: Mapping[str, float | None]) -> tuple[Stage, list[Gate]]:
    """Return the stage of out-of-sample ``figures``, by requirement name, and every gate.

    A figure that is missing or None is unknown. In a sweep ``fdr_q_value`` is known and binds.
    """
    gates = [_judge_one(r, figures.get(r.name)) for r in REQUIREMENTS]
    failed = {gate.stage for gate in gates if gate.passed is False}
    if "PAPER" in failed:
        return "PAPER", gates
    if "DISCOVERY" in failed:
        return "DISCOVERY", gates
    return ("VALIDATION" if "MATURE" in failed else "MATURE"), gates


def _judge_one(requirement: Requirement, value: float | None) -> Gate:
    unknown = value is None or math.isnan(value)
    passed: bool | None
    if value is None or math.isnan(value):
        passed = None if requirement.optional else False
    else:
        passed = _COMPARE[requirement.comparison](value, requirement.threshold)
    return Gate(
        requirement.stage,
        requirement.name,
        requirement.comparison,
        requirement.threshold,
        None if unknown else value,
        passed,
    )
