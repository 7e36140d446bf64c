"""Tell what became of all that is switched on: signals, paper accounts and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config import StorageConfig
from pipeline.errors import UserError
from pipeline.report.figures import paper_equity
from pipeline.report.theme import Figure
from pipeline.results.database import Repository
from pipeline.results.tables.live_models import (
    ALARM,
    CHECK,
    REVISED,
    SERVICE,
    STAGE,
    STALE,
    LiveEvent,
    PaperAccount,
)
from pipeline.review import stored
from pipeline.validation.sequential import LiveBand, live_band
from pipeline.web.service.follower import follower_of
from pipeline.web.service.paper import NO_RECORD, PaperBand
from pipeline.web.service.signals import Board, Signals

#: Kinds of the journal that a person should see, and how many lines of them.
_ALARMS, _SHOWN = (ALARM, STALE, REVISED, CHECK, STAGE, SERVICE), 12
#: Lines that are read for them: a check that agrees is none.
_READ = 100


@dataclass(frozen=True, eq=False)
class LiveState:
    """What is switched on, at one moment; ``trouble`` says why nobody follows it, else None."""

    board: Board
    accounts: dict[str, PaperAccount]
    alarms: list[LiveEvent]
    trouble: str | None


class Following:
    """Answers the page that shows it."""

    def __init__(self, repository: Repository, storage: StorageConfig, signals: Signals) -> None:
        self._repository, self._storage, self._signals = repository, storage, signals
        self._bands: dict[str, tuple[int, LiveBand | None]] = {}

    def look(self, before: LiveState | None = None) -> LiveState:
        """Read it; a board that is still true is taken from the look before."""
        known = None if before is None else before.board
        live = self._repository.live
        alarms = [one for one in live.journal(_ALARMS, _READ) if not one.payload.get("agrees")]
        return LiveState(
            self._signals.newer(known) or known or self._signals.read(),
            live.accounts(),
            alarms[:_SHOWN],
            follower_of(self._repository).reason,
        )

    def equity(self, configuration_id: str) -> tuple[Figure, str] | None:
        """Draw the days of a paper account in the band of its promise; None where it has no day.

        With a caption, which says why there is no band.
        """
        days = self._repository.live.days(configuration_id)
        if not days:
            return None
        day = np.array([one.day for one in days], np.int32)
        returns = np.array([one.ret for one in days])
        equity = np.array([one.equity for one in days])
        found = self._band(configuration_id, returns)
        band, why = (None, NO_RECORD) if found is None else (found.band, found.test.unknown)
        caption = f"without a band: {why}" if band is None else "in the band of its promise"
        return paper_equity(day, equity, band), f"Paper equity of a full position, {caption}"

    def band(self, configuration_id: str) -> PaperBand:
        """Tell where the days of a paper account lie in the band of its promise."""
        days = self._repository.live.days(configuration_id)
        found = self._band(configuration_id, np.array([one.ret for one in days]))
        return PaperBand.of(found, days)

    def _band(self, configuration_id: str, returns: np.ndarray) -> LiveBand | None:
        """Return where the days lie in their band; None where there is no record to read."""
        before = self._bands.get(configuration_id)
        if before is None or before[0] != len(returns):
            before = len(returns), self._made_band(configuration_id, returns)
            self._bands[configuration_id] = before
        return before[1]

    def _made_band(self, configuration_id: str, returns: np.ndarray) -> LiveBand | None:
        try:
            configuration = self._repository.checks.agreeing(configuration_id)
            record = stored.read_record(self._storage, configuration, searched=False)
        except UserError:
            return None
        promised, seed = record.out_of_sample.returns, int(configuration.provenance["seed"])
        return live_band(promised, returns, seed)
