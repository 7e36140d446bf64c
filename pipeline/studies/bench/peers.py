"""Time other programs on the same entries and exits, where installed (`scripts/bench peers`).

A peer is no dependency of this project: install those that you want to see into an environment of
their own beside it (``pip install -e . vectorbt backtesting``). Each is given the entries of one
combination in the middle of the default grid, every stop and target, fees and slippage, on the
same candles, and answers with a net profit a combination. Signals, validation and ranking are
counted for none. Seconds are those of all processors: some programs use one, some all.

They do not follow the same rules within a bar, so that numbers of trades differ; all are printed.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from gpu_engine import Bool, Candles, Float, ScoreRule, Window, choose
from pipeline.cli.console import Console
from pipeline.search import Evaluator, Scores
from pipeline.strategies.liquidity_sweep import STRATEGY
from pipeline.studies.bench.setting import Setting

#: Backends that stand for this engine.
ENGINES = ("numba", "reference")
#: Trials of an Optuna study.
TRIALS = 200


class Work(NamedTuple):
    """One unit of the default grid as other programs take it.

    ``long`` and ``short`` are true at entry bars, of shape (n,); ``stop`` and ``target`` are
    fractions of the entry price at entry bars, of shape (n, X), NaN elsewhere.
    """

    candles: Candles
    long: Bool
    short: Bool
    stop: Float
    target: Float
    fee: float
    slippage: float


class Row(NamedTuple):
    """One program: combinations, their CPU-seconds, and the trades of the first of them."""

    program: str
    combinations: int
    seconds: float
    trades: int | None


def unit_of(evaluator: Evaluator, points: Float) -> Work:
    """Take points that differ in stop and target alone as other programs take them."""
    candles, dimensions = evaluator.candles, evaluator.space.dimensions
    first = {d.parameter.name: value for d, value in zip(dimensions, points[0], strict=True)}
    table = STRATEGY.events(candles, evaluator.space.loosest()).table(first)
    limits = [d.parameter for d in dimensions if d.parameter.kind == "threshold"]
    passing = table.signal_bar + 1 < len(candles)
    for limit, feature in zip(limits, table.features.T, strict=True):
        passing &= limit.sense * feature >= limit.sense * first[limit.name]
    entry, side = table.signal_bar[passing] + 1, table.side[passing]
    names = [d.parameter.name for d in dimensions]
    stops, targets = (points[:, names.index(n)] for n in ("stop_distance", "target_multiple"))
    stop = np.full((len(candles), len(points)), np.nan)
    stop[entry] = (table.atr[passing] / candles.open[entry])[:, None] * stops
    long, short = np.zeros((2, len(candles)), bool)
    long[entry[side > 0]] = True
    short[entry[side < 0]] = True
    costs = evaluator.costs
    return Work(candles, long, short & ~long, stop, stop * targets, costs.fee_rate, costs.slippage)


def unit_points(evaluator: Evaluator) -> Float:
    """Return the combination in the middle of the grid with every stop and target."""
    space = evaluator.space
    points = space.points(np.arange(space.size))
    names = [d.parameter.name for d in space.dimensions]
    others = [i for i, n in enumerate(names) if n not in ("stop_distance", "target_multiple")]
    middle = points[space.size // 2, others]
    unit: Float = points[(points[:, others] == middle).all(axis=1)]
    return unit


def vectorbt(work: Work) -> Row:
    """Simulate all exit settings in one call, a column each, after one call that compiles."""
    import vectorbt as vbt

    candles = work.candles

    def simulate() -> Any:
        portfolio = vbt.Portfolio.from_signals(
            candles.close[:, None],
            entries=work.long[:, None],
            short_entries=work.short[:, None],
            price=candles.open[:, None],
            open=candles.open[:, None],
            high=candles.high[:, None],
            low=candles.low[:, None],
            sl_stop=work.stop,
            tp_stop=work.target,
            fees=work.fee,
            slippage=work.slippage,
            stop_entry_price="fillprice",
            freq=f"{candles.step_ms}ms",
        )
        return portfolio, portfolio.total_return()

    simulate()
    start = process_time()
    portfolio, _ = simulate()
    seconds = process_time() - start
    trades = int(np.ravel(portfolio.trades.count())[0])
    return Row(f"vectorbt {version('vectorbt')}", work.stop.shape[1], seconds, trades)


def backtesting(work: Work) -> Row:
    """Run one exit setting, bar by bar in Python."""
    import pandas as pd
    from backtesting import Backtest, Strategy

    candles = work.candles

    class Prepared(Strategy):  # type: ignore[misc, unused-ignore]
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1  # orders fill at the next open
            if self.position or bar + 1 >= len(work.long):
                return
            stop, target = work.stop[bar + 1, 0], work.target[bar + 1, 0]
            price = self.data.Close[-1]
            if work.long[bar + 1]:
                self.buy(sl=price * (1 - stop), tp=price * (1 + target))
            elif work.short[bar + 1]:
                self.sell(sl=price * (1 + stop), tp=price * (1 - target))

    columns = {n.title(): getattr(candles, n) for n in ("open", "high", "low", "close", "volume")}
    index = pd.to_datetime(candles.timestamp, unit="ms")
    backtest = Backtest(pd.DataFrame(columns, index=index), Prepared, cash=1e9, commission=work.fee)
    start = process_time()
    statistics = backtest.run()
    seconds = process_time() - start
    return Row(f"backtesting.py {version('backtesting')}", 1, seconds, int(statistics["# Trades"]))


def optuna(evaluator: Evaluator) -> Row:
    """Optimise in the usual loop: TPE draws one combination, this engine evaluates it."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    window = (Window(0, len(evaluator.candles)),)
    choices = [
        (d.parameter.name, d.choices.tolist())
        for d in evaluator.space.dimensions
        if d.choices is not None
    ]

    def objective(trial: Any) -> float:
        point = [trial.suggest_categorical(name, values) for name, values in choices]
        return float(evaluator.points(np.array([point]), window)["net_profit"][0, 0])

    study = library.create_study(direction="maximize", sampler=library.samplers.TPESampler(seed=0))
    start = process_time()
    study.optimize(objective, n_trials=TRIALS)
    seconds = process_time() - start
    return Row(f"Optuna {library.__version__} TPE over this engine", TRIALS, seconds, None)


def ours(evaluator: Evaluator, points: Float | None) -> Row:
    """Score the whole default grid after a warm-up, or evaluate some points."""
    window, name = Window(0, len(evaluator.candles)), f"this engine, {evaluator.backend.name}"
    if points is not None:
        trades = len(evaluator.trades(points[0], window))
        start = process_time()
        evaluator.points(points, (window,))
        return Row(name, len(points), process_time() - start, trades)
    scores = Scores((window,), ScoreRule())
    evaluator.walk(scores, lambda n: None)
    start = process_time()
    evaluator.walk(scores, lambda n: None)
    seconds = process_time() - start
    return Row(name, evaluator.space.size, seconds, None)


def is_installed(name: str) -> bool:
    """Tell whether a package can be imported."""
    return importlib.util.find_spec(name) is not None


def rows_of(setting: Setting, candles: Candles) -> Iterator[Row]:
    """Time every program that is installed."""
    numba, reference = (setting.evaluator(candles, choose(n).backend) for n in ENGINES)
    points = unit_points(numba)
    yield ours(numba, None)
    yield ours(reference, points[:4])
    work = unit_of(numba, points)
    peers: dict[str, Callable[[], Row]] = {
        "vectorbt": lambda: vectorbt(work),
        "backtesting": lambda: backtesting(work),
        "optuna": lambda: optuna(numba),
    }
    for name, peer in peers.items():
        if is_installed(name):
            yield peer()


def print_peers(console: Console, rows: Sequence[Row]) -> None:
    """Print one line a program; the first is this engine."""
    fastest = rows[0].combinations / rows[0].seconds
    console.table(
        "The same entries, stops and targets; seconds of all processors",
        ("program", "combinations", "CPU-s", "a CPU-s", "this engine", "trades of one"),
        [
            (
                row.program,
                f"{row.combinations:,}",
                f"{row.seconds:.3g}",
                f"{row.combinations / row.seconds:,.3g}",
                f"{fastest * row.seconds / row.combinations:,.0f} x",
                row.trades if row.trades is not None else "",
            )
            for row in rows
        ],
    )
