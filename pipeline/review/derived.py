"""Derive once more what the row of a configuration says besides its figures.

Its gates and stage from its figures and events, its market from its job, the columns that lists
are sorted by from the JSON, the document that is traded from all of these.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.config import SimulationConfig
from pipeline.results import records
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.document.document import (
    after_live_orders,
    after_monitoring,
    after_sweep,
    build_document,
    without_later_fields,
)
from pipeline.results.jsonable import jsonable
from pipeline.review.later_evidence import execution_metrics, gate_values, watched_figures
from pipeline.validation.decay import DEATH_SIGNALS
from pipeline.validation.stages import Stage, gates_from, judge, position_size

#: Of a float that is computed again, relative.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class RowContext:
    """What the database says of a configuration outside its record.

    ``synthetic`` is what its job's candles are, ``filter_columns`` the figures that lists are
    sorted by, ``events`` what happened to it, oldest first.
    """

    synthetic: bool
    filter_columns: Mapping[str, float | int | None]
    events: Sequence[records.ConfigurationEvent]


def judge_again(
    configuration: records.Configuration, events: Sequence[records.ConfigurationEvent]
) -> tuple[Stage, list[dict[str, Any]]]:
    """Judge the figures of a configuration with what ``events`` made known.

    Returns the stage, and the gates behind it as plain values.
    """
    figures = configuration.out_of_sample | configuration.statistics
    figures = figures | {"fdr_q_value": None}  # which only a sweep tells
    for event in events:
        if event.kind == records.SWEEP:
            figures["fdr_q_value"] = event.figures["fdr_q_value"]
        elif event.kind == records.EXECUTION:
            figures |= gate_values(event.figures)
        elif event.kind == records.WATCH:
            figures |= watched_figures(event.figures)
    stage, gates = judge(figures)
    return records.cap_stage(stage, events), [gate.to_dict() for gate in gates]


def row_columns(
    configuration: records.Configuration, config: SimulationConfig, context: RowContext
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the row's plain columns say and what they must, by name.

    Every event goes on from the stage of the one before, the first from that of the discovery.
    """
    market, metrics = config.market, configuration.out_of_sample
    reached = [judge_again(configuration, ())[0], *(event.to_stage for event in context.events)]
    stored = {
        "strategy": configuration.strategy,
        "exchange": configuration.exchange,
        "pair": configuration.pair,
        "timeframe": configuration.timeframe,
        "synthetic": configuration.synthetic,
        "events": [event.from_stage for event in context.events],
        "lifecycle_stage": configuration.lifecycle_stage,
        **context.filter_columns,
    }
    expected = {
        "strategy": config.strategy.load().name,
        "exchange": market.exchange.name,
        "pair": market.pair,
        "timeframe": market.timeframe,
        "synthetic": context.synthetic,
        "events": reached[:-1],
        "lifecycle_stage": judge_again(configuration, context.events)[0],
        "oos_sharpe_ratio": metrics["sharpe_ratio"],
        "oos_net_profit": metrics["net_profit"],
        "sample_size": metrics["sample_size"],
        "p_value": configuration.statistics["p_value"],
    }
    return stored, expected


def rebuilt_document(
    configuration: records.Configuration,
    record: ArtifactSet,
    config: SimulationConfig,
    spread: float | None,
    events: Sequence[records.ConfigurationEvent],
) -> dict[str, Any]:
    """Build the document once more, with the changes of ``events``.

    ``spread`` is the average spread of its candles, in basis points.

    The section on the strategy is left out where an earlier build did not write it. A built-in
    strategy may say the meaning of a parameter in other words by now: the stored words stand.
    """
    market = config.market
    discovered = replace(
        configuration,
        strategy=config.strategy.load().name,
        exchange=market.exchange.name,
        pair=market.pair,
        timeframe=market.timeframe,
        lifecycle_stage=judge_again(configuration, ())[0],
        gates=judge_again(configuration, ())[1],
    )
    document = build_document(
        discovered,
        config.strategy,
        config.costs,
        config.risk,
        record.out_of_sample.returns,
        record.trades,
        spread,
        config.data.funding_rate,
    )
    without_later_fields(document, configuration.document)
    stored = configuration.document.get("strategy")
    if stored is None:
        del document["strategy"]
    elif config.strategy.text is None:
        own = {parameter["name"]: parameter for parameter in stored["parameters"]}
        for parameter in document["strategy"]["parameters"]:
            parameter["meaning"] = own.get(parameter["name"], parameter)["meaning"]
    for number, event in enumerate(events, start=1):
        _, gates = judge_again(configuration, events[:number])
        size = position_size(event.to_stage, gates_from(gates), configuration.synthetic)
        document = jsonable(_after_event(document, event, size, configuration.out_of_sample))
    return document


def _after_event(
    document: dict[str, Any],
    event: records.ConfigurationEvent,
    size: float,
    out_of_sample: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a document as the event's recorder left it."""
    if event.kind == records.MONITOR:
        return after_monitoring(document, event.to_stage, _health(event.figures))
    if event.kind in (records.EXECUTION, records.WATCH):  # of a rise there are no metrics of orders
        metrics = execution_metrics(event.figures)
        return after_live_orders(document, event.to_stage, size, out_of_sample, metrics)
    if event.kind == records.SWEEP:
        q = event.figures["fdr_q_value"]
        return after_sweep(document, event.to_stage, size, out_of_sample, q)
    return document


def _health(figures: Mapping[str, Any]) -> tuple[dict[str, bool], float | None] | None:
    """Return the death signals and the degradation of an event of monitoring.

    None where it says that an earlier look reaches further. Events of earlier versions never do.
    """
    if "reached" in figures:
        return None
    signals = {
        gate["name"]: gate["passed"] is False
        for gate in figures["gates"]
        if gate["name"] in DEATH_SIGNALS
    }
    profit = figures["net_profit_per_day"]
    before = profit["discovery"]
    return signals, 1.0 - profit["new"] / before if before > 0.0 else None


def pairs(path: str, stored: Any, expected: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values of every leaf of two JSON values; a whole branch that one lacks.

    The paths are as a person writes them: ``document.performance.sample_size``, ``gates[3].value``.
    """
    if isinstance(stored, Mapping) and isinstance(expected, Mapping):
        for name in [*expected, *(stored.keys() - expected.keys())]:
            own, again = (value.get(name, "nothing") for value in (stored, expected))
            yield from pairs(f"{path}.{name}", own, again)
    elif isinstance(stored, list) and isinstance(expected, list) and len(stored) == len(expected):
        for i, (own, again) in enumerate(zip(stored, expected, strict=True)):
            yield from pairs(f"{path}[{i}]", own, again)
    else:
        yield path, stored, expected


def equal(stored: Any, expected: Any) -> bool:
    """Whether two leaves agree, floats to `TOLERANCE`; True is not 1."""
    if isinstance(stored, bool) or isinstance(expected, bool):
        return stored is expected
    if isinstance(stored, int | float) and isinstance(expected, int | float):
        return math.isclose(stored, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(stored == expected)
