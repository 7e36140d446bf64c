"""Make the receipt of a stored configuration once more, on the reference path (docs/monitoring.md).

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

    console = Console()
    with open_existing(config) as repository:
        configuration = find(repository, configuration_id)
        receipt = verify_configuration(config, repository, configuration, console.note)
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
        console.print("Verified: the reference path gives what was stored.")
    else:
        console.print(f"NOT verified: {receipt.first_difference}.")


if __name__ == "__main__":
    command.run_plain(main)
