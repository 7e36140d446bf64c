"""Backtest one combination: `scripts/backtest market=... parameters.NAME=VALUE ...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import command
from pipeline.cli.console import Console
from pipeline.config import BacktestConfig
from pipeline.errors import UserError
from pipeline.market_data.timeframe import utc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpu_engine import Candles


def main(config: BacktestConfig) -> None:
    """Simulate one combination over the whole history and print what it did."""
    from gpu_engine import Window
    from pipeline.causality import refuse_look_ahead
    from pipeline.market_data.sources import bars_expected
    from pipeline.search import Evaluator, single_point
    from pipeline.search.backends import chosen_backend
    from pipeline.training.assumptions import assumptions
    from pipeline.training.candles import load_candles
    from pipeline.training.summary import show_candles

    console = Console()
    strategy = config.strategy.load()
    backend = chosen_backend(config.backend, console.note, combinations=1)
    with console.progress("candles", bars_expected(config.market, config.data)) as advance:
        market = load_candles(config.market, config.data, strategy, backend, advance, console.note)
    for sentence in (*market.warnings, *assumptions(config.market, config.costs, market.facts)):
        console.note(sentence)
    space = single_point(strategy, config.parameters)
    evaluator = Evaluator(
        market.candles, space, config.costs.record(), config.risk.limits(), backend
    )
    refuse_look_ahead(space, market.candles, evaluator.tables)
    point, window = space.point(config.parameters), Window(0, len(market.candles))
    metrics = evaluator.points(point[None], (window,))[0, 0]
    trades = evaluator.trades(point, window)

    show_candles(console, market)
    _show_metrics(console, metrics)
    _show_trades(console, market.candles, trades, config.trades)
    if config.json_file is not None:
        _write(Path(config.json_file), config, market.candles, metrics, trades)
        console.print(f"Metrics and trades: {config.json_file}")


def _show_metrics(console: Console, metrics: Any) -> None:
    rows = [(name, f"{metrics[name]:.6g}") for name in metrics.dtype.names]
    console.table("Metrics over the whole history, by closed trades", ("metric", "value"), rows)
    console.print(
        "scripts/train shows other figures of the same parameters: of days that its search did not"
        " see, marked to market every day (docs/training.md, 5. Verdict)."
    )


def _show_trades(
    console: Console, candles: Candles, trades: NDArray[Any], most: int | None
) -> None:
    from gpu_engine import REASONS
    from pipeline.validation.wording import percent

    last = trades if most is None else trades[-most:]
    rows = [
        (
            utc(int(candles.timestamp[trade["entry_bar"]])),
            "long" if trade["side"] > 0 else "short",
            f"{trade['entry']:.8g}",
            utc(int(candles.timestamp[trade["exit_bar"]])),
            f"{trade['exit']:.8g}",
            REASONS[trade["reason"]],
            percent(trade["ret"]),
        )
        for trade in last
    ]
    note = "" if len(last) == len(trades) else f" (the last of {len(trades)}; trades=null: all)"
    columns = ("entry bar", "side", "entry", "exit bar", "exit", "reason", "net return")
    console.table(f"{len(last)} trades{note}", columns, rows)


def _write(
    path: Path, config: BacktestConfig, candles: Candles, metrics: Any, trades: NDArray[Any]
) -> None:
    """Write metrics and all trades as JSON; bars are given by index and by open time (ms, UTC)."""
    from gpu_engine import REASONS
    from pipeline.market_data.store.atomic_files import replace_text
    from pipeline.results.jsonable import dumps, jsonable

    rows = []
    for trade in trades:
        row = {name: trade[name] for name in trades.dtype.names or ()}
        row["reason"] = REASONS[trade["reason"]]
        row["entry_time"] = candles.timestamp[trade["entry_bar"]]
        row["exit_time"] = candles.timestamp[trade["exit_bar"]]
        rows.append(row)
    content = {
        "market": config.market.id,
        "synthetic": config.synthetic,
        "data_hash": candles.sha256,
        "parameters": config.parameters,
        "metrics": metrics,
        "trades": rows,
    }
    try:
        replace_text(path, dumps(jsonable(content)))
    except OSError as error:
        raise UserError(
            f"json_file={path} cannot be written: {error.strerror}. Name a file in a folder that"
            " exists and can be written to."
        ) from None


if __name__ == "__main__":
    usage = "scripts/backtest market=NAME parameters.NAME=VALUE ... [KEY=VALUE ...]"
    command.run(main, BacktestConfig, "backtest", usage)
