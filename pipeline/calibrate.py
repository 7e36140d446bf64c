"""How often the whole pipeline finds an edge that is there, and one that is not.

`python -m pipeline.calibrate --planted 10 --null 40` trains on that many generated years of each
kind, seeds 0, 1, 2, ..., exactly as `pipeline.train market=demo` does, and counts the stages.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np

from gpu_engine.backend import choose
from gpu_engine.records import Window
from pipeline.config import SyntheticData, TrainConfig, load
from pipeline.console import Advance, Console
from pipeline.errors import UserError
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.registry import load_strategy
from pipeline.training import Trained, train
from pipeline.validation.lifecycle import STAGES


@dataclass(frozen=True)
class Year:
    """One generated year: its seed, the stage the pipeline gave it, and why.

    ``planted_net_profit`` and ``stored_net_profit`` are of the planted and of the stored
    combination over the whole year, net of costs; None where there is none.
    """

    seed: int
    stage: str
    oos_net_profit: float
    oos_sharpe_ratio: float
    trades: int
    p_value: float | None
    planted_net_profit: float | None
    stored_net_profit: float | None


def train_year(overrides: list[str], seed: int) -> Year:
    """Train on one generated year."""
    config = load([*overrides, f"data.seed={seed}"], TrainConfig, "train")
    trained = train(config, _silent, lambda note: None, lambda market: None)
    planted, stored = _net_profits(config, trained)
    metrics = trained.validation.metrics
    return Year(
        seed=seed,
        stage=trained.stage,
        oos_net_profit=float(metrics["net_profit"]),
        oos_sharpe_ratio=float(metrics["sharpe_ratio"]),
        trades=int(metrics["sample_size"]),
        p_value=trained.statistics["p_value"],
        planted_net_profit=planted,
        stored_net_profit=stored,
    )


def _net_profits(config: TrainConfig, trained: Trained) -> tuple[float | None, float | None]:
    """Net profit over the whole year of the planted and of the stored combination."""
    assert isinstance(config.data, SyntheticData), "the demo markets are synthetic"
    strategy = load_strategy(config.strategy.name)
    candles = trained.market.candles
    plant = config.data.plant
    profits: list[float | None] = []
    for parameters in (None if plant is None else plant.parameters, trained.parameters):
        if parameters is None:
            profits.append(None)
            continue
        space = single_point(strategy, parameters)
        costs, limits = config.costs.record(), config.risk.limits()
        evaluator = Evaluator(candles, space, costs, limits, choose().backend)
        point = space.points(np.zeros(1, np.int64))
        metrics = evaluator.points(point, (Window(0, len(candles)),))
        profits.append(float(metrics["net_profit"][0, 0]))
    return profits[0], profits[1]


@contextmanager
def _silent(stage: str, total: int) -> Iterator[Advance]:
    yield lambda n: None


def main(arguments: list[str] | None = None) -> None:
    """Train on the years asked for and print every one, the counts, or one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.calibrate", description=__doc__)
    parser.add_argument("--planted", type=int, default=10, help="years with an edge (default 10)")
    parser.add_argument("--null", type=int, default=40, help="years without one (default 40)")
    parser.add_argument("--sharpe", type=float, default=8.0, help="gross Sharpe of the edge")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("overrides", nargs="*", help="of the configuration: optimizer=random ...")
    given = parser.parse_args(arguments)
    kinds = (
        ("planted", given.planted, ["market=demo", f"data.plant.sharpe={given.sharpe}"]),
        ("null", given.null, ["market=demo_null"]),
    )
    console = Console()
    found: dict[str, list[Year]] = {}
    for kind, count, market in kinds:
        with console.progress(kind, count) as advance:
            found[kind] = []
            for seed in range(count):
                found[kind].append(train_year([*market, *given.overrides], seed))
                advance(1)
    if given.json:
        console.print(
            json.dumps({kind: [asdict(y) for y in years] for kind, years in found.items()})
        )
        return
    for kind, years in found.items():
        _show(console, kind, years)


def _show(console: Console, kind: str, years: list[Year]) -> None:
    rows = [
        (
            year.seed,
            year.stage,
            f"{year.oos_net_profit:+.1%}",
            f"{year.oos_sharpe_ratio:.2f}",
            year.trades,
            "-" if year.p_value is None else f"{year.p_value:.2g}",
            "-" if year.planted_net_profit is None else f"{year.planted_net_profit:+.1%}",
            "-" if year.stored_net_profit is None else f"{year.stored_net_profit:+.1%}",
        )
        for year in years
    ]
    columns = ("seed", "stage", "OOS net", "Sharpe", "trades", "p", "planted, year", "stored, year")
    console.table(f"SYNTHETIC years, {kind}", columns, rows)
    counts = Counter(year.stage for year in years)
    shares = ", ".join(f"{stage} {counts[stage]}" for stage in STAGES if counts[stage])
    console.print(f"{kind}: {shares} of {len(years)}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
