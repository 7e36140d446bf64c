"""Make the receipt of a stored configuration once more, on the reference path (docs/monitoring.md).

Exit status: 0 everything agrees, 1 something differs, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import single_id, stored_parser
from pipeline.cli.console import Console, Note
from pipeline.config import StoredConfig, load
from pipeline.validation.wording import SYNTHETIC

if TYPE_CHECKING:
    from pipeline.results.database import Repository
    from pipeline.results.records import Configuration
    from pipeline.review.verification import Receipt


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one configuration, print the receipt, and return the exit status."""
    line = stored_parser("verify", "ID", __doc__, StoredConfig).read(arguments)
    config = load(line.overrides, StoredConfig, "stored")
    configuration_id = single_id(line.ids)

    from pipeline.results.jsonable import dumps
    from pipeline.review.stored import find, opened

    console = Console()
    with opened(config) as repository:
        configuration = find(repository, configuration_id)
        receipt = _verified(config, repository, configuration, console.note)
    if line.options.json:
        console.print(dumps(receipt.to_dict()))
    else:
        _show(console, receipt)
    return command.DONE if receipt.agrees else command.FAILED


def _verified(
    config: StoredConfig, repository: Repository, configuration: Configuration, note: Note
) -> Receipt:
    """Load what is stored and the candles, and compare."""
    from pipeline.review.derived import Books
    from pipeline.review.stored import load_again, pinned, read_record, simulation_config
    from pipeline.review.verification import verify

    record = read_record(config.storage, configuration)
    own = simulation_config(repository, configuration)
    named = config.data is not None
    simulation = simulation_config(repository, configuration, config.data) if named else own
    data = pinned(simulation.data, configuration)
    market = load_again(simulation, data, configuration, note, named=named)
    books = Books(
        synthetic=own.synthetic,
        filter_columns=repository.configurations.filter_columns(configuration.id),
        events=repository.configurations.events(configuration.id),
    )
    return verify(configuration, record, simulation, market.candles, books)


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
