"""Plans of bots without a training, and what our backtest trades of them."""

from typing import NamedTuple

from gpu_engine import REASONS, Window, choose
from pipeline.bots.plan import Plan
from pipeline.search import Evaluator, single_point
from pipeline.strategies.registry import load_strategy
from pipeline.training.provenance import engine_hash_of
from support.every_exit import text_of

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
    """Return the plan of a strategy's example on the market that a file is of.

    An own strategy is given as the plan has it, a built-in one by its word.
    """
    own = {"name": strategy} if isinstance(strategy, str) else strategy
    example = load_strategy(*own.values()).example
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
        "size": 1.0,
        "exchange": exchange,
        "pair": pair.replace("-", "/"),
        "timeframe": timeframe,
        "engine_hash": engine_hash_of(own["name"], None),
        "strategy": own,
        "parameters": example | (parameters or {}),
        "costs": {"fee_rate": 0.001, "slippage": 0.0005, "maker_fee": None, "borrow_rate": None},
        "risk": risk,
        "startup_candles": 600,
    }
    return Plan(**values | changes)


#: Sets of exits that together have every kind (exits rules §2).
EXIT_SETS = {
    "fraction": {"stop_fraction": 0.004, "target_fraction": 0.006},
    "levels": {"stop_offset": 0.5, "target_reach": 0.75, "break_even_trigger": 0.5},
    "trail": {
        "stop_distance": 1.0,
        "target_distance": 3.0,
        "trail_activation": 1.0,
        "trail_distance": 0.75,
        "holding_bars": 12.0,
    },
    "even": {"stop_distance": 1.0, "target_multiple": 1.5, "break_even_trigger": 0.75},
    "clock": {"holding_bars": 5.0},
    "far trail": {"trail_activation": 0.0, "trail_distance": 1.5},
    "signals": {"stop_distance": 2.0, "target_multiple": 2.0},
}


def plan_with_exits(name, file, direction, **changes):
    """Return the plan of `every_exit` with one of `EXIT_SETS`; "signals" leaves by signals too."""
    exits = EXIT_SETS[name]
    text = text_of(exits, signals=name in ("signals", "far trail"))
    own = {"name": "every_exit", "text": text, "file": "every_exit.py"}
    return plan_of(
        own, file, direction, {"strength": 0.3, **exits},
        engine_hash=engine_hash_of("every_exit", text), **changes,
    )  # fmt: skip


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
