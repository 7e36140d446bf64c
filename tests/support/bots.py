"""Plans of bots without a training, and what our backtest trades of them."""

from typing import NamedTuple

from gpu_engine import REASONS, Window, choose
from pipeline.bots.plan import Plan
from pipeline.search import Evaluator, single_point
from pipeline.strategies.registry import load_strategy
from pipeline.training.provenance import engine_hash_of

#: What freqtrade calls each of our reasons.
EXPECTED_REASONS = {
    "stop_gap": {"stop_gap"},
    "target_gap": {"target_gap"},
    "signal": {"signal"},
    "stop": {"stop_loss", "trailing_stop_loss"},
    "target": {"roi"},
    "time": {"time"},
    "end": {"force_exit"},
}


class Trade(NamedTuple):
    """A trade of ours: times in ms, and the price of the exit before slippage."""

    opened: int
    side: int
    closed: int
    level: float
    reason: str


def plan_of(strategy, file, direction="both", parameters=None, **changes):
    """Return the plan of a strategy's example on the market that a file is of."""
    exchange, pair, timeframe, *_ = file.split("_")
    risk = {
        "position_fraction": 1.0,
        "max_daily_loss": 0.02,
        "consecutive_losses_limit": 5,
        "max_holding_bars": None,
        "direction": direction,
        "leverage": None,
        "maintenance_rate": 0.005,
    }
    values = {
        "configuration_id": "TEST_20230101_000000_abcdef",
        "stage": "MATURE",
        "synthetic": False,
        "forced": False,
        "size": 1.0,
        "exchange": exchange,
        "pair": pair.replace("-", "/"),
        "timeframe": timeframe,
        "engine_hash": engine_hash_of(strategy, None),
        "strategy": {"name": strategy},
        "parameters": load_strategy(strategy).example | (parameters or {}),
        "costs": {"fee_rate": 0.001, "slippage": 0.0005, "maker_fee": None, "borrow_rate": None},
        "risk": risk,
        "startup_candles": 600,
    }
    return Plan(**values | changes)


def our_trades(plan, candles, start):
    """Backtest a plan from bar ``start`` on."""
    space = single_point(plan.load(), plan.parameters)
    costs, backend = plan.record_of_costs(), choose("reference").backend
    evaluator = Evaluator(candles, space, costs, plan.limits(), backend)
    trades = evaluator.trades(space.point(plan.parameters), Window(start, len(candles)))
    result = []
    for trade in trades:
        side, reason = int(trade["side"]), REASONS[trade["reason"]]
        slipped = reason not in ("target", "target_gap", "liquidation")
        level = trade["exit"] / (1.0 - side * costs.slippage) if slipped else trade["exit"]
        opened, closed = (int(candles.timestamp[trade[n]]) for n in ("entry_bar", "exit_bar"))
        result.append(Trade(opened, side, closed, float(level), reason))
    return result
