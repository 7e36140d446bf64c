"""A valid document of a configuration, for tests of what happens to it."""

from typing import Any

import numpy as np

from gpu_engine.records import METRICS, TRADE, Costs, RiskLimits
from pipeline.results.document import build_document
from pipeline.results.records import utc_now
from pipeline.training.storing import LIVE_BREAKERS


def document(stage: Any) -> dict[str, Any]:
    """Return a valid document, whose figures nobody asks for."""
    metrics = dict.fromkeys(METRICS.names or (), 0.0) | {"sample_size": 0, "n_days": 30}
    candles = {"data_hash": "ab", "first_candle": 0, "last_candle": 0, "filled_candles": 0}
    program = {"model_version": "0", "engine_hash": "cd", "runtime_env": {}, "backend": "numpy"}
    return build_document(
        configuration_id="LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3",
        pattern="LIQUIDITY_SWEEP_V3",
        stage=stage,
        exchange="binance",
        pair="BTC/USDT",
        timeframe="5m",
        synthetic=False,
        discovered_at=utc_now(),
        parameters={},
        in_sample=metrics,
        out_of_sample=metrics,
        oos_returns=np.zeros(30),
        oos_trades=np.zeros(0, TRADE),
        costs=Costs(0.001, 0.0005),
        risk=RiskLimits(),
        circuit_breakers=dict.fromkeys(LIVE_BREAKERS),
        statistics={},
        provenance=candles | program | {"config_hash": "ef", "seed": 7},
        taker_fee=0.001,
    )
