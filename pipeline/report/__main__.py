"""Write the page of a stored configuration, or of a sweep, as one HTML file (docs/report.md).

Exit status: 0 done, 2 a mistake in what was asked for.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.arguments import LATEST, Parser, single_id
from pipeline.cli.console import Console
from pipeline.config import StoredConfig, load
from pipeline.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one page and return the exit status."""
    line = _parser().read(arguments)
    sweep_id, path = line.options.sweep, line.options.output
    config = load(line.overrides, StoredConfig, "stored")
    configuration_id = "" if sweep_id else single_id(line.ids)

    from pipeline.report.loading import load_report, load_sweep
    from pipeline.report.page import page, sweep_page
    from pipeline.review.stored import open_existing

    console = Console()
    with open_existing(config) as repository:
        if sweep_id:
            sweep, markets = load_sweep(repository, sweep_id)
            name, text = f"sweep_{sweep.id}", sweep_page(sweep, markets)
        else:
            report = load_report(repository, config.storage, configuration_id, config.data)
            for reason in report.missing.values():
                console.note(reason)
            name, text = report.configuration.id, page(report)
    path = path or Path(f"{name}.html")
    _write(path, text)
    console.print(f"{command.relative_path(path)}")
    return command.DONE


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    from pipeline.market_data.store.atomic_files import replace_text

    try:
        replace_text(path, text)
    except OSError as error:
        raise UserError(f"-o {path} cannot be written: {error.strerror or error}.") from None


def _parser() -> Parser:
    usage = "scripts/report ID|--sweep ID [KEY=VALUE ...] [-o FILE]"
    parser = Parser("report", usage, __doc__, StoredConfig, "stored")
    parser.add_argument("--sweep", metavar="ID", help=f"of a sweep, or '{LATEST}'")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to; ID.html unless given"
    )
    return parser


if __name__ == "__main__":
    command.run_plain(main)
