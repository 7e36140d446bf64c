"""Replay golden files on every backend and print where trades or metrics disagree.

Exit status: 0 all cases agree, 1 some do not, 2 the user's mistake.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpu_engine import (
    METRIC_TOLERANCE,
    Backend,
    Candles,
    Disagreement,
    compare_metrics,
    compare_trades,
)
from pipeline.errors import UserError
from pipeline.search import Evaluator, single_point
from pipeline.search.backends import cpu_backends, named_backend
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from pipeline.studies.golden import Case, Golden, combination, load_candles, read_golden


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
    agreed = not differing
    for backend in chosen:
        agreeing = 0
        for number, case in enumerate(golden.cases):
            where = f"cases[{number}]"
            found = replay(golden, case, where, candles, backend)
            for disagreement in found:
                print(f"  {backend.name} {where} {disagreement}")
            agreeing += not found
        print(f"  {backend.name}: {agreeing} of {len(golden.cases)} cases agree")
        agreed &= agreeing == len(golden.cases)
    return agreed


def replay(
    golden: Golden, case: Case, where: str, candles: Candles, backend: Backend
) -> list[Disagreement]:
    """Run one case through the search's evaluator and compare."""
    window = case.window
    if not 0 <= window.start < window.end <= len(candles):
        raise UserError(
            f"{where}: start_bar {window.start} and end_bar {window.end} must lie inside the"
            f" {len(candles)} bars."
        )
    strategy = LiquiditySweep()
    space = single_point(strategy, combination(case, strategy, where))
    evaluator = Evaluator(candles, space, case.costs.record(), case.risk, backend)
    point = space.points(np.zeros(1, np.int64))[0]
    metrics = evaluator.points(point[None], (window,))[0, 0]
    compounded = float(np.prod(1.0 + evaluator.daily_returns(point, window))) - 1.0
    return [
        *compare_trades(golden.expected_trades(case), evaluator.trades(point, window)),
        *compare_metrics(case.expected_metrics(), metrics),
        *_compare_daily(float(metrics["net_profit"]), compounded),
    ]


def _compare_daily(net_profit: float, compounded: float) -> list[Disagreement]:
    """Daily returns are not in the file; they must compound to the net profit (fills rules §10)."""
    if abs(compounded - net_profit) <= METRIC_TOLERANCE * max(1.0, abs(net_profit)):
        return []
    return [Disagreement("daily returns, compounded", net_profit, compounded)]


if __name__ == "__main__":
    sys.exit(main())
