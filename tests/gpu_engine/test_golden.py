"""Golden files: trade by trade and metric by metric, every backend.

They were computed by independent programs from the rules alone: `leverage_ticks.json`, of borrowing
and leverage, by `support.plain_account`. The three files with candles of their own are in this
repository; the others need the real candles. The only test of the engine
that needs the pipeline, for the strategies and the grid of candles.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from gpu_engine import (
    METRICS,
    REASONS,
    TRADE,
    Batch,
    Candles,
    Costs,
    ExitSettings,
    Funding,
    RiskLimits,
    Tables,
    Window,
    engine,
)
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.strategies.base import of_kind
from pipeline.strategies.registry import BUILT_IN, load_strategy
from pipeline.studies.bench.gpu import read_candles
from support.agreement import assert_same_metrics, assert_same_trades
from support.backends import named
from support.plain_tables import (
    capitulation_reversal,
    donchian_breakout,
    failed_breakdown,
    liquidity_sweep,
    supply_shock,
)

#: By what a case calls them: the page of their rules.
STRATEGIES = {strategy.name.lower(): strategy for strategy in map(load_strategy, BUILT_IN)}
PLAIN = {
    "liquidity_sweep_v3": liquidity_sweep,
    "capitulation_reversal_v3": capitulation_reversal,
    "failed_breakdown_v3": failed_breakdown,
    "supply_shock_v3": supply_shock,
    "donchian_breakout": donchian_breakout,
}
OWN = Path(__file__).parent / "golden"
PACKED = Path(__file__).resolve().parents[2] / ".cache/golden"
SHARED = Path(__file__).resolve().parents[2] / "../shared"
SYNTHETIC = ("synthetic_ticks", "liquidity_sweep_synthetic_ticks", "leverage_ticks")
REAL = (
    "binance_BTC-USDT_1h_2023",
    "binance_BTC-USDT_5m_2023",
    "binance_ETH-USDT_15m_2024",
    "binance_SOL-USDT_5m_2024",
    "kraken_ETH-USD_1h",
    "liquidity_sweep_binance_BTC-USDT_5m_2023",
    "liquidity_sweep_binance_ETH-USDT_5m_2024",
    "liquidity_sweep_binance_SOL-USDT_15m_2024",
    "liquidity_sweep_kraken_BTC-USD_1h",
)


class GoldenFile(NamedTuple):
    """What a file says, its candles, and the events and tables its cases have needed so far."""

    content: dict
    candles: Candles
    made: dict


@pytest.fixture(scope="module", params=SYNTHETIC)
def synthetic(request):
    content = json.loads((OWN / f"{request.param}.json").read_text())
    columns = {name: np.array(values) for name, values in content["candles"].items()}
    raw = RawCandles(**{k: c if k == "timestamp" else c.astype(float) for k, c in columns.items()})
    candles, _ = make_regular(raw, content["timeframe"], request.param)
    return GoldenFile(content, candles, {})


@pytest.fixture(scope="module", params=REAL)
def real(request, tmp_path_factory):
    """A golden file and its candles: from the shared folder, or packed by `scripts/gpu --pack`."""
    packed = PACKED / f"{request.param}.json"
    path = packed if packed.is_file() else SHARED / f"spec/golden/v2/{request.param}.json"
    if not path.is_file():
        pytest.skip("the golden files (shared/ beside the repository) are absent")
    content = json.loads(path.read_text())
    if path == packed:
        return GoldenFile(content, read_candles(PACKED / f"{content['data']}.npz"), {})
    data = SHARED / "data" / content["data"]
    if not data.is_file():
        pytest.skip("the real candles (shared/data beside the repository) are absent")
    assert hashlib.sha256(data.read_bytes()).hexdigest() == content["sha256"]
    exported = tmp_path_factory.mktemp("golden") / "candles.npz"
    from pipeline.studies.bench.pack import pack  # a GPU host has no Hydra, and its files packed

    pack(data, exported)
    return GoldenFile(content, read_candles(exported), {})


def check_file(golden, backend):
    content, candles = golden.content, golden.candles
    assert len(candles) == content["bars"]
    assert candles.timestamp[0] == content["first_timestamp"]
    assert np.count_nonzero(candles.filled) == content["filled_bars"]
    for number, case in enumerate(content["cases"]):
        try:
            check_case(golden, case, backend)
        except AssertionError as error:
            error.add_note(f"case {number}: {case}"[:600])
            raise


def check_case(golden, case, backend):
    market, batch = load_case(golden, case, backend)
    window = Window(case["start_bar"], case["end_bar"])
    trades = engine.trades(market, batch, window)
    expected = expected_trades(golden.content["trade_fields"], case["trades"])
    assert_same_trades(trades, expected)
    metrics = engine.evaluate(market, batch, [window])[0, 0]
    assert_same_metrics(metrics, expected_metrics(case["metrics"]))
    daily = engine.daily_returns(market, batch, window)[0]
    assert np.prod(1 + daily) - 1 == pytest.approx(metrics["net_profit"], abs=1e-12)


def load_case(golden, case, backend):
    """A market with the one table and the one exit setting of a case, and its batch."""
    name, parameters = strategy_of(case), case["parameters"]
    thresholds = of_kind(STRATEGIES[name], "threshold")
    limits = np.array([[limit_of(p, parameters) for p in thresholds]])
    exits = case.get("exit") or {
        p.exit: parameters[p.name] for p in of_kind(STRATEGIES[name], "exit")
    }
    costs, funding = case["costs"], None
    if case.get("funding"):
        times, rates = zip(*golden.content["funding"], strict=True)
        funding = Funding(np.array(times, np.int64), np.array(rates, np.float64))
    market = engine.load(
        golden.candles,
        Tables((table_of(golden, name, parameters),), tuple(p.sense for p in thresholds)),
        ExitSettings(**{name: np.array([float(value)]) for name, value in exits.items()}),
        Costs(
            costs["fee"],
            costs["slippage"],
            costs.get("maker_fee"),
            funding,
            costs.get("borrow_rate"),
        ),
        RiskLimits(**case["risk"]),
        named(backend),
    )
    return market, Batch(np.zeros(1, np.int32), limits, np.zeros(1, np.int32), 1)


def strategy_of(case):
    return case.get("strategy", "liquidity_sweep_v3")


def limit_of(threshold, parameters):
    """A case's limit; one that it does not set is off."""
    value = parameters.get(threshold.name)
    return threshold.off if value is None else float(value)


def table_of(golden, name, parameters):
    """The event table of a case, from events that all cases of the strategy share."""
    key = key_of(name, parameters)
    if key not in golden.made:
        if name not in golden.made:
            loosest = loosest_of(golden, name)
            golden.made[name] = STRATEGIES[name].events(golden.candles, loosest)
        golden.made[key] = golden.made[name].table(parameters)
    return golden.made[key]


def key_of(name, parameters):
    structural = [p.name for p in of_kind(STRATEGIES[name], "structural")]
    return name, *(parameters[p] for p in structural)


def loosest_of(golden, name):
    """The most permissive limits of a strategy's cases: the engine leaves out what fails one's."""
    cases = [case["parameters"] for case in golden.content["cases"] if strategy_of(case) == name]
    loosest = {}
    for threshold in of_kind(STRATEGIES[name], "threshold"):
        limits = [limit_of(threshold, case) for case in cases]
        loosest[threshold.name] = min(limits) if threshold.sense > 0 else max(limits)
        if set(limits) == {threshold.off}:
            del loosest[threshold.name]
    return loosest


def expected_trades(fields, rows):
    """Trades of a file, whose older form says ``sweep_bar``; of the levels at entry it has none."""
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


def test_the_synthetic_files(backend, synthetic):
    check_file(synthetic, backend)


@pytest.mark.slow
def test_the_synthetic_files_from_the_plain_loops(synthetic):
    """The two definitions of correct together, events and engine."""
    for case in synthetic.content["cases"]:
        name, parameters = strategy_of(case), case["parameters"]
        table = PLAIN[name].event_table(synthetic.candles, parameters)
        made = {key_of(name, parameters): table}
        check_case(synthetic._replace(made=made), case, "reference")


def test_the_real_files(backend, real):
    check_file(real, backend)


def test_the_files_of_the_repository_are_whole():
    cases = [json.loads((OWN / f"{name}.json").read_text())["cases"] for name in SYNTHETIC]
    assert [len(of_file) for of_file in cases] == [88, 48, 44]
    assert {case["strategy"] for case in cases[0]} == set(STRATEGIES) == set(PLAIN)
