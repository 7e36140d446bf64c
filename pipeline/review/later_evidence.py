"""Judge a stored configuration by what came after it: live orders, and days watched on paper.

``fill_rate`` and ``adverse_selection_score`` of live orders are optional in the gates
(validation rules §6): unknown to a backtest, binding once they are known. The stage is that of the
figures as they are known now ("first row that applies"), so a better report lifts what a worse one
lowered, but never above what monitoring leaves. Watched days only lift, and once
(validation rules §6.13).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.results.database import Repository
from pipeline.results.document.document import after_live_orders
from pipeline.results.records import (
    EXECUTION,
    WATCH,
    Configuration,
    ConfigurationEvent,
    Judgement,
    cap_stage,
)
from pipeline.validation.stages import WATCHED, Gate, Stage, judge, position_size
from pipeline.validation.watching import LOOKS, WATCHED_STAGES, Look
from pipeline.validation.wording import number, percent, plural

GATED = ("fill_rate", "adverse_selection_score")
BASIS_POINTS = 1e4

#: Figures of a look that gates judge.
_JUDGED = ("net_profit", "sharpe_ratio", WATCHED)


def record_execution(
    repository: Repository, configuration_id: str, metrics: Mapping[str, float]
) -> Stage:
    """Store what live orders of a configuration did, and judge its stage with it.

    Parameters
    ----------
    metrics : mapping
        Any of ``fill_rate`` (share of orders filled), ``adverse_selection_score`` (0 to 1) and
        ``slippage`` (mean fraction of the price lost). What is not named stays as it was known.

    Returns
    -------
    Stage
        Where it is now. The same figures again change and record nothing.

    Raises
    ------
    UnknownIdError
        When the configuration is not stored.
    """
    repository.configurations.rejudge(configuration_id, partial(_of_orders, metrics))
    return repository.configurations.read(configuration_id).lifecycle_stage


def gate_values(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return those of reported ``metrics`` that gates ask for, by the gates' names."""
    return {name: metrics[name] for name in GATED if name in metrics}


def execution_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return reported ``metrics`` as fields of `document_models.ExecutionMetrics`."""
    fields = gate_values(metrics)
    if "slippage" in metrics:
        fields["slippage_vs_mid_bps"] = metrics["slippage"] * BASIS_POINTS
    return fields


def _of_orders(
    metrics: Mapping[str, float], configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Judgement:
    reached, gates = judge(configuration.judged_figures | gate_values(metrics))
    stage = cap_stage(reached, events)
    reason = _reason(metrics, gates, reached, stage)
    return _judgement(configuration, EXECUTION, stage, gates, reason, metrics)


def _judgement(
    configuration: Configuration,
    kind: str,
    stage: Stage,
    gates: Sequence[Gate],
    reason: str,
    figures: Mapping[str, Any],
) -> Judgement:
    """Return what a configuration is from now on: its stage, gates and document."""
    size = position_size(stage, gates, configuration.synthetic)
    orders = execution_metrics(figures)  # of a rise there are none
    document, metrics = configuration.document, configuration.out_of_sample
    return Judgement(
        kind=kind,
        stage=stage,
        statistics=configuration.statistics,
        gates=[gate.to_dict() for gate in gates],
        document=after_live_orders(document, stage, size, metrics, orders),
        reason=reason,
        figures=dict(figures),
    )


def _reason(
    metrics: Mapping[str, float], gates: Sequence[Gate], reached: Stage, stage: Stage
) -> str:
    """Say what was reported, the limit of what failed, and what it comes to."""
    limits = {
        gate.name: f" ({gate.comparison} {number(gate.threshold)} is needed)"
        for gate in gates
        if gate.passed is False
    }
    values = [f"{name} {number(value)}{limits.get(name, '')}" for name, value in metrics.items()]
    since = "" if stage == reached else f", and {stage} since newer candles were looked at"
    return f"Live orders: {', '.join(values)}: {reached}{since}."


def watched_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the figures of an event that its gates are judged by."""
    return {name: figures[name] for name in _JUDGED}


def may_rise(configuration: Configuration, events: Sequence[ConfigurationEvent]) -> bool:
    """Whether watching may lift a configuration with these events (validation rules §6.13)."""
    return (
        configuration.lifecycle_stage in WATCHED_STAGES
        and not configuration.synthetic
        and not any(event.kind == WATCH for event in events)
    )


def ways_to_rise(
    configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Iterator[str]:
    """Say how watching lifts a configuration; nothing where it cannot."""
    if may_rise(configuration, events):
        looks = ", ".join(map(str, LOOKS[:-1]))
        yield (
            f"Paper trading (scripts/paper) can lift it to VALIDATION, once: after {looks} or"
            f" {LOOKS[-1]} watched days, if they alone show that luck and the market do not explain"
            " what they earned."
        )


def record_look(repository: Repository, configuration_id: str, look: Look) -> bool:
    """Lift a configuration to VALIDATION if a look lets it; tell whether it rose.

    Only PAPER and DISCOVERY rise, only on candles of a market, and only once: what fell since is
    not lifted by the days that lifted it.

    Raises
    ------
    UnknownIdError
        When the configuration is not stored.
    EditedError
        When its row does not agree with its audit trail.
    """
    return repository.configurations.rejudge(configuration_id, partial(_of_look, look))


def _of_look(
    look: Look, configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Judgement | None:
    if look.watched_p is None or not may_rise(configuration, events):
        return None
    figures = watched_figures(look.figures())
    stage, gates = judge(configuration.judged_figures | figures)
    if stage != "VALIDATION":
        return None
    return _judgement(configuration, WATCH, stage, gates, _reason_of_look(look), look.figures())


def _reason_of_look(look: Look) -> str:
    return (
        f"Watched on paper for {plural(look.days, 'day')}, {plural(look.trades, 'trade')}:"
        f" p = {number(look.watched_p)} with all {len(LOOKS)} looks at"
        f" {plural(look.accounts, 'account')}; with the days before, net"
        f" {percent(look.net_profit)} and Sharpe ratio {number(look.sharpe_ratio)}."
    )
