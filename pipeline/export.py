"""Hand a stored configuration to another program (docs/freqtrade.md).

freqtrade ID --to FOLDER writes a strategy of freqtrade, its numbers and settings to start from;
trades ID --to FILE writes the out-of-sample trades as CSV; json ID prints the V3 document.

Exit status: 0 done, 1 what is stored was changed by something else, 2 a mistake in what was asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import Parser, single_id
from pipeline.cli.console import Console
from pipeline.config import StorageOnly, load
from pipeline.errors import UserError, suggestion

if TYPE_CHECKING:
    from pipeline.results.database import Repository
    from pipeline.results.records import Configuration

KINDS = ("freqtrade", "trades", "json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Export one configuration and return the exit status."""
    line = _parser().read(arguments)
    config = load(line.overrides, StorageOnly, "stored")
    kind, *ids = line.ids or [""]
    if kind not in KINDS:
        raise UserError(
            f"This takes one of {', '.join(KINDS)} and the id of a configuration; given:"
            f" {' '.join(line.ids) or 'nothing'}.{suggestion(kind, KINDS)}"
        )
    configuration_id, to = single_id(ids), line.options.to
    if kind != "json" and to is None:
        what = "FOLDER" if kind == "freqtrade" else "FILE"
        raise UserError(f"Say where to: scripts/export {kind} {configuration_id} --to {what}.")

    from pipeline.review.stored import find, open_existing

    console = Console()
    with open_existing(config) as repository:
        configuration = find(repository, configuration_id)
        if kind == "freqtrade":
            _freqtrade(console, repository, configuration, to, line.options.longs_alone)
            return command.DONE
        agreeing = repository.checks.agreeing(configuration.id, verified=True)
        if kind == "trades":
            _trades(console, config, repository, agreeing, to)
        else:
            _json(console, agreeing)
    return command.DONE


def _freqtrade(
    console: Console,
    repository: Repository,
    configuration: Configuration,
    folder: Path,
    longs_alone: bool,
) -> None:
    from pipeline.bots.exporting import make_plan
    from pipeline.bots.freqtrade_files import said_of_size, write_files

    plan = make_plan(repository, configuration, longs_alone=longs_alone)
    for path in write_files(plan, folder):
        console.print(f"{command.relative_path(path)}")
    console.print(said_of_size(plan))


def _trades(
    console: Console,
    config: StorageOnly,
    repository: Repository,
    configuration: Configuration,
    path: Path,
) -> None:
    from pipeline.market_data.store.atomic_files import replace_text
    from pipeline.report.loading import load_candles_again
    from pipeline.report.performance import excursions_of
    from pipeline.report.table_files import csv_of
    from pipeline.report.tables import trades_table
    from pipeline.review.stored import read_record

    trades, ran = read_record(config.storage, configuration).trades, None
    try:
        ran = excursions_of(load_candles_again(repository, configuration), trades)
    except UserError as error:
        console.note(f"mae and mfe stay empty: {error}")
    table = trades_table(configuration, trades, ran)
    try:
        if path.exists():
            raise UserError(f"--to {path} is there already: remove it, or name another file.")
        replace_text(path, b"".join(csv_of(table, 0, table.total)).decode())
    except OSError as error:
        raise UserError(
            f"--to {path} cannot be written: {error.strerror or error}. Name a file in a folder"
            " that exists and can be written to."
        ) from None
    console.print(f"{command.relative_path(path)}: {table.total} trades")


def _json(console: Console, configuration: Configuration) -> None:
    from datetime import UTC, datetime

    from pipeline.results.document.document import as_read
    from pipeline.results.jsonable import dumps

    console.print(dumps(as_read(configuration.allowed_document, datetime.now(UTC))))


def _parser() -> Parser:
    usage = "scripts/export freqtrade|trades|json ID [KEY=VALUE ...] [--to PATH]"
    parser = Parser("export", usage, __doc__, StorageOnly, "stored")
    parser.add_argument("--to", type=Path, metavar="PATH", help="a folder, or of trades a file")
    parser.add_argument(
        "--longs-alone", action="store_true", help="leave the shorts of a spot market out"
    )
    return parser


if __name__ == "__main__":
    command.run_plain(main)
