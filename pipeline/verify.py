"""Make the receipt of a stored configuration: all that was stored must come out again.

Trades and figures are those of the reference path; then the training is repeated, with its tests
against luck, which takes about as long as it took (docs/monitoring.md).

Exit status: 0 everything agrees, 1 something differs, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import single_id, stored_parser
from pipeline.cli.console import Console
from pipeline.config import StoredConfig, load
from pipeline.validation.wording import SYNTHETIC

if TYPE_CHECKING:
    from pipeline.review.verification import Receipt


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one configuration, print the receipt, and return the exit status."""
    line = stored_parser("verify", "ID", __doc__, StoredConfig).read(arguments)
    config = load(line.overrides, StoredConfig, "stored")
    configuration_id = single_id(line.ids)

    from pipeline.results.jsonable import dumps
    from pipeline.review.stored import find, open_existing
    from pipeline.review.verification import verify_configuration
    from pipeline.training.run import Reporter

    console = Console()
    reporter = Reporter(console.progress, console.note)
    with open_existing(config) as repository:
        configuration = find(repository, configuration_id)
        receipt = verify_configuration(config, repository, configuration, reporter)
    if line.options.json:
        console.print(dumps(receipt.to_dict()))
    else:
        _show(console, receipt)
    return command.DONE if receipt.agrees else command.FAILED


def _show(console: Console, receipt: Receipt) -> None:
    if receipt.synthetic:
        console.print(SYNTHETIC)
    rows = [
        (
            c.what,
            f"{c.compared:,}",
            f"{c.differing:,}",
            "-" if c.largest_difference is None else f"{c.largest_difference:.1e}",
            "DIFFERS" if c.first else "agrees",
        )
        for c in receipt.comparisons
    ]
    columns = ("figures", "compared", "differing", "largest difference", "outcome")
    console.table(f"Receipt of {receipt.configuration_id}", columns, rows)
    for note in receipt.notes:
        console.print(note)
    if receipt.agrees:
        console.print("Verified: reference path and training give what was stored.")
    else:
        console.print(f"NOT verified: {receipt.first_difference}.")


if __name__ == "__main__":
    command.run_plain(main)
