"""Judge a configuration by what its live orders did (validation rules §6).

``fill_rate`` and ``adverse_selection_score`` are optional in the gates: unknown to a backtest,
binding once they are known. The stage is that of the figures as they are known now ("first row that
applies"), so a better report lifts what a worse one lowered, but never above what monitoring
leaves.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from pipeline.results.database import Repository
from pipeline.results.document import after_live_orders
from pipeline.results.records import (
    EXECUTION,
    Configuration,
    ConfigurationEvent,
    Judgement,
    cap_stage,
)
from pipeline.validation.stages import Gate, Stage, judge, position_size
from pipeline.validation.wording import number

GATED = ("fill_rate", "adverse_selection_score")
BASIS_POINTS = 1e4


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
    repository.configurations.rejudge(configuration_id, partial(_judgement, metrics))
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


def _judgement(
    metrics: Mapping[str, float], configuration: Configuration, events: Sequence[ConfigurationEvent]
) -> Judgement:
    reached, gates = judge(configuration.judged_figures | gate_values(metrics))
    stage = cap_stage(reached, events)
    size = position_size(stage, gates, configuration.synthetic)
    return Judgement(
        kind=EXECUTION,
        stage=stage,
        statistics=configuration.statistics,
        gates=[gate.to_dict() for gate in gates],
        document=after_live_orders(
            configuration.document,
            stage,
            size,
            configuration.out_of_sample,
            execution_metrics(metrics),
        ),
        reason=_reason(metrics, gates, reached, stage),
        figures=dict(metrics),
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
