"""Store the result that a run kept in its folder: scripts/store RUN_FOLDER (docs/training.md).

A run keeps its result where its database did not answer or was gone. Every file is checked first. A
result is stored once: a second call says so.

Exit status: 0 stored, now or before, 1 the database does not answer, 2 a mistake in what was asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import StorageOnly, load
from pipeline.errors import ConflictError, UserError

USAGE = "scripts/store RUN_FOLDER [KEY=VALUE ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Store the result of one run, say under which id, and return the exit status."""
    line = Parser("store", USAGE, __doc__, StorageOnly, "store").read(arguments)
    folders = [word for word in line.words if "=" not in word or Path(word).is_dir()]
    if len(folders) != 1:
        raise UserError(
            f"This takes the folder of one run; given: {' '.join(folders) or 'none'}. {USAGE}."
        )
    config = load([word for word in line.words if word not in folders], StorageOnly, "store")

    from pipeline.results.artifacts import check_root
    from pipeline.results.database import open_database
    from pipeline.results.ownership import NotOwnerError
    from pipeline.results.parcel import read_parcel, unpack
    from pipeline.training.job import guard
    from pipeline.training.storing import earlier_searches, store

    console, storage, parcel = Console(), config.storage, read_parcel(Path(folders[0]))
    configuration, root = parcel.configuration, Path(storage.artifacts)
    with open_database(storage.url, storage.patience, console.note) as repository:
        check_root(root)
        try:
            adopted = repository.jobs.adopt(parcel.job_id, parcel.job)
        except NotOwnerError as error:
            raise ConflictError(f"{error}: wait for its end, or cancel it.") from None
        with guard(repository, parcel.job_id):
            if not adopted:
                if configuration and repository.configurations.exists(configuration.id):
                    unpack(parcel, root)  # a row whose run could not know that it was written
                console.print(f"This result is stored already: job {parcel.job_id} is complete.")
                return command.DONE
            if configuration is not None:
                earlier = earlier_searches(
                    repository,
                    configuration.statistics["p_value"],
                    exchange=configuration.exchange,
                    pair=configuration.pair,
                    timeframe=configuration.timeframe,
                    synthetic=configuration.synthetic,
                    provenance=configuration.provenance,
                )
                statistics = configuration.statistics | earlier
                configuration = replace(configuration, statistics=statistics)
            store(repository, parcel.job_id, configuration, lambda: unpack(parcel, root))
    name = configuration.id if configuration else f"job {parcel.job_id}: nothing admissible found"
    console.print(f"Stored as {name} in {storage.shown_url}")
    return command.DONE


if __name__ == "__main__":
    command.run_plain(main)
