"""Make the receipt of a stored configuration: all that was stored must come out again.

The row, its audit trail and its artifacts are compared with their hashes. Trades and figures are
those of the reference path; then the training is repeated, with its tests against luck, which takes
about as long as it took (docs/monitoring.md).

Exit status: 0 everything agrees, 1 something differs, 2 a mistake in what was asked for.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import single_id, stored_parser
from pipeline.cli.console import Console
from pipeline.config import StoredConfig, load
from pipeline.validation.wording import SYNTHETIC

if TYPE_CHECKING:
    from pipeline.review.verification import Extent, Receipt


#: What is said of a receipt without a difference, by its extent.
_AGREES = {
    "all": "Verified: reference path and training give what was stored.",
    "daily": "Verified: the reference path gives what was stored.",
    "stored": "Verified: this is what was stored. Nothing was computed again.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one configuration, print the receipt, and return the exit status."""
    parser = stored_parser("verify", "ID", __doc__, StoredConfig)
    extents = parser.add_mutually_exclusive_group()
    extents.add_argument(
        "--stored", action="store_true", help="compare with the hashes and compute nothing again"
    )
    extents.add_argument(
        "--daily",
        action="store_true",
        help="leave out the training, download nothing, and keep the outcome in the database",
    )
    parser.add_argument(
        "--head", metavar="HASH", type=_head, help="the audit trail must hold this head"
    )
    line = parser.read(arguments)
    extent: Extent = "stored" if line.options.stored else "daily" if line.options.daily else "all"
    config = load(line.overrides, StoredConfig, "stored")
    configuration_id = single_id(line.ids)

    from pipeline.results.jsonable import dumps
    from pipeline.review.stored import find, open_existing
    from pipeline.review.verification import keep_outcome, verify_configuration, with_advice
    from pipeline.training.run import Reporter

    console = Console()
    reporter = Reporter(console.progress, console.note)
    with open_existing(config) as repository:
        configuration = find(repository, configuration_id)
        receipt = verify_configuration(
            config, repository, configuration, reporter, extent, line.options.head
        )
        # A slip in HASH shall refuse nothing to those who trade.
        sure = receipt.agrees or line.options.head is None
        if line.options.daily and sure and not (receipt.agrees and receipt.status):
            receipt = keep_outcome(repository, receipt)
        receipt = with_advice(repository, receipt)
        heads = repository.checks.heads(configuration.id)
    if line.options.json:
        console.print(dumps(receipt.to_dict() | {"head": heads[-1] if heads else None}))
    else:
        _show(console, receipt, heads)
        if not receipt.agrees:
            console.print(f"NOT verified: {receipt.first_difference}.")
        elif receipt.status:
            console.print("NOT verified: its hashes agree, and nothing could be computed again.")
        else:
            console.print(_AGREES[extent])
    return receipt.status if receipt.agrees else command.FAILED


def _head(text: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", text) is None:
        raise argparse.ArgumentTypeError(
            f"must be the 64 digits that scripts/verify ID prints as the head; given: {text}"
        )
    return text


def _show(console: Console, receipt: Receipt, heads: Sequence[str]) -> None:
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
    if heads:
        console.print(f"Head of the audit trail: {heads[-1]}")


if __name__ == "__main__":
    command.run_plain(main)
