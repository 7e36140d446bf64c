"""Show jobs as they stand: what waits, runs and has ended, whoever started it."""

from collections.abc import Callable
from typing import Any

from nicegui import ui
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.results.records import STATUSES, ConfigurationSummary, Status, Sweep
from pipeline.validation.wording import duration, marked
from pipeline.web.service import composing
from pipeline.web.service.answers import JobView, SweepProgress
from pipeline.web.service.requests import JobId
from pipeline.web.service.service import Service
from pipeline.web.studio.frame import (
    Refresh,
    ask,
    attempt,
    frame,
    health,
    sentence,
    stage_badge,
    text,
    warning,
)
from pipeline.web.studio.pages.sweeps import in_words, titled
from pipeline.web.studio.widgets.again import address_of

#: Seconds between two looks at the database, and jobs a page.
EVERY, SHOWN = 0.5, 25

_ID: TypeAdapter[str] = TypeAdapter(JobId)


async def jobs_page(service: Service) -> None:
    """Show the newest jobs, kept up to date."""
    with frame("Jobs", "/jobs", notice=service.read_only):
        health(service.queue.trouble)
        table = Jobs(service)
        await table.refresh()
        ui.timer(EVERY, table.refresh, immediate=False)


async def job_page(service: Service, job_id: str) -> None:
    """Show one job, kept up to date, and the way to ask for it again."""
    with frame("Job", "/jobs", notice=service.read_only):
        try:
            job = await ask(service.job, _ID.validate_python(job_id))
            row = await ask(service.repository.jobs.read, job_id)
        except (UserError, ValidationError) as error:
            ui.status_code(404)
            warning(str(error) if isinstance(error, UserError) else "This is no job's id.")
            ui.link("All jobs", "/jobs")
            return
        named = any(
            (one.exchange, one.pair, one.timeframe) == (job.exchange, job.pair, job.timeframe)
            for one in (await ask(composing.choices)).markets
        )
        with ui.element("ul").classes("jobs"):
            card = JobCard(service, job_id)
        await card.show(job, 0)
        with ui.element("p").classes("line"):
            ui.link("Again with changes", address_of(row, named))
            for sweep_id in await ask(service.repository.sweeps.of_job, job_id):
                ui.link("Its sweep", f"/sweeps/{sweep_id}")
            ui.link("All jobs", "/jobs")

        async def refresh() -> None:
            await card.show(await ask(service.job, job_id), 0)

        ui.timer(EVERY, refresh, immediate=False)


class Jobs(Refresh):
    """A page of jobs that follows the database."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service, self._offset = service, 0
        self._cards: dict[str, JobCard] = {}
        self._status = ui.select(
            {"": "all", **{status: status for status in STATUSES}},
            label="status",
            value="",
            on_change=self._first,
        ).props("outlined")
        self._counted = sentence("", "soft").props("role=status")
        self._cancel = ui.button("Cancel all that wait", on_click=self._cancel_waiting)
        self._cancel.props("outline")
        self._batches = ui.element("ul").classes("jobs").props('aria-label="Sweeps that run"')
        self._batch_cards: dict[str, BatchCard] = {}
        self._empty = sentence("No job yet: start one on the page Train.")
        self._empty.set_visibility(False)
        self._refused = sentence("")
        self._list = ui.element("ul").classes("jobs")
        with ui.element("div").classes("pager") as self._pager:
            self._newer = ui.button("Newer", on_click=lambda: self._move(-SHOWN)).props("flat")
            self._older = ui.button("Older", on_click=lambda: self._move(SHOWN)).props("flat")

    async def _look(self) -> None:
        await self._look_at_batches()
        statuses: list[Status] = [self._status.value] if self._status.value else []
        page = await ask(self._service.jobs, *statuses, running_first=True, **self._page)
        shown = page.jobs[:SHOWN]
        self._pager.set_visibility(self._offset > 0 or len(page.jobs) > SHOWN)
        self._newer.set_enabled(self._offset > 0)
        self._older.set_enabled(len(page.jobs) > SHOWN)
        self._empty.set_visibility(not shown and not page.refused)
        self._refused.set_text(" ".join(one.reason for one in page.refused))
        for gone in self._cards.keys() - {job.id for job in shown}:
            self._cards.pop(gone).delete()
        for place, job in enumerate(shown):
            if job.id not in self._cards:
                with self._list:
                    self._cards[job.id] = JobCard(self._service, job.id)
            await self._cards[job.id].show(job, place)

    @property
    def _page(self) -> dict[str, int]:
        return {"limit": SHOWN + 1, "offset": self._offset}

    async def _look_at_batches(self) -> None:
        """Show how many jobs run and wait, and the sweeps that run."""
        count = self._service.repository.jobs.count
        running, waiting = await ask(count, "running"), await ask(count, "pending")
        self._counted.set_text(f"{running:,} running, {waiting:,} waiting")
        self._cancel.set_visibility(waiting > 0 and self._service.read_only is None)
        sweeps = {sweep.id: (sweep, far) for sweep, far in await ask(self._service.queued_sweeps)}
        for gone in self._batch_cards.keys() - sweeps.keys():
            self._batch_cards.pop(gone).delete()
        for sweep_id, (sweep, progress) in sweeps.items():
            if sweep_id not in self._batch_cards:
                with self._batches:
                    self._batch_cards[sweep_id] = BatchCard(self._service, sweep)
            self._batch_cards[sweep_id].show(progress)

    async def _cancel_waiting(self) -> None:
        await attempt(self._service.cancel_waiting)
        await self.refresh()

    async def _first(self) -> None:
        self._offset = 0
        await self.refresh()

    async def _move(self, by: int) -> None:
        self._offset = max(0, self._offset + by)
        await self.refresh()


class BatchCard:
    """A sweep that runs: one bar over all stages of all its markets."""

    def __init__(self, service: Service, sweep: Sweep) -> None:
        self._service, self._id = service, sweep.id
        with ui.element("li").classes("card job") as self._card:
            with ui.element("div").classes("line"), text("h2", ""):
                ui.link(f"Sweep · {titled(sweep)}", f"/sweeps/{sweep.id}")
            self._bar = ui.linear_progress(show_value=False, size="0.6rem")
            self._said = sentence("", "soft")
            if service.read_only is None:
                ui.button("Cancel what is left", on_click=self._cancel).props("outline")

    def delete(self) -> None:
        """Take the card off the page."""
        self._card.delete()

    def show(self, progress: SweepProgress) -> None:
        """Show how far the sweep is."""
        said = in_words(progress)
        self._said.set_text(said)
        self._bar.set_value(progress.progress)
        self._bar.props(f'aria-label="The sweep: {said}"')

    async def _cancel(self) -> None:
        await attempt(self._service.cancel_sweep, self._id)


class JobCard:
    """One job: its state, how far it is, what it found, and what can be done with it."""

    def __init__(self, service: Service, job_id: str) -> None:
        self._service, self._id = service, job_id
        self._shown: JobView | None = None
        with ui.element("li").classes("card job") as self._card:
            with ui.element("div").classes("line"):
                with text("h2", ""):
                    self._title = ui.link("", f"/jobs/{job_id}")
                self._badge = text("span", "", "badge")
            self._bar = ui.linear_progress(show_value=False, size="0.6rem")
            self._said = sentence("", "soft")
            self._error = sentence("", "wrong")
            with ui.element("details") as self._notes:
                text("summary", "Notes")
                self._noted = ui.element("ul")
            self._notes.set_visibility(False)
            self._results = ui.element("div")
            with ui.element("div").classes("line"):
                self._cancel = self._button("Cancel", service.cancel)
                self._restart = self._button("Restart", service.restart)

    def delete(self) -> None:
        """Take the card off the page."""
        self._card.delete()

    async def show(self, job: JobView, place: int) -> None:
        """Show what changed since the last look."""
        before, self._shown = self._shown, job
        self._card.style(f"order: {place}")
        if job == before:
            return
        own = f" {job.strategy_sha256[:8]}" if job.strategy_sha256 else ""
        title = f"{job.market} · {job.strategy}{own} · {job.optimizer}"
        self._title.set_text(marked(title, job.synthetic))
        self._badge.set_text("queued" if job.queued and job.status == "pending" else job.status)
        self._badge.classes(replace=f"badge {job.status}")
        self._bar.set_visibility(job.status == "running")
        self._bar.set_value(job.progress)
        self._bar.props(f'aria-label="{job.market}: {job.stage_of_work or job.status}"')
        self._said.set_text(_progress(job))
        self._error.set_text(job.error or "")
        changeable = self._service.read_only is None
        self._cancel.set_visibility(changeable and job.status in ("pending", "running"))
        self._restart.set_visibility(changeable and job.status in ("failed", "cancelled"))
        if before is None or (job.status, job.stage_of_work) != (
            before.status,
            before.stage_of_work,
        ):
            await self._note()
        if job.status == "completed" and (before is None or before.status != "completed"):
            results = await attempt(self._service.results, self._id)
            if results is not None:
                self._show_results(results.configurations)

    async def _note(self) -> None:
        """Show what the job had to say, such as which backend it took and what candles lack."""
        notes = await ask(self._service.repository.jobs.notes, self._id)
        self._notes.set_visibility(bool(notes))
        self._noted.clear()
        with self._noted:
            for note in notes:
                text("li", note, "soft")

    def _show_results(self, configurations: list[ConfigurationSummary]) -> None:
        self._results.clear()
        with self._results:
            for configuration in configurations:
                with ui.element("p").classes("line"):
                    stage_badge(configuration.lifecycle_stage, configuration.synthetic)
                    ui.link(f"Verdict: {configuration.id}", f"/configurations/{configuration.id}")
            if not configurations:
                sentence("Nothing admissible was found, so nothing is stored.")

    def _button(self, name: str, call: Callable[[str], Any]) -> ui.button:
        async def clicked() -> None:
            job = await attempt(call, self._id)
            if job is not None and self._shown is not None:
                await self.show(job, 0)

        return ui.button(name, on_click=clicked).props("outline")


def _progress(job: JobView) -> str:
    """``search: 45 %, 12,000 a second, 5 s left · started 2026-11-22 20:00:00 UTC``."""
    if job.status == "running":
        parts = [f"{job.stage_of_work or 'starting'}: {job.progress:.0%}"]
        if job.rate is not None:
            parts.append(f"{job.rate:,.0f} a second")
        if job.seconds_left is not None:
            parts.append(f"{duration(job.seconds_left)} left in this stage")
        return ", ".join(parts)
    start = f"asked for {job.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if job.started_at is None or job.finished_at is None:
        return start
    return f"{start}, took {duration((job.finished_at - job.started_at).total_seconds())}"
