"""Replay golden files on every backend and print where trades or metrics disagree.

Exit status: 0 all cases agree, 1 some do not or cannot be replayed, 2 the user's mistake.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_engine import (
    METRIC_TOLERANCE,
    Backend,
    Batch,
    Candles,
    Costs,
    Disagreement,
    Float,
    Tables,
    compare_metrics,
    compare_trades,
    engine,
)
from pipeline.errors import UserError
from pipeline.search import Evaluator, single_point
from pipeline.search.backends import cpu_backends, named_backend
from pipeline.strategies.base import Strategy, of_kind
from pipeline.studies.golden import (
    Case,
    Golden,
    combination,
    load_candles,
    read_golden,
    strategy_of,
)


class Replay(NamedTuple):
    """What a backend answers for a case: `TRADE` records, a `METRICS` record, returns by day."""

    trades: NDArray[Any]
    metrics: Any
    daily: Float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/conform", description=__doc__)
    parser.add_argument("golden", nargs="+", type=Path, metavar="GOLDEN.json")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the candles it names")
    parser.add_argument("--backend", metavar="NAME", help="default: every CPU backend there is")
    options = parser.parse_args(arguments)
    try:
        chosen = [named_backend(options.backend)] if options.backend else cpu_backends()
        agreed = [conform(path, options.data, chosen) for path in options.golden]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(agreed) else 1


def conform(path: Path, data: Path | None, chosen: Sequence[Backend]) -> bool:
    """Replay one golden file, print what disagrees, and return whether nothing does."""
    golden = read_golden(path)
    candles, differing = load_candles(golden, str(path), data)
    print(path.name)
    for disagreement in differing:
        print(f"  candles {disagreement}")
    if any(d.field != "sha256" for d in differing):
        print("  no case was replayed: its bars would be others")
        return False
    strategies = [strategy_of(case) for case in golden.cases]
    if None in strategies:
        print(_not_replayed(golden, strategies))
    agreed = not differing and None not in strategies
    for backend in chosen:
        agreeing = [
            _agrees(golden, case, f"cases[{number}]", strategy, candles, backend)
            for number, (case, strategy) in enumerate(zip(golden.cases, strategies, strict=True))
            if strategy is not None
        ]
        print(f"  {backend.name}: {sum(agreeing)} of {len(agreeing)} cases agree")
        agreed &= all(agreeing)
    return agreed


def _not_replayed(golden: Golden, strategies: Sequence[Strategy | None]) -> str:
    """Say which cases are of strategies that this program does not have."""
    pairs = zip(golden.cases, strategies, strict=True)
    missing = [case.strategy for case, strategy in pairs if strategy is None]
    names = ", ".join(sorted(set(missing)))
    return (
        f"  {len(missing)} of {len(golden.cases)} cases are not replayed, because this program"
        f" does not have their strategy: {names}"
    )


def _agrees(
    golden: Golden, case: Case, where: str, strategy: Strategy, candles: Candles, backend: Backend
) -> bool:
    """Replay one case, print what disagrees, and return whether nothing does."""
    window = case.window
    if not 0 <= window.start < window.end <= len(candles):
        raise UserError(
            f"{where}: start_bar {window.start} and end_bar {window.end} must lie inside the"
            f" {len(candles)} bars."
        )
    replay = _by_search if _names_its_exits(case, strategy) else _by_engine
    got = replay(case, where, strategy, golden.costs_of(case), candles, backend)
    disagreements = [
        *compare_trades(golden.expected_trades(case), got.trades),
        *compare_metrics(case.expected_metrics(), got.metrics),
        *_compare_daily(float(got.metrics["net_profit"]), float(np.prod(1.0 + got.daily)) - 1.0),
    ]
    for disagreement in disagreements:
        print(f"  {backend.name} {where} {disagreement}")
    return not disagreements


def _names_its_exits(case: Case, strategy: Strategy) -> bool:
    """Say whether the parameters of a case hold its whole exit, and not the setting alone."""
    exits = [parameter.name for parameter in of_kind(strategy, "exit")]
    return case.exit is None or all(name in case.parameters for name in exits)


def _by_search(
    case: Case, where: str, strategy: Strategy, costs: Costs, candles: Candles, backend: Backend
) -> Replay:
    """Run a case whose parameters are a combination through the search's evaluator."""
    kinds = ("structural", "threshold", "exit")
    space = single_point(strategy, combination(case, strategy, where, kinds))
    evaluator = Evaluator(candles, space, costs, case.risk, backend)
    point = space.points(np.zeros(1, np.int64))[0]
    return Replay(
        evaluator.trades(point, case.window),
        evaluator.points(point[None], (case.window,))[0, 0],
        evaluator.daily_returns(point, case.window),
    )


def _by_engine(
    case: Case, where: str, strategy: Strategy, costs: Costs, candles: Candles, backend: Backend
) -> Replay:
    """Run a case that has an exit setting of its own, which need not be one of the strategy's."""
    values = combination(case, strategy, where, ("structural", "threshold"))
    known = {name: value for name, value in values.items() if value is not None}
    thresholds = of_kind(strategy, "threshold")
    tables = Tables(
        (strategy.events(candles, known).table(known),), tuple(p.sense for p in thresholds)
    )
    try:
        market = engine.load(candles, tables, case.exit_setting(), costs, case.risk, backend)
    except ValueError as error:
        raise UserError(f"{where}: {error}.") from None
    limits = np.array([[known.get(p.name, p.off) for p in thresholds]], np.float64)
    batch = Batch(np.zeros(1, np.int32), limits, np.zeros(1, np.int32), 1)
    return Replay(
        engine.trades(market, batch, case.window),
        engine.evaluate(market, batch, (case.window,))[0, 0],
        engine.daily_returns(market, batch, case.window)[0],
    )


def _compare_daily(net_profit: float, compounded: float) -> list[Disagreement]:
    """Daily returns are not in the file; they must compound to the net profit (fills rules §10)."""
    if abs(compounded - net_profit) <= METRIC_TOLERANCE * max(1.0, abs(net_profit)):
        return []
    return [Disagreement("daily returns, compounded", net_profit, compounded)]


if __name__ == "__main__":
    sys.exit(main())
