"""Candles into the store: `scripts/fetch market=... [import=PATH]` (docs/data.md)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.console import Console
from pipeline.config import FetchConfig
from pipeline.errors import UserError

if TYPE_CHECKING:
    from gpu_engine import Advance, Candles
    from pipeline.market_data.quality.report import QualityReport
    from pipeline.market_data.raw import RawCandles


def main(config: FetchConfig) -> None:
    """Fetch or import the candles of one market and show their quality."""
    from pipeline.market_data.files.importing import import_candles
    from pipeline.market_data.grid import make_regular
    from pipeline.market_data.quality.report import QualityLimits, as_table, check
    from pipeline.market_data.sources import compare_exchanges
    from pipeline.market_data.store.store import check_store

    console = Console()
    check_store(Path(config.data.store))
    if config.import_path is None:
        raw, source = _fetch(console, config)
    else:
        raw, source = import_candles(console, config)
    candles, report = make_regular(raw, config.market.timeframe, source)
    report = compare_exchanges(report, raw, config.market, config.data)
    console.table(*as_table(report))
    _draw(console, candles, report)
    try:
        check(report, QualityLimits(**config.data.quality.model_dump()))
    except UserError as refusal:  # of a training: the candles are stored all the same
        console.note(f"A training would refuse them. {refusal}")


def _fetch(console: Console, config: FetchConfig) -> tuple[RawCandles, str]:
    """Fetch what the store lacks, with a bar that counts it."""
    from pipeline.market_data.sources import fetch_candles

    with ExitStack() as stack:
        advance: Advance | None = None
        done_before = 0

        def on_progress(done: int, total: int) -> None:
            nonlocal advance, done_before
            if advance is None:
                advance = stack.enter_context(console.progress("rows", total - done))
            else:
                advance(done - done_before)
            done_before = done

        fetched = fetch_candles(config.market, config.data, on_progress, console.note)
    for warning in fetched.warnings:
        console.note(warning)
    return fetched.raw, config.market.id


def _draw(console: Console, candles: Candles, report: QualityReport) -> None:
    """Write the picture of the candles, or say why there is none: they are stored all the same."""
    from pipeline.report.candles import write_picture

    picture = command.run_directory() / "candles.html"
    try:
        write_picture(candles, report, picture)
        console.print(f"Picture: {command.relative_path(picture)}")
    except OSError as error:
        console.note(f"The picture cannot be kept in {picture.parent}: {error.strerror or error}.")
    except UserError as refusal:
        console.note(f"There is no picture of them. {refusal}")


if __name__ == "__main__":
    usage = "scripts/fetch [-m] market=NAME [import=PATH] [KEY=VALUE ...]"
    command.run(main, FetchConfig, "fetch", usage)
