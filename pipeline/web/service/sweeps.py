"""Show sweeps, how far each is, and cancel what is left of one."""

from collections import Counter
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from pipeline.errors import ConflictError, SweepTakenError, UnknownIdError
from pipeline.report.loading import SweptMarket, swept_markets
from pipeline.results.records import ALTERED, Sweep, SweepMarket, SweepMarketView, SweepView
from pipeline.results.sweeps import QUEUE
from pipeline.web.service.answers import (
    ListedSweep,
    RefusedRow,
    SweepPage,
    SweepProgress,
    SweepReport,
)
from pipeline.web.service.jobs import JobService, known, naming
from pipeline.web.service.progress import progress_of


class SweepService(JobService):
    """Answers the requests for sweeps; `service.Service` answers the others too."""

    def sweeps(self, limit: int = 50, offset: int = 0) -> SweepPage:
        """Read a page of sweeps, newest first."""
        sweeps, refused = self.repository.sweeps.recent(limit, offset)
        rows = [RefusedRow(id=one, reason=why) for one, why in refused.items()]
        ends = self.repository.sweeps.outcomes([one.id for one in sweeps])
        listed = [
            ListedSweep(
                **{field.name: getattr(one, field.name) for field in fields(SweepView)},
                markets=len(markets := ends.get(one.id, [])),
                statuses=Counter(status for _, status, _ in markets),
                stages=Counter(stage for *_, stage in markets if stage is not None),
            )
            for one in sweeps
        ]
        total = self.repository.sweeps.count()
        return SweepPage(sweeps=listed, refused=rows, total=total, limit=limit, offset=offset)

    def may_cancel(self, sweep: Sweep, progress: SweepProgress) -> bool:
        """Whether something of a sweep is left that this server can cancel: no command runs it."""
        left = progress.ended < progress.total and self.read_only is None
        return left and sweep.status == "running" and sweep.owner == QUEUE

    def cancel_sweep(self, sweep_id: str, again: bool = True) -> SweepReport:
        """Cancel the jobs of a sweep that wait or run; the others are judged with what was asked.

        Raises
        ------
        ConflictError
            When it has ended, or a command runs it.
        """
        self.sweep(sweep_id)
        try:
            self._writable.sweeps.cancel_queued(sweep_id)
        except SweepTakenError:
            sweep, _ = self.sweep(sweep_id)
            if again and (sweep.status, sweep.owner) == ("running", QUEUE):  # begun again since
                return self.cancel_sweep(sweep_id, again=False)
            why = (
                "a command runs it: end it there with Ctrl-C"
                if sweep.status == "running"
                else f"it is {sweep.status}: there is nothing to cancel"
            )
            raise ConflictError(f"Sweep {sweep_id}: {why}.") from None
        return self.sweep_report(sweep_id)

    def sweep_report(self, sweep_id: str) -> SweepReport:
        """Read one sweep, how far it is, and its markets; see `sweep`."""
        sweep, markets = self.sweep(sweep_id)
        return SweepReport(
            sweep=sweep, progress=self.progress(sweep), markets=list[SweepMarketView](markets)
        )

    def queued_sweeps(self) -> list[tuple[Sweep, SweepProgress]]:
        """Read the sweeps of the queue that run, newest first, and how far each is."""
        sweeps = self.repository.sweeps
        shown = []
        for sweep_id in sweeps.running(QUEUE):
            with suppress(ConflictError, UnknownIdError):  # the page of sweeps says what was edited
                sweep = sweeps.whole(sweep_id)
                shown.append((sweep, self.progress(sweep)))
        return shown

    def progress(self, sweep: SweepView) -> SweepProgress:
        """Say how far a sweep is over all stages of all its markets."""
        jobs = self.repository.sweeps.jobs_of(sweep.id)
        return progress_of(sweep, jobs, self.settings.concurrent)

    def sweep(self, sweep_id: str) -> tuple[Sweep, list[SweepMarket]]:
        """Read one sweep and its markets.

        Raises
        ------
        ConflictError
            When it is not what was written.
        """
        with known("sweep", sweep_id):
            return self.repository.sweeps.whole(sweep_id), self.repository.sweeps.markets(sweep_id)

    def swept(self, sweep_id: str) -> tuple[Sweep, list[SweptMarket]]:
        """Read one sweep and its markets with what they stored; see `sweep`.

        What is not what was stored is not shown: its market says so in place of a stage.
        """
        sweep, rows = self.sweep(sweep_id)
        ids = [row.configuration_id for row in rows if row.configuration_id]
        checked = {one.id: one for one in self.repository.checks.listed(ids)}
        with naming("training_jobs", f"a market of sweep {sweep_id}"):
            markets = swept_markets(
                rows, lambda identity: checked[identity].configuration, self.repository.jobs.read
            )
        for place, row in enumerate(rows):
            found = checked.get(row.configuration_id or "")
            if found is not None and found.objections:
                why = f"{found.id}: {'; '.join(found.objections)}"
                change: dict[str, Any] = {"status": ALTERED, "error": why}
                markets[place] = replace(markets[place], configuration=None, **change)
        return sweep, markets
