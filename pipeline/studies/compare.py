"""Compare grid, random and Bayesian search on the same candles: `scripts/compare FILE ...`.

Each method searches the whole history of each file once, in one window, with the same objective.
Random and Bayesian search are repeated over seeds. The grid's score by peak is the best there is.
KEY=VALUE words are those of a training, such as strategy=donchian_breakout or
objective=sharpe_ratio; what a comparison settles itself, such as optimizer=, is refused.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.causality import refuse_look_ahead
from pipeline.cli.command import run_plain
from pipeline.cli.console import Console
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.search import Evaluator, make_space
from pipeline.search.backends import named_backend
from pipeline.search.grid import score_grid
from pipeline.search.loop import SearchSettings, search
from pipeline.search.objective import own_objective
from pipeline.validation.windows import whole_days

METHODS: tuple[tuple[Literal["grid", "random", "bayesian"], int], ...] = (
    ("grid", 0),
    ("random", 200),
    ("random", 1000),
    ("bayesian", 200),
    ("bayesian", 1000),
)
#: Keys of a training that a comparison settles itself, and how.
SETTLED = {
    "optimizer": "every method searches",
    "selection": "the best score wins",
    "space": "every method searches the grid",
    "seed": "--seeds N repeats what draws",
    "validation": "each method searches the whole history once",
    "data": "the files named are searched",
    "executor": "this process searches",
    "storage": "nothing is stored",
}


@dataclass(frozen=True)
class Row:
    """One method on one file: medians over seeds; ``rank`` is the share of the grid above it."""

    method: str
    evaluations: int
    score: float
    worst: float
    rank: float
    seconds: float


def configured(overrides: Sequence[str]) -> TrainConfig:
    """Return the training that KEY=VALUE words describe.

    Raises
    ------
    UserError
        When a key is none, or one that a comparison settles itself.
    """
    for word in overrides:
        key = word.partition("=")[0].lstrip("+").partition(".")[0]
        if key in SETTLED:
            raise UserError(f"{word} does nothing here, for {SETTLED[key]}: leave it out.")
    return load(["market=demo_null", *overrides], TrainConfig, "train")


def compare(path: Path, seeds: int, config: TrainConfig) -> list[Row]:
    """Search one file with every method; one whose budget covers the grid is left out.

    Raises
    ------
    UserError
        When the strategy looks ahead (docs/look-ahead.md).
    """
    raw = read_file(str(path))
    candles, _ = make_regular(raw, inferred_timeframe(raw.timestamp, path.name), path.name)
    space = make_space(config.strategy.load(), config.strategy.parameters, False)
    limits, backend = config.risk.limits(), named_backend(config.backend.name)
    evaluator = Evaluator(candles, space, config.costs.record(), limits, backend)
    refuse_look_ahead(space, candles, evaluator.tables)
    window = whole_days(candles).whole
    scorer = own_objective(config)
    base = SearchSettings("grid", 0, 20, config.objective, "peak", config.min_trades, 0, scorer)
    everything = next(score_grid(evaluator, [window], base.rule, lambda n: None))
    everything = everything[~np.isnan(everything)]
    rows = []
    for method, budget in METHODS:
        if budget >= space.size:
            continue
        scores, seconds = [], []
        for seed in range(1 if method == "grid" else seeds):
            settings = replace(base, method=method, budget=budget, seed=seed)
            start = time.perf_counter()
            best = search(evaluator, (window,), settings, lambda n: None)[0]
            seconds.append(time.perf_counter() - start)
            scores.append(-np.inf if best.score is None else best.score)
        median = float(np.median(scores))
        rank = float((everything > median).mean())
        name, took = _name(method, budget), float(np.median(seconds))
        rows.append(Row(name, budget or space.size, median, min(scores), rank, took))
    return rows


def _name(method: str, budget: int) -> str:
    return f"{method} {budget:,}" if budget else method


def main(arguments: list[str] | None = None) -> int:
    """Print a table for each file; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/compare", description=__doc__)
    parser.add_argument(
        "words", nargs="+", metavar="FILE", help="candles: Parquet, CSV or feather; or KEY=VALUE"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        choices=range(1, 101),
        default=5,
        metavar="N",
        help="1 to 100 (default 5)",
    )
    options = parser.parse_intermixed_args(arguments)
    overrides = [word for word in options.words if "=" in word]
    files = [Path(word) for word in options.words if "=" not in word]
    if not files:
        raise UserError("No file of candles is given: name one, as in binance_BTC-USDT_1h.parquet.")
    config, console = configured(overrides), Console()
    columns = ("method", "evaluations", "median best", "worst seed", "grid above it", "seconds")
    for path in files:
        compared = compare(path, options.seeds, config)
        rows = [
            (
                row.method,
                f"{row.evaluations:,}",
                f"{row.score:+.4f}",
                f"{row.worst:+.4f}",
                f"{row.rank:.3%}",
                f"{row.seconds:.2f}",
            )
            for row in compared
        ]
        console.table(f"{path.name}: best in-sample {config.objective}", columns, rows)
        size = compared[0].evaluations
        left_out = [_name(*method) for method in METHODS if method[1] >= size]
        if left_out:
            console.print(
                f"Left out: {', '.join(left_out)}. So many draws cover all {size:,} combinations,"
                " so they would be the grid. Give more values to compare them."
            )
    return 0


if __name__ == "__main__":
    run_plain(main)
