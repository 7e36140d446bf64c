"""Read what a configuration keeps of its training, once it is known to be what was stored.

These are its tables, and its search: the best combinations are simulated again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

from gpu_engine import Int32
from pipeline import __version__
from pipeline.config import StorageConfig
from pipeline.errors import ConflictError, NotFoundError, UserError, in_one_line
from pipeline.report.best import Best, best_of
from pipeline.report.heatmap import Scores
from pipeline.report.loading import load_candles_since, searched
from pipeline.report.spread import evidence_sentences, parameter_spread
from pipeline.report.tables import Table, equity_table, trades_table, windows_table
from pipeline.report.theme import Figure
from pipeline.report.trials import INDEX, trials_of, trials_table
from pipeline.results.artifacts import artifact_set
from pipeline.results.artifacts.digests import Cache
from pipeline.results.artifacts.drawn_trials import read_drawn
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review.integrity import artifact_clauses
from pipeline.review.replay import Replay, replay
from pipeline.review.stored import artifact_folder, simulation_config, stored_since
from pipeline.web.service.charts import ChartService
from pipeline.web.service.jobs import known

Days = Literal["out_of_sample", "in_sample"]
Part = TypeVar("Part")

SERIES: dict[Days, str] = {
    "out_of_sample": artifact_set.OUT_OF_SAMPLE,
    "in_sample": artifact_set.IN_SAMPLE,
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
        for name in (artifact_set.SCORES, artifact_set.SUMMARY, artifact_set.TRIALS):
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
        trades = self._read(artifact_set.TRADES, artifact_set.read_trades)
        try:
            ran = None if charts is None else charts.excursions(self.configuration, trades)
        except UserError as error:  # nobody asked for what does not exist
            raise ConflictError(str(error)) from None
        return trades_table(self.configuration, trades, ran)

    def equity(self, days: Days) -> Table:
        """Lay out a daily series."""
        return equity_table(self._read(SERIES[days], artifact_set.read_series))

    def searched_days(self) -> Int32:
        """Read the UTC days of the search that found it, days since the epoch."""
        return self._read(artifact_set.IN_SAMPLE, artifact_set.read_series).day

    def windows(self) -> Table:
        """Lay out the validation windows."""
        return windows_table(self.configuration, self.window_records())

    def window_records(self) -> list[dict[str, Any]]:
        """Read the validation windows as they were kept."""
        return self._read(artifact_set.WINDOWS, artifact_set.read_windows)

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
        if name == artifact_set.SCORES:
            return self._read(name, artifact_set.read_scores)
        if name == artifact_set.TRIALS:
            return self._read(name, read_drawn)
        return self._read(name, artifact_set.read_summary)

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


#: Replays that are kept, of some megabytes each: a page, its export and a dashboard ask for one.
KEPT = 8


@dataclass(frozen=True, eq=False)
class SearchView:
    """The search that found a configuration.

    ``scores`` is what it kept; of a stored surface each metric is read when it is asked for.
    ``config`` is what its job was told.
    """

    tables: StoredTables
    scores: Scores
    config: Mapping[str, Any]

    @property
    def objective(self) -> str | None:
        """What the score is."""
        return self.config.get("objective")

    @property
    def over_windows(self) -> Figure:
        """The values that every window chose, beside those that are stored."""
        own = self.configuration
        choices = own.statistics.get("parameter_choices")
        windows = self.tables.window_records()
        return parameter_spread(windows, own.parameters, searched(self.config), choices)

    @property
    def evidence(self) -> list[str]:
        """In how many windows the stored values were tested, in sentences."""
        return list(evidence_sentences(self.configuration, self.tables.window_records()))

    @property
    def configuration(self) -> Configuration:
        """What it found."""
        return self.tables.configuration

    @cached_property
    def best(self) -> Best:
        """Its best combinations, with the stored one."""
        return best_of(trials_of(self.scores), self.configuration.parameters)


class SearchService:
    """Answers what a search found besides the stored configuration."""

    def __init__(
        self, repository: Repository, tables: TableService, load: Callable[[Configuration], Any]
    ) -> None:
        self._repository, self._tables, self._load = repository, tables, load
        self._known: OrderedDict[tuple[str, datetime | None, str], Replay] = OrderedDict()
        self._one_at_a_time = Lock()

    def of(self, configuration_id: str) -> SearchView:
        """Open the search that found a configuration.

        Raises
        ------
        UnknownIdError
            When it is not stored.
        NotFoundError
            When its search kept nothing.
        ConflictError
            When it is not what was stored.
        """
        tables = self._tables.of(configuration_id)
        config = self._repository.jobs.read(tables.configuration.job_id).config
        return SearchView(tables, tables.searched(), config)

    def replayed(self, search: SearchView) -> Replay | str:
        """Simulate the best combinations again; else say why they cannot be.

        One at a time: candles of ten years take much of the memory that a server has.
        """
        own = search.configuration
        with self._one_at_a_time:
            try:
                config = simulation_config(self._repository, own)
                data, hole = stored_since(config, own)
                key = own.id, None if data is None else data.until, hole
                if key not in self._known:
                    candles, trained, refused = load_candles_since(self._load, own, config, data)
                    days, gap = search.tables.searched_days(), search.config["validation"]["gap"]
                    again = replay(config, candles, search.best.parameters, days, int(gap), trained)
                    self._known[key] = replace(again, refused=refused or hole)
            except UserError as error:
                return str(error)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]
