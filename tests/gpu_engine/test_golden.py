"""Golden files: trade by trade and metric by metric, every backend.

They were computed by an independent program from the rules alone. The one file with candles of its
own is in this repository; the others need the real candles. The only test of the engine that needs
the pipeline, for the strategy and the grid.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import (
    METRICS,
    REASONS,
    TRADE,
    Batch,
    Costs,
    ExitSettings,
    RiskLimits,
    Tables,
    Window,
    engine,
)
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.strategies.base import of_kind
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from pipeline.strategies.liquidity_sweep_reference import event_table
from pipeline.studies.bench.gpu import read_candles
from support.agreement import assert_same_metrics, assert_same_trades
from support.backends import named

STRATEGY = LiquiditySweep()
THRESHOLDS = of_kind(STRATEGY, "threshold")
OWN = Path(__file__).parent / "golden"
PACKED = Path(__file__).resolve().parents[2] / ".cache/golden"
SHARED = Path(__file__).resolve().parents[2] / "../shared"
REAL = (
    "binance_BTC-USDT_5m_2023",
    "binance_ETH-USDT_5m_2024",
    "binance_SOL-USDT_15m_2024",
    "kraken_BTC-USD_1h",
)


@pytest.fixture(scope="module")
def synthetic():
    golden = json.loads((OWN / "synthetic_ticks.json").read_text())
    columns = {name: np.array(values) for name, values in golden["candles"].items()}
    raw = RawCandles(**{k: c if k == "timestamp" else c.astype(float) for k, c in columns.items()})
    candles, _ = make_regular(raw, golden["timeframe"], "synthetic_ticks.json")
    return golden, candles


@pytest.fixture(scope="module", params=REAL)
def real(request, tmp_path_factory):
    """A golden file and its candles: from the shared folder, or packed by `scripts/gpu --pack`."""
    packed = PACKED / f"{request.param}.json"
    name = f"liquidity_sweep_{request.param}.json"
    path = packed if packed.is_file() else SHARED / "spec" / "golden" / "v2" / name
    if not path.is_file():
        pytest.skip("the golden files (shared/ beside the repository) are absent")
    golden = json.loads(path.read_text())
    if path == packed:
        return golden, read_candles(PACKED / f"{golden['data']}.npz")
    data = SHARED / "data" / golden["data"]
    if not data.is_file():
        pytest.skip("the real candles (shared/data beside the repository) are absent")
    assert hashlib.sha256(data.read_bytes()).hexdigest() == golden["sha256"]
    exported = tmp_path_factory.mktemp("golden") / "candles.npz"
    from pipeline.studies.bench.pack import pack  # a GPU host has no Hydra, and its files packed

    pack(data, exported)
    return golden, read_candles(exported)


def check_file(golden, candles, backend, tables):
    """Replay every case; ``tables`` makes the event table of a case's parameters."""
    assert len(candles) == golden["bars"]
    assert candles.timestamp[0] == golden["first_timestamp"]
    assert np.count_nonzero(candles.filled) == golden["filled_bars"]
    for case in golden["cases"]:
        market, batch = load_case(candles, case, backend, tables(candles, case["parameters"]))
        window = Window(case["start_bar"], case["end_bar"])
        trades = engine.trades(market, batch, window)
        assert_same_trades(trades, expected_trades(golden["trade_fields"], case["trades"]))
        metrics = engine.evaluate(market, batch, [window])[0, 0]
        assert_same_metrics(metrics, expected_metrics(case["metrics"]))
        daily = engine.daily_returns(market, batch, window)[0]
        assert np.prod(1 + daily) - 1 == pytest.approx(metrics["net_profit"], abs=1e-12)


def load_case(candles, case, backend, table):
    parameters, costs = case["parameters"], case["costs"]
    values = [parameters.get(p.name) for p in THRESHOLDS]
    thresholds = [p.off if v is None else v for p, v in zip(THRESHOLDS, values, strict=True)]
    names = ("stop_distance", "target_multiple")
    exits = {name: np.array([parameters[name]]) for name in names}
    market = engine.load(
        candles,
        Tables((table,), tuple(p.sense for p in THRESHOLDS)),
        ExitSettings(**exits),
        Costs(costs["fee"], costs["slippage"]),
        RiskLimits(**case["risk"]),
        named(backend),
    )
    return market, Batch(np.zeros(1, np.int32), np.array([thresholds]), np.zeros(1, np.int32), 1)


def expected_trades(fields, rows):
    fields = ["setup_bar" if name == "sweep_bar" else name for name in fields]
    result = np.zeros(len(rows), [(name, TRADE[name]) for name in fields])
    for trade, row in zip(result, rows, strict=True):
        for name, value in zip(fields, row, strict=True):
            trade[name] = REASONS.index(value) if name == "reason" else value
    return result


def expected_metrics(values):
    assert set(values) == set(METRICS.names)
    row = [np.nan if values[name] is None else values[name] for name in METRICS.names]
    return np.array(tuple(row), METRICS)


def vectorised(candles, parameters):
    return STRATEGY.events(candles, parameters).table(parameters)


def test_the_synthetic_file(backend, synthetic):
    check_file(*synthetic, backend, vectorised)


@pytest.mark.slow
def test_the_synthetic_file_from_the_plain_loops(synthetic):
    """The two definitions of correct together, events and engine."""
    check_file(*synthetic, "reference", event_table)


def test_the_real_files(backend, real):
    check_file(*real, backend, vectorised)
