"""Store the result that a run kept in its folder: scripts/store RUN_FOLDER (docs/training.md).

A run keeps its result where it cannot be stored: its database did not answer, or a disk was full.
Every file is checked first, and stays. A result is stored once: a second call says so.

Exit status: 0 stored, now or before, 1 the database does not answer or a disk is full, 2 a mistake
in what was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import StorageOnly, load
from pipeline.errors import UserError

USAGE = "scripts/store RUN_FOLDER [KEY=VALUE ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Store the result of one run, say under which id, and return the exit status."""
    line = Parser("store", USAGE, __doc__, StorageOnly, "store").read(arguments)
    folders = [word for word in line.words if "=" not in word or os.path.isdir(word)]  # noqa: PTH112  (a long word is no error)
    if len(folders) != 1:
        raise UserError(
            f"This takes the folder of one run; given: {' '.join(folders) or 'none'}. {USAGE}."
        )
    config = load([word for word in line.words if word not in folders], StorageOnly, "store")

    from pipeline.results.artifacts.artifact_set import check_root
    from pipeline.results.artifacts.unstored_result import read_parcel
    from pipeline.results.database import open_database
    from pipeline.training.storing import store_parcel

    console, storage, parcel = Console(), config.storage, read_parcel(Path(folders[0]))
    with open_database(storage.url, storage.patience, console.note) as repository:
        check_root(Path(storage.artifacts))
        fresh = store_parcel(parcel, repository, Path(storage.artifacts))
    name = "nothing admissible" if parcel.configuration is None else parcel.configuration.id
    if fresh:
        console.print(f"Stored as {name} in {storage.shown_url}")
    else:
        console.print(f"This result is stored already: job {parcel.job_id} is complete.")
    return command.DONE


if __name__ == "__main__":
    command.run_plain(main)
