"""Lay the search of a configuration open: its best combinations."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.best import Best, best_of
from pipeline.report.heatmap import Scores
from pipeline.report.trials import trials_of
from pipeline.results.records import Configuration
from pipeline.web.service.stored_tables import StoredTables, TableService


@dataclass(frozen=True, eq=False)
class SearchView:
    """The search that found a configuration.

    ``scores`` is what it kept; of a stored surface each metric is read when it is asked for.
    """

    configuration: Configuration
    tables: StoredTables
    scores: Scores
    best: Best


class SearchService:
    """Answers what a search found besides the stored configuration."""

    def __init__(self, tables: TableService) -> None:
        self._tables = tables

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
        scores = tables.searched()
        best = best_of(trials_of(scores), tables.configuration.parameters)
        return SearchView(tables.configuration, tables, scores, best)
