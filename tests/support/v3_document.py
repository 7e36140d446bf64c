"""What a V3 document is built from, and a valid document, for tests of what happens to it."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gpu_engine import METRICS, TARGET, TRADE
from pipeline.config import CostsConfig, RiskConfig, StrategyConfig
from pipeline.results.document.document import build_document
from pipeline.results.records import Configuration
from pipeline.strategies.registry import declared
from support.judged import IDENTITY

DISCOVERED = datetime(2023, 1, 31, 23, 59, 59, tzinfo=UTC)
METRIC_VALUES = dict.fromkeys(METRICS.names or (), 0.0) | {"sample_size": 2, "n_days": 30}
NO_TRADES: dict[str, Any] = {"trades": np.zeros(0, TRADE), "daily": np.zeros(30)}

#: A gate of today's rules, without which nothing has a size.
LUCK_BEATEN = {
    "stage": "DISCOVERY",
    "name": "surrogate_p",
    "comparison": "<",
    "threshold": 0.05,
    "value": 0.01,
    "passed": True,
}


def inputs(**changes: Any) -> dict[str, Any]:
    """Arguments of `build_document`; ``changes`` are arguments, or fields of one of them."""
    trades = np.zeros(2, TRADE)
    trades["side"], trades["entry"], trades["exit"], trades["reason"] = 1, 100, 110, TARGET
    daily = np.zeros(30)
    daily[[3, 9]] = 0.098, 0.098
    strategy = StrategyConfig(**declared("liquidity_sweep"))
    parameters = strategy.load().example | {"pierce_depth": 0.001, "key_level_lookback": 50}
    configuration: dict[str, Any] = IDENTITY | {
        "lifecycle_stage": "VALIDATION",
        "synthetic": False,
        "parameters": parameters,
        "in_sample": METRIC_VALUES | {"net_profit": 0.5, "profit_factor": None},
        "out_of_sample": METRIC_VALUES
        | {"net_profit": 0.2, "win_rate": 0.6, "avg_win": 0.02, "avg_loss": -0.01},
        "statistics": {"p_value": 0.03, "z_score": 1.88, "whole_history": {}},
        "gates": [LUCK_BEATEN],
        "circuit_breakers": {},
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
        "document": {},
        "artifacts": None,
        "created_at": DISCOVERED,
    }
    risk: dict[str, Any] = {
        "position_fraction": 1.0,
        "direction": "both",
        "max_holding_bars": None,
        "max_daily_loss": None,
        "consecutive_losses_limit": 4,
        "max_correlation_spike": 0.8,
        "unusual_market_threshold": 3.0,
        "latency_threshold_ms": 500.0,
        "max_adverse_selection": 0.6,
        "regime_break_threshold": 0.3,
    }
    own = {field.name for field in fields(Configuration)}
    configuration |= {name: value for name, value in changes.items() if name in own}
    arguments: dict[str, Any] = {
        "configuration": Configuration(**configuration),
        "strategy": strategy,
        "costs": CostsConfig(fee_rate=0.001, slippage=0.0),
        "risk": RiskConfig(**risk),
        "daily": daily,
        "trades": trades,
        "avg_spread_bps": None,
    }
    return arguments | {name: value for name, value in changes.items() if name not in own}


def document(stage: Any) -> dict[str, Any]:
    """Return a valid document, whose figures nobody asks for."""
    return build_document(**inputs(lifecycle_stage=stage))
