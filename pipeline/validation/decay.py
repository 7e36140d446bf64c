"""Judge a stored configuration by newer days: DECAY and PAPER (validation rules §6.3, §8.6).

*Discovery* is the out-of-sample (OOS) series as it was stored, *new* the days that came after,
*lifetime* the one followed by the other. Arrays are daily net returns, fractions, marked to market
(fills rules §10.4).

The last 30 days are those of the lifetime series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_engine import Float, marked_metrics, metrics_of
from pipeline.validation.sequential import LEVEL, SequentialTest
from pipeline.validation.stages import STAGES, Gate, Stage, judge
from pipeline.validation.wording import percent, share

#: Fewer new trades than this decide nothing.
MIN_NEW_TRADES = 30
RECENT_DAYS = 30
#: Recent Sharpe ratio, as a share of the lifetime one.
RECENT_SHARE = 0.5
#: Net profit per day, as a share of the discovery's.
PROFIT_SHARE = 0.8

RECENT_SHARPE, PROFIT_PER_DAY = "rolling_30d_sharpe", "net_profit_per_day"
SEQUENTIAL = "sequential_p"
#: Gates of DECAY, each a sign of death. Events of earlier versions lack the last one.
DEATH_SIGNALS = (RECENT_SHARPE, PROFIT_PER_DAY, SEQUENTIAL)


@dataclass(frozen=True, eq=False)
class Period:
    """A stretch of the record: ``daily`` (D,) and the equity return of each ``trade`` (m,)."""

    daily: Float
    trade: Float

    def then(self, later: Period) -> Period:
        """Return this period with ``later`` appended."""
        return Period(
            np.concatenate((self.daily, later.daily)), np.concatenate((self.trade, later.trade))
        )

    @property
    def metrics(self) -> Any:
        """Metrics (`METRICS`) of the period."""
        return marked_metrics(self.trade, self.daily)


@dataclass(frozen=True, eq=False)
class Reassessment:
    """What the new days say.

    Attributes
    ----------
    stage : str
        Never above the present one.
    gates : list of Gate
        Those of DECAY, skipped where they do not apply, and those of the PAPER row.
    reason : str
        A sentence.
    lifetime : record of dtype `METRICS`
    new : record of dtype `METRICS`
    degradation : float or None
        Share of the discovery's net profit per day that is gone.
    """

    stage: Stage
    gates: list[Gate]
    reason: str
    lifetime: Any
    new: Any
    degradation: float | None

    @property
    def death_signals(self) -> dict[str, bool]:
        """Which signs of decay are given, by the name of their gate."""
        return {
            gate.name: gate.passed is False for gate in self.gates if gate.name in DEATH_SIGNALS
        }


def reassess(
    stage: Stage,
    discovery: Period,
    new: Period,
    test: SequentialTest | None = None,
    *,
    daily: bool = False,
) -> Reassessment:
    """Judge a configuration by its discovery and the days that came after.

    Parameters
    ----------
    stage : str
        The present one.
    discovery, new : Period
        Each with at least one day.
    test : SequentialTest or None
        Of the new days against the discovery's (validation rules §8.4); None leaves its gate out.
    daily : bool
        Whether somebody looks every day: then the two signs that ask for 30 new trades are shown
        and decide nothing (validation rules §6.3).
    """
    lifetime = discovery.then(new)
    whole, since = lifetime.metrics, new.metrics
    sharpe = float(whole["sharpe_ratio"])
    before, after = profit_per_day(discovery.daily), profit_per_day(new.daily)
    applies = not daily and len(new.trade) >= MIN_NEW_TRADES and sharpe > 0.0
    gates = _decay_gates(lifetime, sharpe, applies, before, after)
    if test is not None:
        gates.append(_at_most_seldom(test))
    _, all_gates = judge({"net_profit": float(whole["net_profit"]), "sharpe_ratio": sharpe})
    gates += [gate for gate in all_gates if gate.stage == "PAPER"]
    failed = [gate for gate in gates if gate.passed is False]
    lowest = min(STAGES.index(name) for name in (stage, *(g.stage for g in failed)))
    return Reassessment(
        stage=STAGES[lowest],
        gates=gates,
        reason=_reason(stage, failed, len(new.trade)),
        lifetime=whole,
        new=since,
        degradation=1.0 - after / before if before > 0.0 else None,
    )


def profit_per_day(daily: Float) -> float:
    """Constant daily return that compounds to a net profit; -1 after ruin (§6.4)."""
    if (daily <= -1.0).any():
        return -1.0
    return math.expm1(float(np.log1p(daily).mean()))


def _decay_gates(
    lifetime: Period, sharpe: float, applies: bool, before: float, after: float
) -> list[Gate]:
    """Judge the two signs of decay; both are skipped where they do not apply."""
    days = lifetime.daily[-RECENT_DAYS:]
    recent = float(metrics_of(np.empty(0), days)["sharpe_ratio"])
    return [
        _at_least(RECENT_SHARPE, recent, RECENT_SHARE * sharpe, applies),
        _at_least(PROFIT_PER_DAY, after, PROFIT_SHARE * before, applies and before > 0.0),
    ]


def _at_least(name: str, value: float, threshold: float, applies: bool) -> Gate:
    return Gate("DECAY", name, ">=", threshold, value, value >= threshold if applies else None)


def _at_most_seldom(test: SequentialTest) -> Gate:
    """Judge the alarm (validation rules §8.6), which allows for few days and trades by itself."""
    passed = None if test.p is None else test.alarm_day is None
    return Gate("DECAY", SEQUENTIAL, ">", LEVEL, test.p, passed)


_SIGNS = {
    RECENT_SHARPE: "Sharpe ratio of the last 30 days {value:.2f}, below half the lifetime's"
    " (limit {bound:.2f})",
    PROFIT_PER_DAY: "net profit per day {part}, more than 20 % below the discovery's"
    " (limit {limit})",
    SEQUENTIAL: "the sequential test raised its alarm: of years that keep the promise {part}"
    " fall so far below it (limit {limit})",
    "net_profit": "lifetime net profit {part}, below {bound:g}",
    "sharpe_ratio": "lifetime Sharpe ratio {value:.2f}, below {bound:g}",
}


def _sign(gate: Gate) -> str:
    """Say what a failed gate stands for."""
    value, bound = gate.value or 0.0, gate.threshold
    part, limit = map(share if gate.name == SEQUENTIAL else percent, (value, bound))
    return _SIGNS[gate.name].format(value=value, bound=bound, part=part, limit=limit)


def _reason(stage: Stage, failed: list[Gate], new_trades: int) -> str:
    """Say what holds the configuration down, or why nothing does."""
    if failed:
        signs = [_sign(gate) for gate in failed]
        return "; ".join(signs) + "."
    if new_trades < MIN_NEW_TRADES:
        text = f"{new_trades} new trades; {MIN_NEW_TRADES} are needed to call it decay."
    else:
        text = f"No sign of decay in {new_trades} new trades."
    return f"{text} Monitoring never lifts a stage." if stage in ("DECAY", "PAPER") else text
