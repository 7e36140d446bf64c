"""Build, change and check the V3 configuration document.

What candles can tell is computed by `pipeline.results.document.performance`
(configuration rules §2); the rest is null. Whatever is built or changed here is validated by the
models. Readers in other languages rely on the JSON Schema that is generated from them; a test
proves that both agree.

``pattern_health.months_since_discovery`` is a fact about the moment of reading, so the stored
document holds null and `as_read` fills it in: a number written today would be wrong tomorrow.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from gpu_engine import Float
from pipeline.config import CostsConfig, RiskConfig, StrategyConfig, text_hash
from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.document import models as v3
from pipeline.results.document import performance
from pipeline.results.jsonable import jsonable
from pipeline.results.records import Configuration
from pipeline.strategies.registry import BUILT_IN
from pipeline.strategies.warm_up import indicator_periods, warm_up_bars
from pipeline.validation.breakdown import Trades
from pipeline.validation.stages import Stage

SCHEMA_FILE = "configuration_v3.schema.json"
#: Statistics that a row keeps beside those of the document; the last is of an earlier build.
_OF_THE_ROW_ALONE = {
    *("parameter_spread", "parameter_choices", "window_days", "whole_history", "closed"),
    *("hold", "sides", "costs", "years", "trades_needed", "liquidations"),
    *("earlier_searches", "is_overfit"),
}
#: By a parameter's sense.
_COMPARISONS = {1: ">=", -1: "<=", 0: None}
_MONTH, _DAY = timedelta(days=365.2425 / 12), timedelta(days=1)
#: A time of a candle as `document_models.Metadata` takes it.
_MOMENT: TypeAdapter[datetime] = TypeAdapter(v3.Moment)
#: Fields that documents of earlier builds lack.
_LATER = (
    ("metadata", "retrain_by"),
    ("context", "contract"),
    ("market_microstructure", "slippage"),
    ("market_microstructure", "funding_rate"),
    ("strategy", "indicator_periods"),
    ("strategy", "warm_up_bars"),
)


def new_configuration_id(pattern: str, at: datetime) -> str:
    """``LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3``: pattern, UTC time, six random hex digits."""
    return f"{pattern}_{at.astimezone(UTC):%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"


def build_document(
    configuration: Configuration,
    strategy: StrategyConfig,
    costs: CostsConfig,
    risk: RiskConfig,
    daily: Float,
    trades: Trades,
    avg_spread_bps: float | None,
    funding_rate: float | None = None,
) -> dict[str, Any]:
    """Build the V3 document of one configuration.

    Parameters
    ----------
    configuration : Configuration
        Its row; ``document`` and ``circuit_breakers`` are not read. A statistic that it lacks is
        null. Of ``provenance`` the document takes what `document_models.Metadata` names; candle
        times may be int64 milliseconds.
    strategy : StrategyConfig
        What it trades. The configuration has a value of each of its parameters.
    costs, risk : CostsConfig, RiskConfig
        Those it was trained with. Breakers that a backtest cannot honour are carried along.
    daily : float64 array of shape (D,)
        Daily net returns of the out-of-sample series.
    trades : `TRADE` array of shape (m,)
        Of the out-of-sample series, in the order of their entries.
    avg_spread_bps : float or None
        `pipeline.results.document.performance.average_spread_bps` of the whole history.
    funding_rate : float or None
        What stands in for a payment of funding that is not known; None where nothing does.

    Returns
    -------
    dict
        JSON, validated.

    Raises
    ------
    KeyError
        When a parameter of the strategy has no value: a mistake of the caller's.
    pydantic.ValidationError
        When a value is missing, unknown or of the wrong kind: a mistake of the caller's.
    """
    metrics, stage = configuration.out_of_sample, configuration.lifecycle_stage
    sections = {
        "id": configuration.id,
        "pair": configuration.pair,
        "pattern": configuration.strategy,
        "status": stage,
        "metadata": _named(v3.Metadata, configuration.provenance)
        | {
            "discovery_date": configuration.created_at.astimezone(UTC),
            "synthetic": configuration.synthetic,
            "retrain_by": _retrain_by(configuration),
        },
        "context": _named(v3.Context, vars(configuration))
        | {"contract": "linear perpetual" if _perpetual(configuration) else "spot"}
        | {"stated": configuration.provenance.get("market")},
        "parameters": configuration.parameters,
        "performance": _performance(metrics, trades, costs),
        "statistical_validation": _unknown(v3.StatisticalValidation)
        | {n: v for n, v in configuration.statistics.items() if n not in _OF_THE_ROW_ALONE}
        | _validation(metrics, daily, trades),
        "in_sample": configuration.in_sample,
        "execution_metrics": _unknown(v3.ExecutionMetrics),
        "ensemble_regime_classification": _unknown(v3.EnsembleRegimeClassification)
        | {"final_regime_probability": _unknown(v3.RegimeProbability)},
        "alternative_data_signals": _unknown(v3.AlternativeDataSignals),
        "adversarial_analysis": _unknown(v3.AdversarialAnalysis),
        "risk_allocation": _unknown(v3.RiskAllocation)
        | _allocation(configuration.position_size, risk, metrics, daily),
        "market_microstructure": _unknown(v3.MarketMicrostructure)
        | {"avg_spread_bps": avg_spread_bps, "taker_fee": costs.fee_rate}
        | {"maker_rebate": None if costs.maker_fee is None else -costs.maker_fee}
        | {"borrow_rate": None if _perpetual(configuration) else costs.borrow_rate}
        | {"slippage": costs.slippage}
        | {"funding_rate": funding_rate if _perpetual(configuration) else None},
        "pattern_health": _unknown(v3.PatternHealth) | {"death_signals": {}},
        "circuit_breakers": _named(v3.CircuitBreakers, risk.model_dump()),
        "meta_learning_outputs": _unknown(v3.MetaLearningOutputs),
        "strategy": _unknown(v3.TradedStrategy)
        | _traded(strategy, configuration.parameters, timeframe_ms(configuration.timeframe)),
    }
    return v3.ConfigurationV3.model_validate(jsonable(sections)).model_dump(mode="json")


def _perpetual(configuration: Configuration) -> bool:
    """Whether it trades a contract, as its symbol says, whose shorts borrow nothing."""
    return ":" in configuration.pair


def _retrain_by(configuration: Configuration) -> datetime | None:
    """Return the end of the age at which its parameters were tested (configuration rules §2.14).

    None where the row keeps no windows.
    """
    windows = configuration.statistics.get("window_days")
    if not windows:
        return None
    (_, trained), (_, tested) = windows[-1]["train"], windows[-1]["test"]
    age = date.fromisoformat(tested) - date.fromisoformat(trained)
    if len(windows) == 1:  # a split: its parameters are those of that window
        end = date.fromisoformat(trained) + _DAY
    else:
        last = _MOMENT.validate_python(configuration.provenance["last_candle"]).astimezone(UTC)
        end = (last + timedelta(milliseconds=timeframe_ms(configuration.timeframe))).date()
    return datetime.combine(end + age, time(), UTC)


def without_later_fields(document: dict[str, Any], stored: Mapping[str, Any]) -> None:
    """Take out of a document what the one of an earlier build does not have."""
    for section, name in _LATER:
        if name not in (stored.get(section) or {}):
            document.get(section, {}).pop(name, None)


def after_monitoring(
    document: Mapping[str, Any],
    stage: Stage,
    health: tuple[Mapping[str, bool], float | None] | None,
) -> dict[str, Any]:
    """Return a stored document as monitoring leaves it: stage, sizes and the pattern's health.

    The evidence in it stays that of the discovery.

    Parameters
    ----------
    health : (mapping of str to bool, float or None) or None
        The death signals by name, True where one is given; and the share of the discovery's net
        profit per day that is gone, 1 when all is, None where that was not positive. None leaves
        the health as it is: an earlier look reaches further.
    """
    changes: dict[str, Any] = {}
    if health is not None:
        signals, degradation = health
        changes = {
            "death_signals": dict(signals),
            "death_signal_count": sum(signals.values()),
            "performance_degradation": degradation,
        }
    # Monitoring leaves a stage or moves to one that trades nothing.
    kept = document["risk_allocation"]["current_allocation"]
    size = kept if stage == document["status"] else 0.0
    kelly = document["risk_allocation"]["kelly_fraction"] if size else None
    return _at_stage(document, stage, (size, kelly), "pattern_health", changes)


def after_sweep(
    document: Mapping[str, Any],
    stage: Stage,
    size: float,
    out_of_sample: Mapping[str, Any],
    fdr_q_value: float,
) -> dict[str, Any]:
    """Return a stored document as judging a sweep leaves it: stage, sizes and the q-value.

    ``out_of_sample`` are the metrics of its row.
    """
    sizes, values = (size, _kelly(size, out_of_sample)), {"fdr_q_value": fdr_q_value}
    return _at_stage(document, stage, sizes, "statistical_validation", values)


def after_live_orders(
    document: Mapping[str, Any],
    stage: Stage,
    size: float,
    out_of_sample: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """Return a stored document as a report of live orders leaves it: stage, sizes and ``metrics``.

    ``metrics`` are fields of `document_models.ExecutionMetrics`; the others stay what they were.
    ``out_of_sample`` are the metrics of its row.
    """
    sizes = size, _kelly(size, out_of_sample)
    return _at_stage(document, stage, sizes, "execution_metrics", metrics)


def _at_stage(
    document: Mapping[str, Any],
    stage: Stage,
    sizes: tuple[float, float | None],
    section: str,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Move a document to a stage, with the position that it may trade there; change a section.

    ``sizes`` are the size and the Kelly fraction.
    The document of an earlier build gets today's statistics: null is what it did not know.
    """
    size, kelly = sizes
    allocation = {"max_position_size": size, "current_allocation": size, "kelly_fraction": kelly}
    tested = _unknown(v3.StatisticalValidation) | _named(
        v3.StatisticalValidation, document["statistical_validation"]
    )
    document = {**document, "statistical_validation": tested}
    changed = {
        **document,
        "status": stage,
        "risk_allocation": document["risk_allocation"] | allocation,
        section: document[section] | dict(values),
    }
    validate_document(changed)
    return changed


def validate_document(document: Mapping[str, Any]) -> None:
    """Check a document against its models; `pydantic.ValidationError` says what is wrong."""
    v3.ConfigurationV3.model_validate(document)


def as_read(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a stored document with what depends on the moment of reading filled in."""
    discovered = datetime.fromisoformat(document["metadata"]["discovery_date"])
    months = max((now - discovered) / _MONTH, 0.0)
    health = document["pattern_health"] | {"months_since_discovery": months}
    return {**document, "pattern_health": health}


def json_schema() -> dict[str, Any]:
    """Build the JSON Schema (draft 2020-12) of the document from its models."""
    schema = v3.ConfigurationV3.model_json_schema(
        mode="serialization", schema_generator=_WithoutFieldTitles
    )
    return {"$schema": GenerateJsonSchema.schema_dialect} | schema


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leave out a title that only repeats the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _unknown(section: type[v3.Section]) -> dict[str, Any]:
    """Say of every field that must be there that it is not known."""
    return {n: None for n, field in section.model_fields.items() if field.is_required()}


def _named(section: type[v3.Section], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``values`` that are fields of a section."""
    return {name: values[name] for name in section.model_fields if name in values}


def _traded(strategy: StrategyConfig, values: Mapping[str, Any], step_ms: int) -> dict[str, Any]:
    text, parameters = strategy.text, strategy.load().parameters
    known = strategy.name in BUILT_IN  # nobody knows how far any other looks back
    return {
        "word": strategy.name,
        "source": "built-in" if text is None else "own file",
        "text_sha256": text_hash(text),
        "parameters": [
            {
                "name": parameter.name,
                "kind": parameter.kind,
                "value": values[parameter.name],
                "unit": parameter.unit,
                "meaning": parameter.meaning,
                "comparison": _COMPARISONS[parameter.sense],
                "exit": parameter.exit if parameter.kind == "exit" else None,
            }
            for parameter in parameters
        ],
        "indicator_periods": indicator_periods(step_ms) if known else None,
        "warm_up_bars": warm_up_bars(parameters, values, step_ms) if known else None,
    }


def _performance(metrics: Mapping[str, Any], trades: Trades, costs: CostsConfig) -> dict[str, Any]:
    return {
        "gross_WR": performance.gross_win_rate(trades, costs.slippage),
        "avg_win": metrics["avg_win"],
        "avg_loss": metrics["avg_loss"],
        "exchange_fees": performance.exchange_fees(trades, costs.record()),
        "est_slippage": performance.estimated_slippage(trades, costs.slippage),
        "actual_slippage": None,
        "NET_PROFIT": metrics["net_profit"],
        "sample_size": metrics["sample_size"],
    }


def _validation(metrics: Mapping[str, Any], returns: Float, trades: Trades) -> dict[str, Any]:
    return {
        "sharpe_ratio": metrics["sharpe_ratio"],
        "max_drawdown": metrics["max_drawdown"],
        "calmar_ratio": metrics["calmar_ratio"],
        "sortino_ratio": metrics["sortino_ratio"],
        "drawdown_duration": performance.drawdown_duration(returns),
        "trade_clustering": performance.trade_clustering(trades),
        "rolling_30d_sharpe": performance.recent_sharpe_ratio(returns, days=30),
        "lifetime_sharpe_ratio": performance.sharpe_ratio(returns),
    }


def _allocation(
    size: float, risk: RiskConfig, metrics: Mapping[str, Any], returns: Float
) -> dict[str, Any]:
    return {
        "kelly_fraction": _kelly(size, metrics),
        "max_position_size": size,
        "current_allocation": size,
        "var_95": performance.value_at_risk(returns),
        "cvar_95": performance.conditional_value_at_risk(returns),
        "position_fraction": risk.position_fraction,
        "direction": risk.direction,
        "max_holding_bars": risk.max_holding_bars,
        "leverage": risk.leverage,
        "maintenance_rate": None if risk.leverage is None else risk.maintenance_rate,
    }


def _kelly(size: float, metrics: Mapping[str, Any]) -> float | None:
    """Return the Kelly fraction of what has a size, None of what may not be traded."""
    if size == 0.0:
        return None
    return performance.kelly_fraction(
        metrics["win_rate"], metrics["avg_win"], metrics["avg_loss"], metrics["sample_size"]
    )
