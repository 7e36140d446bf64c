"""What a page about a sweep needs, from the database alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from pipeline.cli.arguments import LATEST
from pipeline.errors import UserError, suggestion
from pipeline.results.database import Repository
from pipeline.results.models import SweepMarketRow, SweepRow
from pipeline.results.records import Configuration
from pipeline.validation.stages import Stage


@dataclass(frozen=True)
class SweptMarket:
    """One market of a sweep.

    ``configuration`` is None where nothing was stored, ``error`` says why it failed. ``p_value``
    and ``fdr_q_value`` are None where they are undefined; ``seconds`` is what its training took.
    """

    market: str
    status: str
    configuration: Configuration | None
    p_value: float | None
    fdr_q_value: float | None
    seconds: float | None
    error: str | None

    @property
    def synthetic(self) -> bool:
        """Whether its candles were invented."""
        return self.configuration is not None and self.configuration.synthetic

    @property
    def stage(self) -> Stage | None:
        """Its stage; None where nothing is stored."""
        return None if self.configuration is None else self.configuration.lifecycle_stage

    @property
    def outcome(self) -> str:
        """Its stage; else how far it is."""
        if self.stage is not None:
            return f"SYNTHETIC {self.stage}" if self.synthetic else self.stage
        return "nothing stored" if self.status == "done" else self.status


@dataclass(frozen=True)
class SweepReport:
    """What is known of a sweep; ``since`` to ``until`` are its days, None of generated candles."""

    id: str
    strategy: str
    optimizer: str
    status: str
    since: datetime | None
    until: datetime
    created_at: datetime
    markets: Sequence[SweptMarket]


def load_sweep(repository: Repository, sweep_id: str) -> SweepReport:
    """Load a sweep with the configurations of its markets.

    Parameters
    ----------
    sweep_id : str
        Of the sweep, or ``latest``.

    Raises
    ------
    UserError
        When no sweep has this id.
    """
    with repository.session() as session:
        known = list(session.scalars(select(SweepRow.id).order_by(SweepRow.created_at.desc())))
        if not known:
            raise UserError("No sweep is stored in this database: scripts/sweep makes one.")
        found = session.get(SweepRow, known[0] if sweep_id == LATEST else sweep_id)
        if found is None:
            near = suggestion(sweep_id, known) or f" The newest is {known[0]}."
            raise UserError(f"No sweep has the id {sweep_id}.{near}")
        query = select(SweepMarketRow).where(SweepMarketRow.sweep_id == found.id)
        rows = list(session.scalars(query.order_by(SweepMarketRow.position)))
    return SweepReport(
        id=found.id,
        strategy=found.strategy,
        optimizer=found.optimizer,
        status=found.status,
        since=found.since,
        until=found.until,
        created_at=found.created_at,
        markets=[_market(repository, row) for row in rows],
    )


def _market(repository: Repository, row: SweepMarketRow) -> SweptMarket:
    stored = row.configuration_id
    configuration = None if stored is None else repository.configurations.read(stored)
    return SweptMarket(
        market=row.market,
        status=row.status,
        configuration=configuration,
        p_value=row.p_value,
        fdr_q_value=row.fdr_q_value,
        seconds=row.seconds,
        error=row.error,
    )
