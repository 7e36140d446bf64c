"""Read what a configuration keeps as tables, once it is known to be what was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

from gpu_engine import Int32
from pipeline import __version__
from pipeline.config import StorageConfig
from pipeline.errors import ConflictError, NotFoundError, UserError, in_one_line
from pipeline.report.heatmap import Scores
from pipeline.report.tables import Table, equity_table, trades_table, windows_table
from pipeline.report.trials import INDEX, trials_of, trials_table
from pipeline.results import artifacts
from pipeline.results.database import Repository
from pipeline.results.drawn_trials import read_drawn
from pipeline.results.file_digests import Cache
from pipeline.results.records import Configuration
from pipeline.review.integrity import artifact_clauses
from pipeline.review.stored import artifact_folder
from pipeline.web.service.charts import ChartService
from pipeline.web.service.jobs import known

Days = Literal["out_of_sample", "in_sample"]
Part = TypeVar("Part")

SERIES: dict[Days, str] = {
    "out_of_sample": artifacts.OUT_OF_SAMPLE,
    "in_sample": artifacts.IN_SAMPLE,
}


class StoredTables:
    """The tables of one configuration, which is what was stored.

    Parameters
    ----------
    configuration : Configuration
    folder : Path
        Its artifacts, whose digests are those of its row.
    """

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.configuration, self._folder = configuration, folder

    def tag(self, name: str) -> str:
        """Return what changes with the content of an artifact, 32 hex digits."""
        digest = self.configuration.artifact_digests.get(name, "")
        return hashlib.sha256(f"{__version__} {name} {digest}".encode()).hexdigest()[:32]

    @property
    def scores(self) -> str:
        """Name of the artifact with the trials.

        Raises
        ------
        NotFoundError
            When its search kept none.
        """
        for name in (artifacts.SCORES, artifacts.SUMMARY, artifacts.TRIALS):
            if name in self.configuration.artifact_digests:
                return name
        raise NotFoundError(
            f"{self.configuration.id} keeps no trials: it is of a build whose random and Bayesian"
            " searches kept none. Train its market again; its windows say what each search chose."
        )

    def trades(self, charts: ChartService | None = None) -> Table:
        """Lay out the out-of-sample trades; with ``charts`` also how far they ran.

        Raises
        ------
        ConflictError
            When their candles are not there, or are not those of the training any more.
        """
        trades = self._read(artifacts.TRADES, artifacts.read_trades)
        try:
            ran = None if charts is None else charts.excursions(self.configuration, trades)
        except UserError as error:  # nobody asked for what does not exist
            raise ConflictError(str(error)) from None
        return trades_table(self.configuration, trades, ran)

    def equity(self, days: Days) -> Table:
        """Lay out a daily series."""
        return equity_table(self._read(SERIES[days], artifacts.read_series))

    def searched_days(self) -> Int32:
        """Read the UTC days of the search that found it, days since the epoch."""
        return self._read(artifacts.IN_SAMPLE, artifacts.read_series).day

    def windows(self) -> Table:
        """Lay out the validation windows."""
        return windows_table(self.configuration, self.window_records())

    def window_records(self) -> list[dict[str, Any]]:
        """Read the validation windows as they were kept."""
        return self._read(artifacts.WINDOWS, artifacts.read_windows)

    def trials(self, sort: str = INDEX, descending: bool = False) -> Table:
        """Lay out the trials of a search.

        Raises
        ------
        UserError
            When there is no column ``sort``.
        """
        return trials_table(trials_of(self.searched()), sort, descending)

    def searched(self) -> Scores:
        """Open what the search kept; of a surface each metric is read when it is asked for.

        Raises
        ------
        NotFoundError
            When it kept nothing.
        """
        name = self.scores
        if name == artifacts.SCORES:
            return self._read(name, artifacts.read_scores)
        if name == artifacts.TRIALS:
            return self._read(name, read_drawn)
        return self._read(name, artifacts.read_summary)

    def _read(self, name: str, read: Callable[[Path], Part]) -> Part:
        try:
            return read(self._folder / name)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ConflictError(
                f"The artifacts of {self.configuration.id} are damaged: {in_one_line(error)}."
                " Restore them from a copy."
            ) from None


class TableService:
    """Finds the tables of configurations; files that did not change are digested once."""

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository, self._storage = repository, storage
        #: Digests of files that are read again and again.
        self.files: Cache = {}

    def of(self, configuration_id: str) -> StoredTables:
        """Check a configuration and its artifacts, and return its tables.

        Raises
        ------
        NotFoundError
            When it is not stored, or keeps no artifacts.
        ConflictError
            When it or they are not what was stored, or they are not there.
        """
        with known("configuration", configuration_id):
            (checked,) = self._repository.checks.of([configuration_id])
        configuration = checked.configuration
        if configuration is None:
            configuration = checked.agreed()  # which says why it cannot be read
        if configuration.artifacts is None:
            checked.agreed()
            raise NotFoundError(f"{configuration_id} keeps no artifacts: train its market again.")
        try:
            folder = artifact_folder(self._storage, configuration)
        except UserError as error:  # nobody changed anything
            raise ConflictError(str(error)) from None
        clauses = artifact_clauses(self._storage, configuration, self.files)
        replace(checked, clauses=(*checked.clauses, *clauses)).agreed()
        return StoredTables(configuration, folder)
