"""Write the page of a stored configuration, or of a sweep, as one HTML file (docs/report.md).

Exit status: 0 done, 2 a mistake in what was asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.arguments import LATEST, only
from pipeline.cli.console import Console
from pipeline.config import StoredConfig
from pipeline.errors import UserError
from pipeline.report.loading import load_report
from pipeline.report.page import page
from pipeline.report.sweep_loading import load_sweep
from pipeline.report.sweep_page import sweep_page
from pipeline.review.stored import opened


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one page and return the exit status."""
    given = _parser().parse_intermixed_args(arguments)
    ids = [word for word in given.words if "=" not in word]
    overrides = [word for word in given.words if "=" in word]
    console = Console()
    with opened(overrides, StoredConfig) as (config, repository):
        if given.sweep:
            swept = load_sweep(repository, given.sweep)
            name, text = f"sweep_{swept.id}", sweep_page(swept)
        else:
            report = load_report(repository, config.storage, only(ids), config.data)
            for reason in report.missing.values():
                console.note(reason)
            name, text = report.configuration.id, page(report)
    path = given.output or Path(f"{name}.html")
    _write(path, text)
    console.print(f"{command.shown(path)}")
    return command.DONE


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):  # where it could not even be begun
            draft.unlink()
        raise UserError(f"-o {path} cannot be written: {error.strerror or error}.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="report",
        usage="python -m pipeline.report ID|--sweep ID [KEY=VALUE ...] [-o FILE]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="KEY=VALUE: storage=..., storage.url=..., storage.artifacts=...;"
        " data=file data.path=FILE",
    )
    parser.add_argument(
        "words", nargs="*", metavar="ID", help=f"of a configuration; '{LATEST}' is the newest one"
    )
    parser.add_argument("--sweep", metavar="ID", help=f"of a sweep, or '{LATEST}'")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to; ID.html unless given"
    )
    return parser


if __name__ == "__main__":
    command.run_plain(main)
