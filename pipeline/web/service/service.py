"""Answer the requests of REST API, Strategy Studio and commands over one database.

Every method is a plain call that may block for a moment: a server runs it in a thread. Nothing is
held between calls but the rates that estimates are priced with, so any number of servers may work
on one database. What is queued here is run by the dispatcher that `queue.supervisor` keeps.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import ConflictError, NotFoundError, StageMovedError, UserError
from pipeline.report.heatmap import heatmap
from pipeline.report.lists import configurations_table
from pipeline.report.loading import ReportData, load_report, load_sight
from pipeline.report.tables import Table
from pipeline.results.records import Configuration, ConfigurationEvent, ConfigurationSummary
from pipeline.review import integrity, later_evidence
from pipeline.review.explanation import Explanation, explain
from pipeline.validation.stages import STAGES, Stage
from pipeline.web.service import answers, requests
from pipeline.web.service.answers import (
    AuditEntry,
    ConfigurationPage,
    JobResults,
    RefusedRow,
    StoredStrategy,
    SwitchedOff,
)
from pipeline.web.service.batches import BatchService
from pipeline.web.service.candles import CandleService
from pipeline.web.service.charts import ChartService
from pipeline.web.service.comparison import ComparisonService
from pipeline.web.service.following import Following
from pipeline.web.service.jobs import known, naming
from pipeline.web.service.paper import PaperLedger
from pipeline.web.service.signals import ActiveList, Signals
from pipeline.web.service.stored_tables import SearchService, TableService

#: Lowest stage that is activated without force.
ACTIVATED_FROM = "VALIDATION"


class Service(BatchService):
    """Answers every request over one database; ``repository`` reads what needs no rule of its own.

    See `JobService` for its parameters.
    """

    @cached_property
    def active(self) -> ActiveList:
        """What live traders poll."""
        return ActiveList(self.repository, self.settings.storage)

    @cached_property
    def signals(self) -> Signals:
        """What live traders poll with every candle."""
        return Signals(self.repository, self.active)

    @cached_property
    def following(self) -> Following:
        """What became of all that is switched on."""
        return Following(self.repository, self.settings.storage, self.signals)

    @cached_property
    def tables(self) -> TableService:
        """What configurations keep, as tables."""
        return TableService(self.repository, self.settings.storage)

    @cached_property
    def searches(self) -> SearchService:
        """What searches found besides the stored configurations."""
        return SearchService(self.repository, self.tables, self.charts.whole)

    @cached_property
    def comparison(self) -> ComparisonService:
        """Configurations side by side."""
        return ComparisonService(self.repository, self.settings.storage)

    @cached_property
    def candles(self) -> CandleService:
        """What the store of candles holds."""
        return CandleService(Path(self.settings.store))

    @cached_property
    def charts(self) -> ChartService:
        """Candles of configurations, for charts."""
        return ChartService(self.repository)

    # Configurations

    def results(self, job_id: str) -> JobResults:
        """Read what a job found.

        Raises
        ------
        ConflictError
            When it is not complete.
        """
        job = self.job(job_id)
        if job.status != "completed":
            raise ConflictError(
                f"Job {job_id} is {job.status}: only a completed job has results."
                + (f" {job.error}" if job.error else "")
            )
        configurations = self.repository.configurations.find(job_id=job_id)
        for damaged in configurations.damaged:
            raise damaged
        documents = self._documents([configuration.id for configuration in configurations])
        with naming("trained_configurations", f"what job {job_id} stored"):
            found = self.summaries(configurations)
        return JobResults(job=job, configurations=found, documents=documents)

    def configurations(self, query: requests.ConfigurationQuery) -> ConfigurationPage:
        """Read a page of stored configurations."""
        ids, total = self.repository.configurations.page(
            **_filters(query), limit=query.limit, offset=query.offset
        )
        shown, refused = list[Configuration](), list[RefusedRow]()
        for one in self.repository.checks.listed(ids):
            if one.configuration is None or one.objections:
                refused.append(RefusedRow(id=one.id, reason="; ".join(one.objections)))
            else:
                shown.append(one.configuration)
        return ConfigurationPage(
            configurations=self.summaries(shown),
            refused=refused,
            total=total,
            limit=query.limit,
            offset=query.offset,
        )

    def configurations_table(self, query: requests.ConfigurationFilter) -> Table:
        """Lay out all stored configurations that fit; those that are refused say why."""
        filters = _filters(query)

        def page(start: int, end: int) -> list[ConfigurationSummary | tuple[str, str]]:
            ids, _ = self.repository.configurations.page(**filters, limit=end - start, offset=start)
            checked = list(self.repository.checks.listed(ids))
            whole = [one.configuration for one in checked if not one.objections]
            shown = {one.id: one for one in self.summaries([row for row in whole if row])}
            return [shown.get(one.id, (one.id, "; ".join(one.objections))) for one in checked]

        _, total = self.repository.configurations.page(**filters, limit=1, offset=0)
        return configurations_table(total, page)

    def summaries(self, rows: Sequence[Configuration]) -> list[ConfigurationSummary]:
        """Return configurations without their documents."""
        optimizers = self.repository.batches.optimizers([row.job_id for row in rows])
        return [answers.summary(row, optimizers.get(row.job_id)) for row in rows]

    def configuration(self, configuration_id: str) -> Configuration:
        """Read one configuration.

        Raises
        ------
        NotFoundError
            When there is none.
        DamagedRowError
            When its row holds what no training stores.
        """
        with known("configuration", configuration_id):
            return self.repository.configurations.read(configuration_id)

    def explanation(self, configuration_id: str) -> Explanation:
        """Say in words why a configuration is in its stage; its artifacts are looked at too."""
        configuration = self.configuration(configuration_id)
        storage, files = self.settings.storage, self.tables.files
        return integrity.explain_stored(self.repository, storage, configuration, files)

    def document(self, configuration_id: str) -> dict[str, Any]:
        """Read the V3 document of a configuration, with the sizes that it may have.

        Raises
        ------
        ConflictError
            When the configuration is not what was stored.
        """
        self.configuration(configuration_id)
        return self._documents([configuration_id])[0]

    def _documents(self, configuration_ids: Sequence[str]) -> list[dict[str, Any]]:
        checked = self.repository.checks.of(configuration_ids)
        return [one.agreed().allowed_document for one in checked]

    def strategy(self, configuration_id: str) -> StoredStrategy:
        """Read the strategy that a configuration was trained with, as it was then."""
        configuration = self.configuration(configuration_id)
        return answers.strategy(configuration, self.repository.jobs.read(configuration.job_id))

    def audit_trail(self, configuration_id: str) -> list[AuditEntry]:
        """Read what happened to a configuration, oldest first."""
        (checked,) = self.repository.checks.of([self.configuration(configuration_id).id])
        events = self.repository.configurations.events(configuration_id)
        fault = "; ".join(checked.clauses) or None
        return [
            AuditEntry.model_validate(event).model_copy(update={"fault": fault}) for event in events
        ]

    def paper(self, configuration_id: str, limit: int, offset: int) -> PaperLedger:
        """Read the paper account of a configuration, and a page of it, newest first.

        Raises
        ------
        NotFoundError
            When it was never followed.
        """
        self.configuration(configuration_id)
        found = self.repository.live.ledger(configuration_id, limit, offset)
        if found is None:
            raise NotFoundError(
                f"{configuration_id} has no paper account: switch it on and start scripts/paper."
            )
        band = self.following.band(configuration_id)
        return PaperLedger.of(found, band, limit, offset)

    def activate(self, configuration_id: str, reason: str, force: bool = False) -> answers.Switched:
        """Switch a configuration on for live traders, and record why; nothing where it is on.

        Raises
        ------
        ConflictError
            Below VALIDATION or with size 0, unless ``force``; and whatever is forced, where it is
            not what was stored (`pipeline.review.integrity.check`).
        """
        configuration = self.configuration(configuration_id)
        integrity.check(self.repository, self.settings.storage, configuration)
        stages = STAGES if force else STAGES[STAGES.index(ACTIVATED_FROM) :]
        try:
            if not force and objection(configuration):
                raise StageMovedError
            recorded = self._writable.configurations.set_active(
                configuration_id, True, reason, stages=stages, forced=force
            )
        except StageMovedError:
            raise ConflictError(self._refusal(self.configuration(configuration_id))) from None
        came = self._came_of(configuration_id, recorded)
        return answers.Switched(**vars(self._summary(configuration_id)), **came)

    def deactivate(self, configuration_id: str, reason: str) -> answers.Switched | SwitchedOff:
        """Switch a configuration off, and record why; also one that was edited or damaged."""
        with known("configuration", configuration_id):
            recorded = self._writable.configurations.set_active(configuration_id, False, reason)
        (checked,) = self.repository.checks.of([configuration_id])
        came = self._came_of(configuration_id, recorded)
        if checked.configuration is None or checked.clauses:
            return SwitchedOff(id=configuration_id, reason="; ".join(checked.clauses), **came)
        return answers.Switched(**vars(self.summaries([checked.configuration])[0]), **came)

    def _came_of(self, configuration_id: str, recorded: bool) -> dict[str, Any]:
        events: list[ConfigurationEvent] = []
        with suppress(ConflictError):  # whatever is damaged can be switched off
            events = self.repository.configurations.events(configuration_id)
        switches = [one.at for one in events if one.kind in ("activated", "deactivated")]
        return {"recorded": recorded, "switched_at": switches[-1] if switches else None}

    def record_execution(
        self, configuration_id: str, report: requests.ExecutionReport
    ) -> ConfigurationSummary:
        """Record what live orders did and judge the stage anew."""
        self.configuration(configuration_id)
        later_evidence.record_execution(
            self._writable, configuration_id, report.model_dump(exclude_none=True)
        )
        return self._summary(configuration_id)

    # Pictures

    def sight(self, configuration_id: str) -> ReportData:
        """Load what a page about a configuration shows first."""
        self.configuration(configuration_id)
        sight = load_sight(self.repository, self.settings.storage, configuration_id)
        return replace(sight, served=True)

    def report(self, configuration_id: str, *, searched: bool = True) -> ReportData:
        """Load what a page shows at once; if ``searched`` the files of the search are compared."""
        self.configuration(configuration_id)
        storage, files = self.settings.storage, self.tables.files
        report = load_report(
            self.repository, storage, configuration_id, whole=False, cache=files, searched=searched
        )
        return replace(report, served=True)

    def damage(self, configuration_id: str) -> list[str]:
        """Say which artifacts are not what was stored; for a large grid it takes a while."""
        one, storage = self.configuration(configuration_id), self.settings.storage
        return integrity.artifact_clauses(storage, one, self.tables.files)

    def heatmap(self, configuration_id: str, query: requests.HeatmapQuery) -> dict[str, Any]:
        """Return the score surface over two parameters as a Plotly figure.

        Raises
        ------
        NotFoundError
            When no surface is stored.
        UserError
            When a parameter is unknown, or a value is not on the grid of the search.
        """
        search = self.searches.of(configuration_id)
        at = search.configuration.parameters
        for name in query.at.keys() - at.keys():
            raise UserError(f"at: there is no parameter {name}; allowed are {', '.join(at)}.")
        scores, objective = search.scores, search.objective
        x, y, mode, metric = query.x, query.y, query.mode, query.metric
        return heatmap(
            scores, x, y, mode, at | query.at, stored=at, metric=metric, objective=objective
        )

    def _summary(self, configuration_id: str) -> ConfigurationSummary:
        return self.summaries([self.configuration(configuration_id)])[0]

    def _refusal(self, configuration: Configuration) -> str:
        """Say why a configuration is not activated, by the gates that hold it where it is."""
        why = objection(configuration)
        events = self.repository.configurations.events(configuration.id)
        explanation = explain(configuration, events)
        failed = [
            f"{gate.name} ({gate.sentence})"
            for gate in explanation.gates
            if gate.outcome == "failed" and gate.stage in ("PAPER", "DISCOVERY")
        ]
        if _is_below(configuration.lifecycle_stage):
            why += f". Failed: {'; '.join(failed) if failed else explanation.verdict}"
        return (
            f"{configuration.id} {why}. To activate it all the same, force it (force=true, or the"
            " box beside the reason)."
        )


def objection(configuration: Configuration) -> str:
    """Say why a configuration is switched on by force alone; empty where it needs none."""
    if _is_below(stage := configuration.lifecycle_stage):
        return f"is in {stage}, and {ACTIVATED_FROM} is needed"
    invented = ", because its candles were invented" if configuration.synthetic else ""
    return "" if configuration.position_size else f"has size 0{invented}"


def _is_below(stage: Stage) -> bool:
    return stage not in STAGES[STAGES.index(ACTIVATED_FROM) :]


def _filters(query: requests.ConfigurationFilter) -> dict[str, Any]:
    """Return what `Configurations.page` calls the filters and the order of a query."""
    named = ("exchange", "pair", "timeframe", "strategy", "job_id", "synthetic", "descending")
    return {name: getattr(query, name) for name in named} | {
        "lifecycle_stage": query.stage,
        "is_active": query.active,
        "order_by": query.sort,
    }
