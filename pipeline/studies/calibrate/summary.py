"""Add up the outcomes: false positives and power, as figures and as tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.studies.calibrate.markets import Kind, Market
from pipeline.studies.calibrate.measure import Outcome
from pipeline.validation.stages import STAGES, Stage

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """``count`` of ``total``, with the two-sided 95 % interval of the probability behind it."""

    count: int
    total: int

    @property
    def share(self) -> float | None:
        """Maximum likelihood estimate; None without cases."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """`clopper_pearson` of the counts."""
        return clopper_pearson(self.count, self.total)


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a binomial probability, exact: never too narrow.

    Quantiles of beta distributions (Clopper & Pearson 1934, Biometrika 26, 404-413): the lower end
    is that probability under which ``count`` or more have 2.5 %, the upper end that under which
    ``count`` or fewer have. No cases leave all open, (0, 1).
    """
    from scipy.stats import beta  # a second to import

    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def false_discovery_rate(
    true_share: float, false_positive_rate: float, power: float
) -> float | None:
    """Share of the markets found in which nothing is, when ``true_share`` of all have an edge.

    ``(1 - p) a / ((1 - p) a + p power)`` (Lopez de Prado, Lipton & Zoonekynd 2025, "How to use the
    Sharpe ratio"); None where nothing is ever found.
    """
    false = (1.0 - true_share) * false_positive_rate
    found = false + true_share * power
    return false / found if found else None


#: Stages that trade: what an error rate is about.
LEVELS: tuple[Stage, ...] = ("DISCOVERY", "VALIDATION", "MATURE")


#: Stages for which validation rules §6.9 promises a rate of false positives.
PROMISED: dict[Stage, float] = {"VALIDATION": 0.05, "MATURE": 0.01}


#: Shares of markets with a true edge for which false discoveries are worked out.
TRUE_SHARES = (0.01, 0.05, 0.10)


@dataclass(frozen=True)
class Group:
    """Outcomes of one kind without an edge, or of one planted strength.

    ``out_of_reach`` counts seeds whose candles could not carry the strength; they are no outcomes.
    """

    kind: Kind
    strength: float | None
    outcomes: tuple[Outcome, ...]
    out_of_reach: int

    def stages(self) -> dict[str, int]:
        """Markets in each stage, lowest stage first."""
        counts = Counter(outcome.stage for outcome in self.outcomes)
        return {stage: counts[stage] for stage in STAGES if stage != "DECAY"}

    def reached(self, level: Stage) -> Rate:
        """Markets in the stage ``level`` or a better one."""
        stages = self.stages()
        better = STAGES[STAGES.index(level) :]
        return Rate(sum(stages[stage] for stage in better), len(self.outcomes))

    def oos_sharpe(self) -> tuple[float, float, float]:
        """Quartiles of the annualised out-of-sample Sharpe ratio, net of costs."""
        values = [outcome.figures["sharpe_ratio"] or 0.0 for outcome in self.outcomes]
        low, median, high = np.percentile(values, (25, 50, 75))
        return float(low), float(median), float(high)

    def seconds(self) -> float:
        """Median of one market, a worker's wall clock."""
        return float(np.median([outcome.seconds for outcome in self.outcomes]))


@dataclass(frozen=True)
class Calibration:
    """All groups of one calibration: kinds in their order, strengths from weak to strong."""

    nulls: tuple[Group, ...]
    planted: tuple[Group, ...]

    def worst_null(self, level: Stage) -> Rate | None:
        """Return false positives of the kind of null market with the largest share of them."""
        rates = [group.reached(level) for group in self.nulls]
        return max(rates, key=lambda rate: rate.count / rate.total, default=None)

    def false_discoveries(self, level: Stage, group: Group) -> list[dict[str, float | None]]:
        """False-discovery rate at ``level`` for each of `TRUE_SHARES`.

        ``rate`` takes the false positives of the worst kind of null market as they were counted,
        ``rate_upper`` the upper end of their interval; both take the power as it was counted.
        """
        null, power = self.worst_null(level), group.reached(level).share
        if null is None or null.share is None or power is None:
            return []
        return [
            {
                "true_share": share,
                "rate": false_discovery_rate(share, null.share, power),
                "rate_upper": false_discovery_rate(share, null.interval[1], power),
            }
            for share in TRUE_SHARES
        ]

    def seconds(self) -> float:
        """Wall clock of all workers added up."""
        groups = (*self.nulls, *self.planted)
        return sum(outcome.seconds for group in groups for outcome in group.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "null": [_group_dict(group) for group in self.nulls],
            "planted": [
                {
                    **_group_dict(group),
                    "false_discoveries": {
                        level: self.false_discoveries(level, group) for level in PROMISED
                    },
                }
                for group in self.planted
            ],
            "worker_seconds": round(self.seconds(), 1),
        }


def summarise(outcomes: Mapping[Market, Outcome]) -> Calibration:
    """Group outcomes by kind and strength."""
    groups: dict[tuple[Kind, float | None], list[Outcome]] = {}
    for market, outcome in outcomes.items():
        groups.setdefault((market.kind, market.strength), []).append(outcome)
    made = [_group(kind, strength, members) for (kind, strength), members in groups.items()]
    planted = [group for group in made if group.kind == "planted"]
    return Calibration(
        tuple(group for group in made if group.kind != "planted"),
        tuple(sorted(planted, key=lambda group: group.strength or 0.0)),
    )


def _group(kind: Kind, strength: float | None, members: list[Outcome]) -> Group:
    carried = tuple(outcome for outcome in members if outcome.stage is not None)
    return Group(kind, strength, carried, len(members) - len(carried))


def _group_dict(group: Group) -> dict[str, Any]:
    low, median, high = group.oos_sharpe()
    return {
        "kind": group.kind,
        "strength": group.strength,
        "markets": len(group.outcomes),
        "out_of_reach": group.out_of_reach,
        "stages": group.stages(),
        "at_least": {level: _rate_dict(group.reached(level)) for level in LEVELS},
        "oos_sharpe": {"lower_quartile": low, "median": median, "upper_quartile": high},
        "median_seconds": group.seconds(),
    }


def _rate_dict(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {"count": rate.count, "share": rate.share, "interval": [low, high]}


class Table(NamedTuple):
    """A title, the heads of columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(calibration: Calibration) -> list[Table]:
    """Return what there is to show: false positives, power, false discoveries."""
    found = []
    if calibration.nulls:
        found.append(_false_positives(calibration))
    if calibration.planted:
        found.append(_power(calibration))
    if calibration.nulls and calibration.planted:
        found += [_false_discoveries(calibration, level) for level in PROMISED]
    return found


def _false_positives(calibration: Calibration) -> Table:
    rows = [
        (
            group.kind,
            str(len(group.outcomes)),
            *map(str, group.stages().values()),
            *(_with_interval(group.reached(level)) for level in PROMISED),
        )
        for group in calibration.nulls
    ]
    stages = calibration.nulls[0].stages()
    columns = ("candles", "markets", *stages, *map(_in_percent, PROMISED))
    return Table("Markets without an edge: false positives", columns, rows)


def _power(calibration: Calibration) -> Table:
    rows = []
    for group in calibration.planted:
        low, median, high = group.oos_sharpe()
        rows.append(
            (
                f"{group.strength:g}",
                str(len(group.outcomes)),
                *(_with_interval(group.reached(level)) for level in LEVELS),
                f"{median:.2f} ({low:.2f} to {high:.2f})",
            )
        )
    columns = ("strength", "markets", *map(_in_percent, LEVELS), "OOS Sharpe")
    return Table("Markets with a planted edge: power", columns, rows)


def _false_discoveries(calibration: Calibration, level: Stage) -> Table:
    rows = [
        (
            f"{group.strength:g}",
            *(
                f"{_percent(case['rate'])}, up to {_percent(case['rate_upper'])}"
                for case in calibration.false_discoveries(level, group)
            ),
        )
        for group in calibration.planted
    ]
    columns = ("strength", *(f"{share:.0%} of markets true, %" for share in TRUE_SHARES))
    return Table(f"False discoveries among the markets called {_or_better(level)}", columns, rows)


def _or_better(level: Stage) -> str:
    return level if level == STAGES[-1] else f"{level}+"


def _in_percent(level: Stage) -> str:
    return f"{_or_better(level)}, %"


def _with_interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{_percent(rate.share)} [{_percent(low)}, {_percent(high)}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
