"""Reports on what a training left in a folder."""

from contextlib import chdir

from pipeline.cli.arguments import LATEST
from pipeline.config import StorageOnly, load
from pipeline.report.loading import load_report
from pipeline.review.stored import opened


def loaded(folder, **options):
    """The report of the newest configuration of a folder."""
    config = load((), StorageOnly, "stored")
    with chdir(folder), opened(config) as repository:
        return load_report(repository, config.storage, LATEST, **options)
