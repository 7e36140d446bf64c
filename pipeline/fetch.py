"""Candles into the store: `scripts/fetch market=... [import=PATH]` (docs/data.md).

market=A,B, a pattern such as market='btc_*' or market=all fetches several in one run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import ALL, FetchConfig, compose_each, load, select_markets
from pipeline.errors import AND_AGAIN, UserError

if TYPE_CHECKING:
    from gpu_engine import Advance, Candles
    from pipeline.market_data.quality.report import QualityReport
    from pipeline.market_data.raw import RawCandles


def main(config: FetchConfig) -> None:
    """Fetch or import the candles of one market and show their quality."""
    from pipeline.market_data.files.funding import holds_funding, holds_funding_alone
    from pipeline.market_data.files.importing import import_candles, import_funding
    from pipeline.market_data.grid import make_regular
    from pipeline.market_data.quality.report import as_table
    from pipeline.market_data.sources import check_quality, compare_exchanges, load_funding
    from pipeline.market_data.store.store import check_store

    path, perpetual = config.import_path, config.market.perpetual
    if path is not None and not any(word.startswith(("market=", "+")) for word in sys.argv[1:]):
        raise UserError(f"Say whose candles {path} has: add market=NAME, such as btc_kraken_1h.")
    console = Console()
    check_store(Path(config.data.store))
    if path is not None and perpetual and holds_funding(path):
        count = import_funding(config, console.note)
        console.print(f"Funding: {count:,} payments of {path} are stored.")
        if holds_funding_alone(path):
            return
    if path is None:
        raw, source = _fetch(console, config)
    else:
        raw, source = import_candles(console, config)
    candles, report = make_regular(raw, config.market.timeframe, source)
    report = compare_exchanges(report, raw, config.market, config.data)
    console.table(*as_table(report))
    if perpetual and path is None:
        console.note(str(load_funding(config.market, config.data, candles, console.note)))
    _draw(console, candles, report)
    try:
        check_quality(report, config.data)
    except UserError as refusal:  # of a training: the candles are stored all the same
        console.note(f"A training would refuse them. {refusal}")


def _fetch(console: Console, config: FetchConfig) -> tuple[RawCandles, str]:
    """Fetch what the store lacks, with a bar that counts it."""
    from pipeline.market_data.sources import fetch_candles, keep_quality

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
    keep_quality(config.market, config.data)
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
        reason = str(refusal).replace(AND_AGAIN, ".")
        console.note(f"The candles are stored, and there is no picture of them. {reason}")


def several(words: Sequence[str]) -> list[str] | None:
    """Return the names and patterns of ``market=...`` where they stand for several markets."""
    if {"-m", "--multirun"} & set(words):
        return None  # Hydra runs them one after the other
    given = [word.partition("=")[2] for word in words if word.startswith("market=")]
    names = given[-1].strip("'\"[]").split(",") if given else []
    many = len(names) > 1 or any(name == ALL or set("*?") & set(name) for name in names)
    return [name.strip() for name in names] if many else None


def fetch_several(arguments: Sequence[str]) -> int:
    """Fetch several markets in one run and show their quality in short; return the exit status."""
    from pipeline.market_data.several import fetch_markets
    from pipeline.market_data.sources import quality_row
    from pipeline.market_data.store.store import check_store

    line = Parser("fetch", USAGE, __doc__, FetchConfig, "fetch").read(arguments)
    others = [word for word in line.words if not word.startswith("market=")]
    markets = compose_each(
        select_markets(several(line.words) or ()),
        lambda name: load([f"market={name}", *others], FetchConfig, "fetch"),
        "market=",
    )
    if any(config.import_path is not None for config in markets.values()):
        raise UserError("import=PATH takes the files of one market: give one, as in market=NAME.")
    console = Console()
    for store in {config.data.store for config in markets.values()}:
        check_store(Path(store))
    done = fetch_markets(markets, console)
    failures = dict(done.failures)
    rows = []
    for name, fetched in done.fetched.items():
        for warning in fetched.warnings:
            console.note(warning)
        try:
            market, data = markets[name].market, markets[name].data
            rows.append((name, *quality_row(market, data, fetched.raw, console.note)))
        except UserError as error:
            failures[name] = error
    rows += [(name, "", "", "", "", "failed") for name in failures]
    columns = ("market", "candles", "from", "to", "missing", "quality")
    console.table("Candles", columns, sorted(rows))
    for name, failure in failures.items():
        console.note(f"{name}: {failure}")
    return max((failure.status for failure in failures.values()), default=command.DONE)


USAGE = "scripts/fetch [-m] market=NAME[,NAME...]|all [import=PATH] [KEY=VALUE ...]"

if __name__ == "__main__":
    if several(sys.argv[1:]) and not {"-h", "--help"} & set(sys.argv[1:]):
        command.run_plain(lambda: fetch_several(sys.argv[1:]))
    command.run(main, FetchConfig, "fetch", USAGE)
