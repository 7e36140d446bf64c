"""Routes ``/api/configurations`` and ``/api/compare``: stored results and their tables.

Also what is switched on, and what live orders did.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from pipeline.report.best import best_table, days_sentences
from pipeline.report.comparison import LEAST, MOST
from pipeline.report.heatmap import SCORE, Mode
from pipeline.report.rows import BestRow, ConfigurationRow, EquityRow, TradeRow, TrialRow, WindowRow
from pipeline.report.theme import Theme, dressed
from pipeline.report.trials import INDEX
from pipeline.results.artifacts.artifact_set import TRADES, WINDOWS
from pipeline.results.records import ConfigurationSummary
from pipeline.review.explanation import Explanation
from pipeline.web.api.problems import described, section
from pipeline.web.api.tables import MOST_ROWS, SOME_ROWS, TableQuery, described_table, tags_of
from pipeline.web.service import answers, requests
from pipeline.web.service.answers import Page
from pipeline.web.service.comparison import ComparisonAnswer
from pipeline.web.service.paper import PaperLedger
from pipeline.web.service.service import Service
from pipeline.web.service.stored_tables import SERIES, Days

ConfigurationId = Annotated[requests.ConfigurationId, Path(description="PATTERN_DATE_TIME_HEX")]

#: A parameter's value in an address, at most a thousand million as in a body.
HeldValue = Annotated[
    str,
    requests.text_of(
        r"^[A-Za-z0-9_]{1,64}=(null|-?[0-9]{1,9}(\.[0-9]{1,20})?(e-[0-9]{1,2})?)$",
        "a parameter and its value, such as stop_distance=1.5 or max_spread_tolerance=null",
        examples=["stop_distance=1.5"],
    ),
]


class Activation(requests.Request):
    """Why it is switched on; ``force`` does so below VALIDATION."""

    reason: requests.Reason
    force: bool = False


class Deactivation(requests.Request):
    """Why it is switched off."""

    reason: requests.Reason


class PageQuery(requests.ConfigurationQuery):
    """`ConfigurationQuery` as an address has it: all text, so numbers are read from it."""

    model_config = requests.ConfigurationQuery.model_config | {"strict": False}


class TableFilter(requests.ConfigurationFilter):
    """`ConfigurationFilter` of an address that has keys of its table besides."""

    model_config = requests.ConfigurationFilter.model_config | {"strict": False, "extra": "ignore"}


class ConfigurationTablePage(answers.Page):
    """A page of stored configurations as rows of a table."""

    configurations: list[ConfigurationRow]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = section(service, "/api/configurations", "configurations", 401, 422, 503)

    @routes.get("")
    def configurations(query: Annotated[PageQuery, Query()]) -> answers.ConfigurationPage:
        """List stored configurations: filtered, sorted, a page at a time."""
        return service.configurations(query)

    @routes.get("/table", responses=described_table(ConfigurationTablePage))
    def table(
        query: Annotated[TableFilter, Query()], options: Annotated[TableQuery, Depends()]
    ) -> Response:
        """List them as a table: as CSV or Parquet all that fit, in the order asked for.

        Of one that is not what was stored there is the id, and ``refused`` says why.
        """
        make = partial(service.configurations_table, query)
        return options.answer("configurations", "stored", None, make, some=50)

    # Before {configuration_id}: routes are tried in order.
    @routes.get(
        "/active",
        response_model=answers.ActiveConfigurations,
        responses={304: {"description": "It is as If-None-Match has it."}},
    )
    def active(
        response: Response, if_none_match: Annotated[list[str] | None, Header()] = None
    ) -> answers.ActiveConfigurations | Response:
        """List what is switched on: what a live trader polls with If-None-Match.

        What is not as it was stored is not among it, but in ``refused`` with the reason.
        """
        tag = service.active.tag()  # cheap enough for every poll
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        if tags_of(if_none_match) & {"*", tag}:
            return Response(status_code=304, headers=headers)
        page = service.active.read()
        response.headers.update(headers | {"ETag": f'"{page.etag}"'})
        return page

    @routes.get("/{configuration_id}", responses=described(404, 409))
    def configuration(configuration_id: ConfigurationId) -> answers.Document:
        """Show a configuration: its V3 JSON."""
        return service.document(configuration_id)

    @routes.get("/{configuration_id}/explanation", responses=described(404))
    def explanation(configuration_id: ConfigurationId) -> Explanation:
        """Say in words why it is in its stage, gate by gate, and what to do next."""
        return service.explanation(configuration_id)

    @routes.get("/{configuration_id}/strategy", responses=described(404))
    def strategy(configuration_id: ConfigurationId) -> answers.StoredStrategy:
        """Show the strategy it was trained with: of an own one the text as it was then."""
        return service.strategy(configuration_id)

    @routes.get("/{configuration_id}/audit", responses=described(404))
    def audit(
        configuration_id: ConfigurationId,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = SOME_ROWS,
        offset: requests.Offset = 0,
    ) -> answers.AuditPage:
        """List every change of it, oldest first."""
        trail = service.audit_trail(configuration_id)
        page = trail[offset : offset + limit]
        return answers.AuditPage(audit=page, total=len(trail), limit=limit, offset=offset)

    @routes.get("/{configuration_id}/paper", responses=described(404))
    def paper(
        configuration_id: ConfigurationId,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        offset: requests.Offset = 0,
    ) -> PaperLedger:
        """Show its paper account: trades, days and journal, newest first, a page at a time."""
        return service.paper(configuration_id, limit, offset)

    @routes.get("/{configuration_id}/heatmap", responses=described(404))
    def heatmap(
        configuration_id: ConfigurationId,
        x: requests.Word,
        y: requests.Word,
        mode: Mode = "best",
        at: Annotated[list[HeldValue], Query(max_length=requests.LIST_LIMIT)] = [],  # noqa: B006 (FastAPI's way)
        theme: Theme = "light",
        metric: requests.Word = SCORE,
    ) -> dict[str, Any]:
        """Return the score, or another metric, over two parameters as a Plotly figure.

        ``best`` is over all others; ``slice`` holds the others at the configuration's own values,
        or at those of ``at``.
        """
        words = [word.split("=") for word in at]
        values = {name: None if value == "null" else float(value) for name, value in words}
        query = requests.HeatmapQuery(x=x, y=y, mode=mode, at=values, metric=metric)
        return dressed(service.heatmap(configuration_id, query), theme)

    @routes.post("/{configuration_id}/activate", responses=described(404, 409, 413))
    def activate(configuration_id: ConfigurationId, request: Activation) -> answers.Switched:
        """Switch it on; refused below VALIDATION, naming the failed gate, unless forced.

        The reason is kept of a change alone: ``recorded`` is false where it was on already.
        """
        return service.activate(configuration_id, request.reason, request.force)

    @routes.post("/{configuration_id}/deactivate", responses=described(404, 409, 413))
    def deactivate(
        configuration_id: ConfigurationId, request: Deactivation
    ) -> answers.Switched | answers.SwitchedOff:
        """Switch it off, whatever was edited or damaged: ``reason`` says what does not agree.

        ``recorded`` is false where it was off already: then the reason is not kept.
        """
        return service.deactivate(configuration_id, request.reason)

    @routes.post("/{configuration_id}/execution", responses=described(404, 413))
    def execution(
        configuration_id: ConfigurationId, request: requests.ExecutionReport
    ) -> ConfigurationSummary:
        """Record what live orders did, and judge its stage anew."""
        return service.record_execution(configuration_id, request)

    return routes


Ids = Annotated[
    list[requests.ConfigurationId],
    Query(alias="id", description=f"{LEAST} to {MOST} of them, each once."),
]


def comparison_router(service: Service) -> APIRouter:
    """Return the route of configurations side by side."""
    routes = section(service, "/api/compare", "configurations")

    @routes.get("", responses=described(401, 404, 409, 422, 503))
    def compare(ids: Ids) -> ComparisonAnswer:
        """Set two to six configurations side by side: figures, days in common, parameters."""
        return ComparisonAnswer.of(service.comparison.of(ids))

    return routes


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


def table_router(service: Service) -> APIRouter:
    """Return the routes of what a configuration keeps as tables."""
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
