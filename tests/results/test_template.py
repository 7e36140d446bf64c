from __future__ import annotations

import copy
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import numpy as np
import pydantic
import pytest

from gpu_engine.records import METRICS, TARGET, TRADE, Costs, RiskLimits
from pipeline.results.document import (
    as_read,
    build_document,
    json_schema,
    new_configuration_id,
    restaged,
    validate_document,
)

DISCOVERED = datetime(2023, 1, 31, 23, 59, 59, tzinfo=UTC)

#: The table of configuration rules §1, written out a second time: no field may get lost.
FIELDS = {
    "metadata": "model_version discovery_date engine_hash runtime_env data_hash config_hash seed"
    " backend first_candle last_candle filled_candles",
    "context": "pair exchange timeframe",
    "performance": "gross_WR avg_win avg_loss exchange_fees est_slippage actual_slippage NET_PROFIT"
    " sample_size",
    "statistical_validation": "sharpe_ratio calmar_ratio sortino_ratio p_value z_score"
    " monte_carlo_var stability_score drawdown_duration trade_clustering rolling_30d_sharpe"
    " lifetime_sharpe_ratio reality_check_p surrogate_p fdr_q_value deflated_sharpe_ratio pbo"
    " p_oos_loss oos_slope is_overfit walk_forward_efficiency",
    "execution_metrics": "fill_rate partial_fill_rate time_to_fill_ms slippage_vs_mid_bps"
    " adverse_selection_score post_trade_drift_1m post_trade_drift_5m rejection_rate",
    "ensemble_regime_classification": "regime_models final_regime_probability"
    " regime_transition_probability regime_stability_score",
    "alternative_data_signals": "order_flow_imbalance options_flow funding_rate perpetual_basis"
    " social_sentiment whale_activity_score exchange_inflow_outflow",
    "adversarial_analysis": "adversarial_score trap_probability smart_money_alignment"
    " similar_patterns_detected competitor_activity_level unusual_mm_behavior spoofing_detected",
    "risk_allocation": "kelly_fraction correlation_adjusted_weight regime_adjusted_size"
    " max_position_size current_allocation var_95 cvar_95",
    "market_microstructure": "avg_spread_bps book_depth_ratio book_imbalance tick_size_impact"
    " maker_rebate taker_fee level2_depth_score microstructure_noise",
    "pattern_health": "months_since_discovery performance_degradation degradation_velocity"
    " death_signals death_signal_count resurrection_score correlation_to_other_patterns",
    "circuit_breakers": "max_daily_loss max_correlation_spike unusual_market_threshold"
    " latency_threshold_ms consecutive_losses_limit max_adverse_selection regime_break_threshold",
    "meta_learning_outputs": "pattern_failure_predictors optimal_market_conditions"
    " edge_expiration_estimate recommended_alternatives",
}


def inputs(**changes: Any) -> dict[str, Any]:
    metrics = dict.fromkeys(METRICS.names or (), 0.0) | {"sample_size": 2, "n_days": 30}
    trades = np.zeros(2, TRADE)
    trades["side"], trades["entry"], trades["exit"], trades["reason"] = 1, 100, 110, TARGET
    returns = np.zeros(30)
    returns[[3, 9]] = 0.098, 0.098
    given: dict[str, Any] = {
        "configuration_id": "LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3",
        "pattern": "LIQUIDITY_SWEEP_V3",
        "stage": "VALIDATION",
        "exchange": "binance",
        "pair": "BTC/USDT",
        "timeframe": "5m",
        "synthetic": False,
        "discovered_at": DISCOVERED,
        "parameters": {
            "pierce_depth": 0.001,
            "key_level_lookback": 50,
            "max_spread_tolerance": None,
        },
        "in_sample": metrics | {"net_profit": 0.5, "profit_factor": math.nan},
        "out_of_sample": metrics
        | {"net_profit": 0.2, "win_rate": 0.6, "avg_win": 0.02, "avg_loss": -0.01},
        "oos_returns": returns,
        "oos_trades": trades,
        "costs": Costs(fee_rate=0.001, slippage=0.0),
        "risk": RiskLimits(max_daily_loss=None, consecutive_losses_limit=4),
        "circuit_breakers": {
            "max_correlation_spike": 0.8,
            "unusual_market_threshold": 3.0,
            "latency_threshold_ms": 500,
            "max_adverse_selection": 0.6,
            "regime_break_threshold": 0.3,
        },
        "statistics": {"p_value": 0.03, "z_score": 1.88, "is_overfit": None},
        "provenance": {
            "model_version": "V3",
            "engine_hash": "e",
            "runtime_env": {"python": "3.11"},
            "data_hash": "d",
            "config_hash": "c",
            "seed": 7,
            "backend": "numba",
            "first_candle": 1_672_531_200_000,
            "last_candle": datetime(2023, 12, 31, 23, 55, tzinfo=UTC),
            "filled_candles": 3,
            "command": "not part of the document",
        },
        "taker_fee": 0.001,
    }
    return given | changes


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document(**inputs())


@pytest.mark.parametrize("section", FIELDS)
def test_every_field_of_the_spec_is_there(document: dict[str, Any], section: str) -> None:
    assert set(FIELDS[section].split()) <= set(document[section])


def test_the_root(document: dict[str, Any]) -> None:
    root = {"id", "pair", "pattern", "status", "parameters", "in_sample"}
    assert set(document) == root | set(FIELDS)
    assert document["status"] == "VALIDATION"
    assert document["parameters"] == inputs()["parameters"]


def test_what_candles_can_tell_is_computed(document: dict[str, Any]) -> None:
    performance, validation = document["performance"], document["statistical_validation"]
    assert performance["gross_WR"] == 1.0
    assert performance["exchange_fees"] == pytest.approx(2 * 0.001 * 2.1)
    assert performance["est_slippage"] == 0.0
    assert (performance["NET_PROFIT"], performance["sample_size"]) == (0.2, 2)
    assert validation["drawdown_duration"] == 0
    assert validation["rolling_30d_sharpe"] == validation["lifetime_sharpe_ratio"] > 0
    assert validation["p_value"] == 0.03
    assert document["risk_allocation"]["kelly_fraction"] == pytest.approx(0.4)
    assert document["in_sample"]["net_profit"] == 0.5


def test_a_restaged_document_changes_in_stage_sizes_and_health_alone(
    document: dict[str, Any],
) -> None:
    signals = {"rolling_30d_sharpe": True, "net_profit_per_day": False}
    changed = restaged(document, "DECAY", signals, 0.35)
    assert changed["status"] == "DECAY"
    assert changed["risk_allocation"]["max_position_size"] == 0.0
    assert changed["risk_allocation"]["kelly_fraction"] == pytest.approx(0.4)
    health = changed["pattern_health"]
    assert (health["death_signals"], health["death_signal_count"]) == (signals, 1)
    assert health["performance_degradation"] == 0.35
    same = set(document) - {"status", "risk_allocation", "pattern_health"}
    assert {name: changed[name] for name in same} == {name: document[name] for name in same}
    assert document["status"] == "VALIDATION"


def test_what_candles_cannot_know_is_null(document: dict[str, Any]) -> None:
    for section in ("execution_metrics", "alternative_data_signals", "adversarial_analysis"):
        assert set(document[section].values()) == {None}
    regimes = document["ensemble_regime_classification"]["final_regime_probability"]
    assert regimes == {"trending": None, "ranging": None, "volatile": None}
    assert document["statistical_validation"]["reality_check_p"] is None
    assert document["pattern_health"]["death_signals"] == {}
    assert document["in_sample"]["profit_factor"] is None


def test_times_are_utc(document: dict[str, Any]) -> None:
    metadata = document["metadata"]
    assert metadata["discovery_date"] == "2023-01-31T23:59:59Z"
    assert metadata["first_candle"] == "2023-01-01T00:00:00Z"
    assert metadata["last_candle"] == "2023-12-31T23:55:00Z"


def test_the_breakers_of_the_backtest_come_from_its_limits(document: dict[str, Any]) -> None:
    assert document["circuit_breakers"]["max_daily_loss"] is None
    assert document["circuit_breakers"]["consecutive_losses_limit"] == 4
    assert document["circuit_breakers"]["latency_threshold_ms"] == 500


@pytest.mark.parametrize(
    ("stage", "size"),
    [("DECAY", 0), ("PAPER", 0), ("DISCOVERY", 0.25), ("VALIDATION", 0.5), ("MATURE", 1)],
)
def test_the_stage_sets_the_size(stage: str, size: float) -> None:
    allocation = build_document(**inputs(stage=stage))["risk_allocation"]
    assert (allocation["max_position_size"], allocation["current_allocation"]) == (size, size)


def test_a_run_without_trades_has_a_document_too() -> None:
    document = build_document(**inputs(oos_trades=np.zeros(0, TRADE), oos_returns=np.zeros(30)))
    assert document["performance"]["gross_WR"] is None
    assert document["statistical_validation"]["trade_clustering"] is None
    assert document["risk_allocation"]["var_95"] == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"statistics": {"p_vlaue": 0.03}},
        {"taker_fee": math.nan},
        {"circuit_breakers": {}},
        {"configuration_id": "../../etc/passwd"},
    ],
)
def test_a_caller_that_errs_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        build_document(**inputs(**changes))


def test_the_document_is_json_that_the_schema_accepts(document: dict[str, Any]) -> None:
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    validate_document(again)


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("section", sorted(FIELDS))
def test_the_schema_refuses_a_missing_and_an_unknown_field(
    document: dict[str, Any], section: str
) -> None:
    for spoil in (lambda part: part.popitem(), lambda part: part.update(surprise=1)):
        spoilt = copy.deepcopy(document)
        spoil(spoilt[section])
        with pytest.raises(jsonschema.ValidationError):
            validate_document(spoilt)


def test_months_are_counted_when_read(document: dict[str, Any]) -> None:
    assert document["pattern_health"]["months_since_discovery"] is None
    read = as_read(document, DISCOVERED + timedelta(days=365.2425))
    assert read["pattern_health"]["months_since_discovery"] == pytest.approx(12)
    assert document["pattern_health"]["months_since_discovery"] is None
    validate_document(read)


def test_ids_are_pattern_time_and_chance() -> None:
    one, two = (new_configuration_id("LIQUIDITY_SWEEP_V3", DISCOVERED) for _ in range(2))
    assert re.fullmatch(r"LIQUIDITY_SWEEP_V3_20230131_235959_[0-9a-f]{6}", one)
    assert one != two
