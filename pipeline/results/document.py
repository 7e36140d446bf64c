"""Filling the V3 configuration document from plain records, and checking it against its schema.

What candles can tell is computed by `pipeline.results.performance` (configuration rules §2); the
rest is null. A finished document is validated twice: by the models as it is built, and by the JSON
Schema that readers in other languages rely on, so the two cannot part unnoticed.

``pattern_health.months_since_discovery`` is a fact about the moment of reading, so the stored
document holds null and `as_read` fills it in: a number written today would be wrong tomorrow.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from pydantic.json_schema import GenerateJsonSchema

from gpu_engine.records import Costs, Float, RiskLimits
from pipeline.results import document_models as v3
from pipeline.results import performance
from pipeline.results.jsonable import jsonable
from pipeline.results.performance import Trades
from pipeline.validation.stages import STAGE_SIZE, Stage

SCHEMA_FILE = "configuration_v3.schema.json"
_MONTH = timedelta(days=365.2425 / 12)


def new_configuration_id(pattern: str, at: datetime) -> str:
    """``LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3``: pattern, UTC time, six random hex digits."""
    return f"{pattern}_{at.astimezone(UTC):%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"


def build_document(
    *,
    configuration_id: str,
    pattern: str,
    stage: Stage,
    exchange: str,
    pair: str,
    timeframe: str,
    synthetic: bool,
    discovered_at: datetime,
    parameters: Mapping[str, Any],
    in_sample: Mapping[str, Any],
    out_of_sample: Mapping[str, Any],
    oos_returns: Float,
    oos_trades: Trades,
    costs: Costs,
    risk: RiskLimits,
    circuit_breakers: Mapping[str, Any],
    statistics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    taker_fee: float,
    avg_spread_bps: float | None = None,
) -> dict[str, Any]:
    """Build the V3 document of one configuration.

    Parameters
    ----------
    configuration_id : str
        From `new_configuration_id`.
    pattern : str
        The strategy's name, ``LIQUIDITY_SWEEP_V3``.
    synthetic : bool
        True when the candles were generated.
    discovered_at : datetime
        Aware.
    in_sample, out_of_sample : mapping
        Metrics by name (`gpu_engine.records.METRICS`): of the stored configuration on the days it
        was trained on, and of the stitched out-of-sample series.
    oos_returns : float64 array of shape (D,)
        Daily net returns of the out-of-sample series.
    oos_trades : `TRADE` array of shape (m,)
        In the order of their entries.
    circuit_breakers : mapping
        Those of live trading; the two that a backtest honours are taken from ``risk``.
    statistics : mapping
        Fields of `sections.StatisticalValidation` that validation computed; the others are null.
    provenance : mapping
        At least the fields of `sections.Metadata` that are not parameters here; candle times may
        be int64 milliseconds. More is ignored: the row keeps it all.
    taker_fee : float
        Of the market, fraction of notional a side.
    avg_spread_bps : float or None
        EDGE estimate over the history.

    Returns
    -------
    dict
        JSON, validated.

    Raises
    ------
    pydantic.ValidationError
        When a value is missing, unknown or of the wrong kind: a mistake of the caller's.
    """
    given = {
        "id": configuration_id,
        "pair": pair,
        "pattern": pattern,
        "status": stage,
        "metadata": _metadata(provenance, discovered_at, synthetic),
        "context": {"pair": pair, "exchange": exchange, "timeframe": timeframe},
        "parameters": parameters,
        "performance": _performance(out_of_sample, oos_trades, costs),
        "statistical_validation": _unknown(v3.StatisticalValidation)
        | dict(statistics)
        | _validation(out_of_sample, oos_returns, oos_trades),
        "in_sample": in_sample,
        "execution_metrics": _unknown(v3.ExecutionMetrics),
        "ensemble_regime_classification": _unknown(v3.EnsembleRegimeClassification)
        | {"final_regime_probability": _unknown(v3.RegimeProbability)},
        "alternative_data_signals": _unknown(v3.AlternativeDataSignals),
        "adversarial_analysis": _unknown(v3.AdversarialAnalysis),
        "risk_allocation": _unknown(v3.RiskAllocation)
        | _allocation(stage, risk, out_of_sample, oos_returns),
        "market_microstructure": _unknown(v3.MarketMicrostructure)
        | {"avg_spread_bps": avg_spread_bps, "taker_fee": taker_fee},
        "pattern_health": _unknown(v3.PatternHealth) | {"death_signals": {}},
        "circuit_breakers": dict(circuit_breakers)
        | {
            "max_daily_loss": risk.max_daily_loss,
            "consecutive_losses_limit": risk.consecutive_losses_limit,
        },
        "meta_learning_outputs": _unknown(v3.MetaLearningOutputs),
    }
    document = v3.ConfigurationV3.model_validate(jsonable(given)).model_dump(mode="json")
    validate_document(document)
    return document


def restaged(
    document: Mapping[str, Any],
    stage: Stage,
    death_signals: Mapping[str, bool],
    performance_degradation: float | None,
) -> dict[str, Any]:
    """Return a stored document as monitoring leaves it: stage, sizes and the pattern's health.

    The evidence in it stays that of the discovery.

    Parameters
    ----------
    death_signals : mapping of str to bool
        By name; True where the signal is given.
    performance_degradation : float or None
        Share of the discovery's net profit per day that is gone, 1 when all is; None where that
        was not positive.
    """
    changed = _sized(document, stage) | {
        "pattern_health": document["pattern_health"]
        | {
            "death_signals": dict(death_signals),
            "death_signal_count": sum(death_signals.values()),
            "performance_degradation": performance_degradation,
        },
    }
    validate_document(changed)
    return changed


def rejudged(document: Mapping[str, Any], stage: Stage, fdr_q_value: float) -> dict[str, Any]:
    """Return a stored document as judging a sweep leaves it: stage, sizes and the q-value."""
    changed = _sized(document, stage) | {
        "statistical_validation": document["statistical_validation"] | {"fdr_q_value": fdr_q_value}
    }
    validate_document(changed)
    return changed


def executed(
    document: Mapping[str, Any], stage: Stage, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return a stored document as a report of live orders leaves it: stage, sizes and ``metrics``.

    ``metrics`` are fields of `sections.ExecutionMetrics`; those not named stay what they were.
    """
    changed = _sized(document, stage) | {
        "execution_metrics": document["execution_metrics"] | dict(metrics)
    }
    validate_document(changed)
    return changed


def _sized(document: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """Move a document to a stage, with the position that it may trade there."""
    size = STAGE_SIZE[stage]
    allocation = {"max_position_size": size, "current_allocation": size}
    return {
        **document,
        "status": stage,
        "risk_allocation": document["risk_allocation"] | allocation,
    }


def validate_document(document: Mapping[str, Any]) -> None:
    """Check a document against the JSON Schema; `jsonschema.ValidationError` says what is wrong."""
    _validator().validate(document)


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
    return {"$schema": Draft202012Validator.META_SCHEMA["$id"]} | schema


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leave out a title that only repeats the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def _validator() -> Draft202012Validator:
    """Read the schema that ships, which is the one that others read."""
    return Draft202012Validator(json.loads((files(__package__) / SCHEMA_FILE).read_text("utf-8")))


def _unknown(section: type[v3.Section]) -> dict[str, Any]:
    return dict.fromkeys(section.model_fields)


def _metadata(
    provenance: Mapping[str, Any], discovered_at: datetime, synthetic: bool
) -> dict[str, Any]:
    known = {name: provenance[name] for name in v3.Metadata.model_fields if name in provenance}
    return known | {"discovery_date": discovered_at.astimezone(UTC), "synthetic": synthetic}


def _performance(metrics: Mapping[str, Any], trades: Trades, costs: Costs) -> dict[str, Any]:
    return {
        "gross_WR": performance.gross_win_rate(trades, costs.slippage),
        "avg_win": metrics["avg_win"],
        "avg_loss": metrics["avg_loss"],
        "exchange_fees": performance.exchange_fees(trades, costs.fee_rate),
        "est_slippage": performance.estimated_slippage(trades, costs.slippage),
        "actual_slippage": None,
        "NET_PROFIT": metrics["net_profit"],
        "sample_size": metrics["sample_size"],
    }


def _validation(metrics: Mapping[str, Any], returns: Float, trades: Trades) -> dict[str, Any]:
    return {
        "sharpe_ratio": metrics["sharpe_ratio"],
        "calmar_ratio": metrics["calmar_ratio"],
        "sortino_ratio": metrics["sortino_ratio"],
        "drawdown_duration": performance.drawdown_duration(returns),
        "trade_clustering": performance.trade_clustering(trades),
        "rolling_30d_sharpe": performance.recent_sharpe_ratio(returns, days=30),
        "lifetime_sharpe_ratio": performance.sharpe_ratio(returns),
    }


def _allocation(
    stage: Stage, risk: RiskLimits, metrics: Mapping[str, Any], returns: Float
) -> dict[str, Any]:
    return {
        "kelly_fraction": performance.kelly_fraction(
            metrics["win_rate"], metrics["avg_win"], metrics["avg_loss"], metrics["sample_size"]
        ),
        "max_position_size": STAGE_SIZE[stage],
        "current_allocation": STAGE_SIZE[stage],
        "var_95": performance.value_at_risk(returns),
        "cvar_95": performance.conditional_value_at_risk(returns),
        "position_fraction": risk.position_fraction,
        "direction": risk.direction,
        "max_holding_bars": risk.max_holding_bars,
    }
