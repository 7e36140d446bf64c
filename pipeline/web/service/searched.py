"""Lay the search of a configuration open: its best combinations, simulated again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any

from pipeline.errors import UserError
from pipeline.report.best import Best, best_of
from pipeline.report.heatmap import Scores
from pipeline.report.loading import load_candles_since, searched
from pipeline.report.spread import evidence_sentences, parameter_spread
from pipeline.report.theme import Figure
from pipeline.report.trials import trials_of
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.review.replay import Replay, replay
from pipeline.review.stored import simulation_config, stored_since
from pipeline.web.service.stored_tables import StoredTables, TableService

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
