"""Routes of what a configuration keeps as tables: trades, equity, windows, trials."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from pipeline.report.best import best_table, days_sentences
from pipeline.report.rows import BestRow, EquityRow, TradeRow, TrialRow, WindowRow
from pipeline.report.trials import INDEX
from pipeline.results.artifacts import TRADES, WINDOWS
from pipeline.web.api.problems import section
from pipeline.web.api.tables import TableQuery, described_table
from pipeline.web.service.answers import Page
from pipeline.web.service.requests import ConfigurationId as ConfigurationIdText
from pipeline.web.service.service import Service
from pipeline.web.service.stored_tables import SERIES, Days

ConfigurationId = Annotated[ConfigurationIdText, Path(description="PATTERN_DATE_TIME_HEX")]
Options = Annotated[TableQuery, Depends()]
Sort = Annotated[
    str, Query(max_length=80, description="A column, such as score or parameters.stop_distance.")
]


class TradePage(Page):
    """A page of the out-of-sample trades, oldest first."""

    trades: list[TradeRow]


class EquityPage(Page):
    """A page of a daily series, oldest first."""

    equity: list[EquityRow]


class WindowPage(Page):
    """A page of the validation windows, oldest first."""

    windows: list[WindowRow]


class TrialPage(Page):
    """A page of the trials of a grid; ``total`` are those that are kept."""

    trials: list[TrialRow]


class BestPage(Page):
    """The best combinations of a search, best first."""

    best: list[BestRow]
    notes: list[str]
    """Which days the search saw, which it did not, and what the figures of those are."""


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = section(
        service, "/api/configurations/{configuration_id}", "configurations", 401, 404, 409, 422, 503
    )

    @routes.get("/trades", responses=described_table(TradePage))
    def trades(
        configuration_id: ConfigurationId,
        query: Options,
        excursions: Annotated[
            bool, Query(description="Reckon mae and mfe from the candles between entry and exit.")
        ] = False,
    ) -> Response:
        """List the out-of-sample trades, net of all costs."""
        tables = service.tables.of(configuration_id)
        tag = tables.tag(TRADES) + ("-excursions" if excursions else "")
        make = partial(tables.trades, service.charts if excursions else None)
        return query.answer("trades", configuration_id, tag, make)

    @routes.get("/equity", responses=described_table(EquityPage))
    def equity(
        configuration_id: ConfigurationId, query: Options, days: Days = "out_of_sample"
    ) -> Response:
        """List the days of a series, marked to market, beside holding the market."""
        tables = service.tables.of(configuration_id)
        tag = tables.tag(SERIES[days])
        return query.answer("equity", configuration_id, tag, partial(tables.equity, days))

    @routes.get("/windows", responses=described_table(WindowPage))
    def windows(configuration_id: ConfigurationId, query: Options) -> Response:
        """List the validation windows: days, what the search chose, and what came of it."""
        tables = service.tables.of(configuration_id)
        return query.answer("windows", configuration_id, tables.tag(WINDOWS), tables.windows)

    @routes.get("/trials", responses=described_table(TrialPage))
    def trials(
        configuration_id: ConfigurationId,
        query: Options,
        sort: Sort = INDEX,
        descending: bool = False,
    ) -> Response:
        """List the combinations of the grid with their metrics on the whole history, in sample.

        Of a grid too large to keep these are the best alone. Rows without a number in the column
        that is sorted by come last.
        """
        tables = service.tables.of(configuration_id)
        tag = tables.tag(tables.scores)
        return query.answer(
            "trials", configuration_id, tag, partial(tables.trials, sort, descending)
        )

    @routes.get("/best", responses=described_table(BestPage))
    def best(configuration_id: ConfigurationId, query: Options) -> Response:
        """List the 50 best combinations of the search that found it, with the stored one.

        They are simulated again on the days of the search and on the other days of its candles.
        """
        search = service.searches.of(configuration_id)
        again = service.searches.replayed(search)
        found, valued = (None, "kept") if isinstance(again, str) else (again, "again")
        tag = f"{search.tables.tag(search.tables.scores)}-{valued}"
        more = {"notes": days_sentences(again)}
        make = partial(best_table, search.best, found)
        return query.answer("best", configuration_id, tag, make, more=more)

    return routes
