"""Reports on what a training left in a folder."""

from contextlib import chdir

from pipeline.cli.arguments import LATEST
from pipeline.config import StorageOnly
from pipeline.report.loading import load_report
from pipeline.review.stored import opened


def loaded(folder, **options):
    """The report of the newest configuration of a folder."""
    with chdir(folder), opened((), StorageOnly) as (config, repository):
        return load_report(repository, config.storage, LATEST, **options)
