"""The second program of golden files agrees with those that others computed, and makes its own."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import RawCandles
from pipeline.strategies.base import of_kind
from pipeline.strategies.registry import BUILT_IN, load_strategy
from support import plain_account
from support.plain_account import Terms

GOLDEN = Path(__file__).parent / "golden"
STRATEGIES = {strategy.name.lower(): strategy for strategy in map(load_strategy, BUILT_IN)}
#: Costs and limits of the cases of `leverage_ticks.json`, one after another.
COSTS = (
    {"fee": 0.0004, "slippage": 0.0002, "maker_fee": -0.0001, "borrow_rate": 0.01},
    {"fee": 0.001, "slippage": 0.0005, "maker_fee": None, "borrow_rate": 0.3},
    {"fee": 0.0005, "slippage": 0.0, "maker_fee": 0.0002, "borrow_rate": None},
)
LEVERAGE = ((20.0, 0.005), (None, 0.005), (75.0, 0.004), (3.0, 0.0), (100.0, 0.005))


@pytest.fixture(scope="module")
def ticks():
    """The file of another program, its candles, and rows by strategy and structure."""
    content = json.loads((GOLDEN / "synthetic_ticks.json").read_text())
    columns = {name: np.array(values) for name, values in content["candles"].items()}
    raw = RawCandles(**{k: c if k == "timestamp" else c.astype(float) for k, c in columns.items()})
    return content, make_regular(raw, content["timeframe"], "synthetic_ticks")[0]


def rows_of(candles, case):
    """The rows of a case that pass its thresholds, as dicts."""
    strategy, parameters = STRATEGIES[case["strategy"]], case["parameters"]
    given = {name: value for name, value in parameters.items() if value is not None}
    table = strategy.events(candles, given).table(parameters)
    passing = np.ones(len(table), bool)
    for column, threshold in zip(table.features.T, of_kind(strategy, "threshold"), strict=True):
        limit = parameters.get(threshold.name)
        if limit is not None:
            passing &= threshold.sense * column >= threshold.sense * limit
    columns = {n: c[passing].tolist() for n, c in table.columns().items() if n != "features"}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def played(candles, case, funding):
    """What the second program makes of a case."""
    costs = {"maker_fee": None, **case["costs"]}
    terms = Terms(costs, case["risk"], funding if case["funding"] else None)
    window = case["start_bar"], case["end_bar"]
    rows = rows_of(candles, case)
    trades = list(plain_account.trades_of(candles, rows, case["exit"], terms, window))
    size = case["risk"]["position_fraction"] * (case["risk"].get("leverage") or 1.0)
    return trades, plain_account.metrics_of(candles, trades, size, window)


def test_it_agrees_with_the_files_of_others(ticks):
    content, candles = ticks
    for case in content["cases"]:
        trades, metrics = played(candles, case, content["funding"])
        for trade, row in zip(trades, case["trades"], strict=True):
            expected = dict(zip(content["trade_fields"], row, strict=True))
            expected["setup_bar"] = expected.pop("sweep_bar", expected.get("setup_bar"))
            assert trade == {
                name: pytest.approx(value, rel=1e-11, abs=1e-13)
                if name in ("entry", "exit")
                else value
                for name, value in expected.items()
            } | {"ret": pytest.approx(expected["ret"], rel=1e-9, abs=1e-13)}
        assert metrics == {
            name: None if value is None else pytest.approx(value, rel=1e-8, abs=1e-12)
            for name, value in case["metrics"].items()
        }


def made(content, candles):
    """Every second case of another file, with borrowing, leverage and liquidations."""
    cases = []
    for number, case in enumerate(content["cases"][::2]):
        leverage, maintenance = LEVERAGE[number % len(LEVERAGE)]
        fraction = 0.1 if (leverage or 0) > 10 else case["risk"]["position_fraction"]
        limits = {"position_fraction": fraction, "leverage": leverage}
        risk = case["risk"] | limits | {"maintenance_rate": maintenance}
        changed = case | {"costs": COSTS[number % len(COSTS)], "risk": risk}
        changed["funding"] = number % 4 == 0
        trades, metrics = played(candles, changed, content["funding"])
        rows = [list(trade.values()) for trade in trades]
        cases.append(changed | {"metrics": metrics, "trades": rows})
    return content | {"trade_fields": list(trades[0]), "cases": cases}


def test_the_file_of_leverage_and_borrowing_is_what_it_makes(ticks):
    path = GOLDEN / "leverage_ticks.json"
    text = json.dumps(made(*ticks)) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    found = json.loads(path.read_text())
    assert found["cases"] == json.loads(text)["cases"]
    reasons = [row[7] for case in found["cases"] for row in case["trades"]]
    assert reasons.count("liquidation") > 20
    borrowed = [c for c in found["cases"] if c["costs"]["borrow_rate"] and not c["funding"]]
    assert sum(row[0] < 0 for case in borrowed for row in case["trades"]) > 50
