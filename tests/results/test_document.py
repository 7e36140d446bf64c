from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest

from gpu_engine import ExitSettings
from pipeline.config import CostsConfig, StrategyConfig
from pipeline.results.document.document import (
    SCHEMA_FILE,
    after_live_orders,
    after_monitoring,
    after_sweep,
    as_read,
    build_document,
    new_configuration_id,
    validate_document,
    without_later_fields,
)
from pipeline.strategies.registry import BUILT_IN, declared
from pipeline.validation.stages import STAGES
from support.own_strategy import own_file
from support.v3_document import DISCOVERED, METRIC_VALUES, NO_TRADES, inputs

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
    " p_oos_loss oos_slope sharpe_interval excess_net_profit beta alpha alpha_p time_in_market"
    " max_drawdown walk_forward_efficiency",
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
    "strategy": "word source text_sha256 parameters smart_money_divergence wyckoff_phase_alignment"
    " news_sentiment_score continuation_probability",
}


NOT_OF_CANDLES = FIELDS["strategy"].split()[-4:]


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
    assert document["parameters"] == inputs()["configuration"].parameters


def test_what_the_costs_and_the_leverage_were_is_told_where_there_were_any() -> None:
    costs = CostsConfig(fee_rate=0.001, slippage=0.0, maker_fee=-0.0002, borrow_rate=0.0003)
    plain, given = inputs(), inputs()
    given |= {"costs": costs, "risk": given["risk"].model_copy(update={"leverage": 3.0})}
    document = build_document(**given)
    friction, allocation = document["market_microstructure"], document["risk_allocation"]
    assert (friction["maker_rebate"], friction["borrow_rate"]) == (0.0002, 0.0003)
    assert (allocation["leverage"], allocation["maintenance_rate"]) == (3.0, 0.005)
    given["configuration"] = replace(given["configuration"], pair="BTC/USDT:USDT")
    assert "borrow_rate" not in build_document(**given)["market_microstructure"]
    before = build_document(**plain)
    assert before["market_microstructure"]["maker_rebate"] is None
    assert "borrow_rate" not in before["market_microstructure"]
    assert not {"leverage", "maintenance_rate"} & set(before["risk_allocation"])


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


def test_a_bot_is_told_what_it_trades(document: dict[str, Any]) -> None:
    traded = document["strategy"]
    assert list(document)[-1] == "strategy"
    assert [traded[name] for name in ("word", "source", "text_sha256")] == [
        "liquidity_sweep",
        "built-in",
        None,
    ]
    parameters = {parameter["name"]: parameter for parameter in traded["parameters"]}
    assert {name: p["value"] for name, p in parameters.items()} == document["parameters"]
    for parameter in inputs()["strategy"].load().parameters:
        told = parameters[parameter.name]
        assert told["kind"] == parameter.kind
        assert (told["unit"], told["meaning"]) == (parameter.unit, parameter.meaning)
    assert parameters["pierce_depth"]["comparison"] == ">="
    assert parameters["max_spread_tolerance"]["comparison"] == "<="
    assert parameters["max_spread_tolerance"]["value"] is None
    assert parameters["key_level_lookback"]["comparison"] is None
    exits = {name: p["exit"] for name, p in parameters.items() if p["kind"] == "exit"}
    assert set(exits.values()) <= {field.name for field in fields(ExitSettings)}
    assert all(p["exit"] is None for name, p in parameters.items() if name not in exits)


def with_windows(*windows: tuple[str, str, str]) -> dict[str, Any]:
    """Arguments with windows by the last trained day and the first and last tested one."""
    given = inputs()
    days = [{"train": ["2023-01-01", t], "test": [a, b]} for t, a, b in windows]
    statistics = given["configuration"].statistics | {"window_days": days}
    return given | {"configuration": replace(given["configuration"], statistics=statistics)}


def test_parameters_are_tested_up_to_an_age() -> None:
    """The history ends on 2023-12-31; a gap of 7 and a test of 30 days."""
    moving = ("2023-03-31", "2023-04-08", "2023-05-07"), ("2023-04-30", "2023-05-08", "2023-06-06")
    metadata = build_document(**with_windows(*moving))["metadata"]
    assert metadata["retrain_by"] == "2024-02-07T00:00:00Z"
    split = build_document(**with_windows(("2023-09-30", "2023-10-08", "2023-12-31")))
    assert split["metadata"]["retrain_by"] == "2024-01-01T00:00:00Z"
    assert "retrain_by" not in build_document(**inputs())["metadata"]


def test_a_bot_is_told_what_was_assumed() -> None:
    given = inputs() | {"costs": CostsConfig(fee_rate=0.001, slippage=0.0002), "funding_rate": 0.01}
    spot = build_document(**given)
    assert spot["context"]["contract"] == "spot"
    assert spot["market_microstructure"]["slippage"] == 0.0002
    assert "funding_rate" not in spot["market_microstructure"]
    given["configuration"] = replace(given["configuration"], pair="BTC/USDT:USDT")
    perpetual = build_document(**given)
    assert perpetual["context"]["contract"] == "linear perpetual"
    assert perpetual["market_microstructure"]["funding_rate"] == 0.01


def test_fields_that_an_earlier_build_lacks_are_not_asked_for(document: dict[str, Any]) -> None:
    earlier = copy.deepcopy(document)
    for section, names in LATER.items():
        for name in names:
            earlier[section].pop(name, None)
    validate_document(earlier)
    rebuilt = copy.deepcopy(document)
    without_later_fields(rebuilt, earlier)
    assert rebuilt == earlier != document
    without_later_fields(rebuilt := copy.deepcopy(document), document)
    assert rebuilt == document


LATER = {
    "metadata": ["retrain_by"],
    "context": ["contract"],
    "market_microstructure": ["slippage", "funding_rate"],
    "strategy": ["indicator_periods", "warm_up_bars"],
}


@pytest.mark.parametrize("word", BUILT_IN)
def test_every_built_in_strategy_can_be_told(
    schema: jsonschema.Draft202012Validator, word: str
) -> None:
    strategy = StrategyConfig(**declared(word))
    example = strategy.load().example
    told = build_document(**inputs(parameters=example) | {"strategy": strategy})
    schema.validate(told)
    assert [p["value"] for p in told["strategy"]["parameters"]] == list(example.values())
    assert told["strategy"]["warm_up_bars"] > 400 + 288
    assert told["strategy"]["indicator_periods"]["average_true_range"] == 14
    assert {told["strategy"][name] for name in NOT_OF_CANDLES} == {None}


def test_an_own_file_is_known_by_its_text(tmp_path: Path) -> None:
    path = own_file(tmp_path)
    strategy = StrategyConfig(**declared(str(path)))
    parameters = strategy.load().example
    traded = build_document(**inputs(parameters=parameters) | {"strategy": strategy})["strategy"]
    assert (traded["word"], traded["source"]) == ("mine", "own file")
    assert not {"warm_up_bars", "indicator_periods"} & set(traded)
    assert traded["text_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_document_of_an_earlier_build_names_no_strategy(
    document: dict[str, Any], schema: jsonschema.Draft202012Validator
) -> None:
    earlier = {name: value for name, value in document.items() if name != "strategy"}
    schema.validate(earlier)
    assert set(after_monitoring(earlier, "PAPER", ({}, None))) == set(earlier)


def test_a_restaged_document_changes_in_stage_sizes_and_health_alone(
    document: dict[str, Any],
) -> None:
    signals = {"rolling_30d_sharpe": True, "net_profit_per_day": False}
    changed = after_monitoring(document, "DECAY", (signals, 0.35))
    assert changed["status"] == "DECAY"
    assert changed["risk_allocation"]["max_position_size"] == 0.0
    assert changed["risk_allocation"]["kelly_fraction"] is None
    health = changed["pattern_health"]
    assert (health["death_signals"], health["death_signal_count"]) == (signals, 1)
    assert health["performance_degradation"] == 0.35
    same = set(document) - {"status", "risk_allocation", "pattern_health"}
    assert {name: changed[name] for name in same} == {name: document[name] for name in same}
    assert document["status"] == "VALIDATION"


def test_the_kelly_fraction_goes_and_comes_back_with_the_size(document: dict[str, Any]) -> None:
    """What has no size has no bet, whoever took it or gives it."""
    metrics = inputs()["configuration"].out_of_sample

    def kelly(changed: Mapping[str, Any]) -> float | None:
        fraction: float | None = changed["risk_allocation"]["kelly_fraction"]
        return fraction

    paper = build_document(**inputs(lifecycle_stage="PAPER"))
    assert kelly(paper) is kelly(build_document(**inputs(synthetic=True))) is None
    assert kelly(after_monitoring(document, "VALIDATION", ({}, None))) == pytest.approx(0.4)
    lowered = after_sweep(document, "DISCOVERY", 0.0, metrics, 0.3)
    assert kelly(lowered) is None
    assert kelly(after_sweep(lowered, "VALIDATION", 0.5, metrics, 0.01)) == pytest.approx(0.4)
    unfilled = after_live_orders(document, "PAPER", 0.0, metrics, {"fill_rate": 0.5})
    assert kelly(unfilled) is None
    filled = after_live_orders(unfilled, "VALIDATION", 0.5, metrics, {"fill_rate": 0.9})
    assert kelly(filled) == pytest.approx(0.4)


def test_the_document_of_an_earlier_build_is_restaged_too(document: dict[str, Any]) -> None:
    tested = {n: v for n, v in document["statistical_validation"].items() if n != "alpha_p"}
    earlier = {**document, "statistical_validation": tested | {"is_overfit": True}}
    changed = after_monitoring(earlier, "PAPER", ({}, None))
    assert changed["statistical_validation"] == document["statistical_validation"]


def test_what_candles_cannot_know_is_null(document: dict[str, Any]) -> None:
    assert {document["strategy"][name] for name in NOT_OF_CANDLES} == {None}
    for section in ("execution_metrics", "alternative_data_signals", "adversarial_analysis"):
        assert set(document[section].values()) == {None}
    regimes = document["ensemble_regime_classification"]["final_regime_probability"]
    assert regimes == {"trending": None, "ranging": None, "volatile": None}
    assert document["statistical_validation"]["reality_check_p"] is None
    assert document["pattern_health"]["death_signals"] == {}
    assert document["in_sample"]["profit_factor"] is None


def test_a_figure_is_null_where_nothing_was_lost() -> None:
    undefined = dict.fromkeys(("sortino_ratio", "calmar_ratio", "profit_factor"))
    metrics = METRIC_VALUES | undefined
    document = build_document(**inputs(in_sample=metrics, out_of_sample=metrics))
    validate_document(document)
    assert {name: document["in_sample"][name] for name in undefined} == undefined
    tested = document["statistical_validation"]
    assert (tested["sortino_ratio"], tested["calmar_ratio"]) == (None, None)


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
    allocation = build_document(**inputs(lifecycle_stage=stage))["risk_allocation"]
    assert (allocation["max_position_size"], allocation["current_allocation"]) == (size, size)
    invented = build_document(**inputs(lifecycle_stage=stage, synthetic=True))["risk_allocation"]
    assert (invented["max_position_size"], invented["current_allocation"]) == (0, 0)


def test_sizes_of_earlier_rules_are_lowered(document: dict[str, Any]) -> None:
    row = replace(inputs()["configuration"], document=document)
    assert row.allowed_document == document
    unasked = replace(row, gates=[]).allowed_document["risk_allocation"]
    assert (unasked["max_position_size"], unasked["current_allocation"]) == (0.0, 0.0)
    assert unasked["kelly_fraction"] is None
    assert document["risk_allocation"]["max_position_size"] == 0.5


def test_a_run_without_trades_has_a_document_too() -> None:
    document = build_document(**inputs(**NO_TRADES))
    assert document["performance"]["gross_WR"] is None
    assert document["statistical_validation"]["trade_clustering"] is None
    assert document["risk_allocation"]["var_95"] == 0.0


def test_what_the_exchange_stated_is_in_it_and_absent_where_it_was_not_asked(
    document: dict[str, Any],
) -> None:
    stated = {
        "contract": "linear perpetual", "taker": 0.0005, "maker": -0.0001, "price_step": 0.1,
        "amount_step": 0.001, "least_amount": 0.001, "least_cost": None, "contract_size": 0.01,
        "active": True, "listed": "2020-09-13T12:26:40Z", "asked": "2026-11-29",
    }  # fmt: skip
    asked = inputs()
    row = asked["configuration"]
    asked["configuration"] = replace(row, provenance=row.provenance | {"market": stated})
    assert build_document(**asked)["context"]["stated"] == stated
    assert "stated" not in document["context"]


@pytest.mark.parametrize(
    "changes",
    [
        {"statistics": {"p_vlaue": 0.03}},
        {"out_of_sample": METRIC_VALUES | {"avg_win": math.nan}},
        {"provenance": {}},
        {"id": "../../etc/passwd"},
    ],
)
def test_a_caller_that_errs_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        build_document(**inputs(**changes))


def test_the_document_is_json(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """The schema that ships, which readers in other languages rely on."""
    shipped = json.loads((files("pipeline.results") / SCHEMA_FILE).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(shipped)
    return jsonschema.Draft202012Validator(shipped)


@pytest.mark.parametrize("changes", [{}, NO_TRADES, *({"lifecycle_stage": s} for s in STAGES)])
def test_models_and_schema_accept_what_is_built(
    schema: jsonschema.Draft202012Validator, changes: dict[str, Any]
) -> None:
    document = build_document(**inputs(**changes))
    for accepted in (document, as_read(document, DISCOVERED + timedelta(days=9))):
        validate_document(accepted)
        schema.validate(accepted)


SPOIL: dict[str, Callable[[Any], Any]] = {
    "a missing field": lambda part: part.popitem(),
    "an unknown field": lambda part: part.update(surprise=1),
    "no section": lambda part: part.clear(),
    "another type": lambda part: part.update({next(iter(part)): ["no", {"such": "type"}]}),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
@pytest.mark.parametrize("section", sorted(FIELDS))
def test_models_and_schema_refuse_a_spoilt_section(
    document: dict[str, Any],
    schema: jsonschema.Draft202012Validator,
    section: str,
    spoil: Callable[[Any], Any],
) -> None:
    spoilt = copy.deepcopy(document)
    spoil(spoilt[section])
    assert not schema.is_valid(spoilt)
    with pytest.raises(pydantic.ValidationError):
        validate_document(spoilt)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("performance", "gross_WR", 1.5),
        ("performance", "sample_size", -1),
        ("performance", "sample_size", "2"),
        ("performance", "NET_PROFIT", None),
        ("statistical_validation", "deflated_sharpe_ratio", {"low": 0.1}),
        ("statistical_validation", "alpha_p", 1.5),
        ("metadata", "seed", 1.5),
        ("risk_allocation", "direction", "sideways"),
        ("risk_allocation", "max_position_size", 2),
        ("pattern_health", "death_signals", {"fading": 1}),
    ],
)
def test_models_and_schema_refuse_a_value_out_of_bounds(
    document: dict[str, Any],
    schema: jsonschema.Draft202012Validator,
    section: str,
    field: str,
    value: Any,
) -> None:
    spoilt = {**document, section: document[section] | {field: value}}
    assert not schema.is_valid(spoilt)
    with pytest.raises(pydantic.ValidationError):
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
