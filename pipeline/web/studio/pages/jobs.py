"""Show jobs, batch by batch: what waits, runs and has ended, whoever started it."""

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from pipeline.config import Market
from pipeline.errors import UserError
from pipeline.results.records import STATUSES, ConfigurationSummary, Job, JobSummary, Status
from pipeline.validation.wording import duration, marked, state
from pipeline.web.service import composing
from pipeline.web.service.answers import JobView
from pipeline.web.service.batches import BatchView, stage_progress
from pipeline.web.service.service import Service
from pipeline.web.studio import frame
from pipeline.web.studio.widgets.again import link_again

#: Seconds between two looks at the database and at the server's health, and batches a page.
EVERY, HEALTH_EVERY, SHOWN = 0.5, 5.0, 25
#: Markets of a sweep that a row names.
_NAMED = 3
_COLUMNS = ("what", "status", "how far", "settings", "candles (UTC)", "seed", "asked for, UTC", "")


async def jobs_page(service: Service) -> None:
    """Show what was asked for, batch by batch, kept up to date."""
    with frame.page("Jobs", "/jobs", notice=service.read_only):
        frame.follow_trouble(service.queue.trouble)
        table = Jobs(service, (await frame.ask(composing.choices)).markets)
        await table.refresh()
        ui.timer(EVERY, table.refresh, immediate=False)


async def job_page(service: Service, job_id: str) -> None:
    """Show one job, kept up to date, and the way to ask for it again."""
    with frame.page("Job", "/jobs", notice=service.read_only):
        try:
            job = await frame.ask(service.job, frame.identity("job", job_id))
            row = await frame.ask(service.repository.jobs.read, job_id)
        except UserError as error:
            frame.refusal(error, "All jobs", "/jobs")
            return
        markets = (await frame.ask(composing.choices)).markets
        with ui.element("ul").classes("jobs"):
            card = JobCard(service, job_id)
        await card.show(job)
        with ui.element("p").classes("line"):
            _again(row, [row], markets)
            for sweep_id in await frame.ask(service.repository.sweeps.of_job, job_id):
                ui.link("Its sweep", f"/sweeps/{sweep_id}")
            ui.link("All jobs", "/jobs")

        async def refresh() -> None:
            await card.show(await frame.ask(service.job, job_id))

        ui.timer(EVERY, refresh, immediate=False)


class Jobs(frame.Refresh):
    """A page of batches that follows the database: nothing is read unless something changed."""

    def __init__(self, service: Service, markets: Sequence[Market]) -> None:
        super().__init__()
        self._service, self._markets, self._offset = service, markets, 0
        self._rows: dict[str, BatchRow] = {}
        self._seen: Any = None
        with ui.element("div").classes("line"):
            self._status = (
                ui.select(
                    {"": "all", **{status: state(status) for status in STATUSES}},
                    label="status",
                    value="",
                    on_change=self._first,
                )
                .props("outlined")
                .classes("status")
            )
            self._cancel = ui.button("Cancel all that wait", on_click=self._cancel_waiting)
            self._cancel.props("outline")
            self._cancel_all = ui.button("Cancel all", on_click=self._ask_to_cancel)
            self._cancel_all.props("outline")
        self._counted = frame.sentence("", "soft").props("role=status")
        self._empty = frame.sentence("No job yet: start one on the page Train.")
        self._empty.set_visibility(False)
        with frame.region("Jobs").classes("widest"), ui.element("table").classes("cards batches"):
            frame.text("caption", "Running first, then waiting, then the newest")
            with ui.element("thead") as self._heads, ui.element("tr"):
                for column in _COLUMNS:
                    frame.text("th", column).props("scope=col")
            self._body = ui.element("tbody")
        with ui.element("div").classes("pager") as self._pager:
            self._newer = ui.button("Newer", on_click=lambda: self._move(-SHOWN)).props("flat")
            self._older = ui.button("Older", on_click=lambda: self._move(SHOWN)).props("flat")

    async def _look(self) -> None:
        seen = (await frame.ask(self._service.repository.batches.change), self._status.value)
        if seen == self._seen:
            return
        status: Status | None = self._status.value or None
        page = await frame.ask(
            self._service.repository.batches.page, status, SHOWN + 1, self._offset
        )
        shown = page[:SHOWN]
        self._pager.set_visibility(self._offset > 0 or len(page) > SHOWN)
        self._newer.set_enabled(self._offset > 0)
        self._older.set_enabled(len(page) > SHOWN)
        self._empty.set_visibility(not shown)
        self._heads.set_visibility(bool(shown))
        await self._count()
        for gone in self._rows.keys() - {one.id for one in shown}:
            self._rows.pop(gone).delete()
        for place, one in enumerate(shown):
            row = self._rows.get(one.id)
            if row is None:
                view = await frame.ask(self._service.batch, one)
                with self._body:
                    row = self._rows[one.id] = BatchRow(self._service, view, self._markets)
            elif row.is_open or one.state is not None:
                row.show(await frame.ask(self._service.batch, one))
            row.stand(place)
        self._seen = seen

    async def _count(self) -> None:
        """Say how many jobs run and wait, and how long all of it takes still."""
        count = self._service.repository.jobs.count
        running, waiting = await frame.ask(count, "running"), await frame.ask(count, "pending")
        left = await frame.ask(self._service.queue_left)
        judged = await frame.ask(self._service.judged)
        self._counted.set_text(f"{running + judged:,} running, {waiting:,} waiting. {left}")
        changeable = self._service.read_only is None
        self._cancel.set_visibility(changeable and waiting > 0)
        self._cancel_all.set_visibility(changeable and running + waiting > 0)

    async def _cancel_waiting(self) -> None:
        await frame.attempt(self._service.cancel_waiting)
        await self.refresh()

    async def _ask_to_cancel(self) -> None:
        with ui.dialog() as dialog, ui.card():
            frame.sentence(
                "Cancel every job that runs or waits? What a job has done so far is lost."
            )
            with ui.element("div").classes("line"):
                ui.button("Cancel all jobs", on_click=lambda: dialog.submit(True)).props("outline")
                ui.button("Leave them", on_click=lambda: dialog.submit(False)).props("flat")
        if await dialog:
            await frame.attempt(self._service.cancel_all)
            await self.refresh()
        dialog.delete()

    async def _first(self) -> None:
        await self._turn_to(0)

    async def _move(self, by: int) -> None:
        await self._turn_to(max(0, self._offset + by))

    async def _turn_to(self, offset: int) -> None:
        self._offset, self._seen = offset, None
        await self.refresh()


class BatchRow:
    """What was asked for together: how far it is, what it was told, what can be done with it."""

    def __init__(self, service: Service, view: BatchView, markets: Sequence[Market]) -> None:
        self._service, self._view, self._place = service, view, -1
        with ui.element("tr").classes("job") as self._row:
            with frame.text("th", "").props("scope=row"), ui.element("div"):
                ui.link(view.title, f"/{'sweeps' if view.is_sweep else 'jobs'}/{view.id}")
                frame.text("div", _listed(view), "soft")
            with ui.element("td"), ui.element("div"):
                self._badge = frame.text("span", "", "badge")
            with ui.element("td").classes("far"), ui.element("div"):
                self._bar = ui.linear_progress(show_value=False, size="0.6rem")
                self._said = frame.text("div", "")
                self._error = frame.text("div", "", "wrong")
            frame.text("td", view.settings or "-")
            frame.text("td", view.period or "-", "number")
            frame.text("td", "-" if view.seed is None else str(view.seed), "number")
            frame.text("td", f"{view.asked:%Y-%m-%d %H:%M}" if view.asked else "-", "number")
            with ui.element("td"), ui.element("div").classes("deeds"):
                self._verdict = ui.link("Verdict", "")
                if view.first is not None:
                    _again(view.first, view.jobs, markets)
                self._cancel = self._button("Cancel", self._end)
                self._restart = self._button("Restart", lambda: service.restart(view.id))
            for cell, column in zip(self._row, _COLUMNS, strict=True):
                cell.props(f'data-label="{column}"')
        self.show(view)

    @property
    def is_open(self) -> bool:
        """Whether it waited or ran at the last look."""
        return self._view.is_open

    def delete(self) -> None:
        """Take the row off the page."""
        self._row.delete()

    def stand(self, place: int) -> None:
        """Move the row to a place of the table."""
        if place != self._place:
            self._place = place
            self._row.move(target_index=place)

    def show(self, view: BatchView) -> None:
        """Show what changed since the last look."""
        self._view = view
        self._badge.set_text(state(view.status))
        self._badge.classes(replace=f"badge {view.status}")
        self._bar.set_visibility(view.status == "running")
        self._bar.set_value(view.progress)
        self._bar.props(f'aria-label="{view.title}: {view.said or state(view.status)}"')
        self._said.set_text(view.said)
        self._error.set_text(frame.in_labels(view.error))
        changeable = self._service.read_only is None
        self._cancel.set_visibility(changeable and view.is_cancellable)
        again = not view.is_sweep and view.status in ("failed", "cancelled")
        self._restart.set_visibility(changeable and again)
        found = view.is_sweep and view.status == "completed"
        stored = view.configuration_id
        own = f"/configurations/{stored}" if stored else f"/jobs/{view.id}"
        self._verdict.props["href"] = f"/sweeps/{view.id}" if view.is_sweep else own
        self._verdict.set_visibility(found or stored is not None)
        self._verdict.update()

    def _end(self) -> object:
        service, view = self._service, self._view
        return service.cancel_sweep(view.id) if view.is_sweep else service.cancel(view.id)

    def _button(self, name: str, call: Callable[[], object]) -> ui.button:
        async def clicked() -> None:
            await frame.attempt(call)

        return ui.button(name, on_click=clicked).props("outline dense")


def _listed(view: BatchView) -> str:
    """Name the first markets of a sweep, and the id of a job."""
    if not view.is_sweep:
        return view.id
    names = list(dict.fromkeys(job.market for job in view.jobs))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _again(first: Job, jobs: Sequence[JobSummary], markets: Sequence[Market]) -> None:
    asked = ((job.exchange, job.pair, job.timeframe) for job in jobs)
    link_again(first, asked, (job.strategy for job in jobs), markets)


class JobCard:
    """One job: its state, how far it is, what it found, and what can be done with it."""

    def __init__(self, service: Service, job_id: str) -> None:
        self._service, self._id = service, job_id
        self._shown: JobView | None = None
        with ui.element("li").classes("card job"):
            with ui.element("div").classes("line"):
                with frame.text("h2", ""):
                    self._title = ui.link("", f"/jobs/{job_id}")
                self._badge = frame.text("span", "", "badge")
            self._bar = ui.linear_progress(show_value=False, size="0.6rem")
            self._said = frame.sentence("", "soft")
            self._error = frame.sentence("", "wrong")
            with ui.element("details") as self._notes:
                frame.text("summary", "Notes")
                self._noted = ui.element("ul")
            self._notes.set_visibility(False)
            self._results = ui.element("div")
            with ui.element("div").classes("line"):
                self._cancel = self._button("Cancel", service.cancel)
                self._restart = self._button("Restart", service.restart)

    async def show(self, job: JobView) -> None:
        """Show what changed since the last look."""
        before, self._shown = self._shown, job
        if job == before:
            return
        own = f" {job.strategy_sha256[:8]}" if job.strategy_sha256 else ""
        title = f"{job.market} · {job.strategy}{own} · {job.optimizer}"
        self._title.set_text(marked(title, job.synthetic))
        self._badge.set_text(state(job.status))
        self._badge.classes(replace=f"badge {job.status}")
        self._bar.set_visibility(job.status == "running")
        self._bar.set_value(job.progress)
        self._bar.props(f'aria-label="{job.market}: {job.stage_of_work or state(job.status)}"')
        self._said.set_text(_progress(job))
        self._error.set_text(frame.in_labels(job.error or ""))
        changeable = self._service.read_only is None
        self._cancel.set_visibility(changeable and job.status in ("pending", "running"))
        self._restart.set_visibility(changeable and job.status in ("failed", "cancelled"))
        if before is None or (job.status, job.stage_of_work) != (
            before.status,
            before.stage_of_work,
        ):
            await self._note()
        if job.status == "completed" and (before is None or before.status != "completed"):
            results = await frame.attempt(self._service.results, self._id)
            if results is not None:
                self._show_results(results.configurations)

    async def _note(self) -> None:
        """Show what the job had to say, such as which backend it took and what candles lack."""
        notes = await frame.ask(self._service.repository.jobs.notes, self._id)
        self._notes.set_visibility(bool(notes))
        self._noted.clear()
        with self._noted:
            for note in notes:
                frame.text("li", frame.in_labels(note), "soft")

    def _show_results(self, configurations: list[ConfigurationSummary]) -> None:
        self._results.clear()
        with self._results:
            for configuration in configurations:
                with ui.element("p").classes("line"):
                    frame.stage_badge(configuration.lifecycle_stage, configuration.synthetic)
                    ui.link(f"Verdict: {configuration.id}", f"/configurations/{configuration.id}")
            if not configurations:
                frame.sentence("Nothing admissible was found, so nothing is stored.")

    def _button(self, name: str, call: Callable[[str], Any]) -> ui.button:
        async def clicked() -> None:
            job = await frame.attempt(call, self._id)
            if job is not None and self._shown is not None:
                await self.show(job)

        return ui.button(name, on_click=clicked).props("outline")


def _progress(job: JobView) -> str:
    """``search: 45 %, 12,000 a second, 5 s left · started 2026-11-22 20:00:00 UTC``."""
    if job.status == "running":
        return stage_progress(job)
    start = f"asked for {job.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if job.started_at is None or job.finished_at is None:
        return start
    return f"{start}, took {duration((job.finished_at - job.started_at).total_seconds())}"
