"""Read the configurations that are compared, once each is known to be what was stored.

Of their artifacts nothing but the days out of sample is read.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.config import StorageConfig
from pipeline.errors import ConflictError, NotFoundError, UserError
from pipeline.report.comparison import LEAST, MOST, Candidate, Comparison
from pipeline.report.loading import days_of
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.web.service.answers import Answer, RefusedRow
from pipeline.web.service.requests import is_id


class ComparedLine(Answer):
    """A figure of every configuration, in their order.

    ``values`` are null where one has none; ``best`` are the places of the better ones, from 0, none
    where all are alike or days differ. ``differs``: not all are alike.
    """

    name: str
    label: str
    values: list[Any]
    best: list[int]
    differs: bool


class ComparisonAnswer(Answer):
    """Configurations side by side; lists of values are in the order of ``ids``.

    ``common_days`` are the UTC days out of sample that all have, of which ``on_common_days`` is.
    ``correlation`` is of the daily returns of every two on the days that both have, of which
    ``days`` counts; null under 30, and where one does not vary. ``refused`` are those that were
    named and are not what was stored.
    """

    ids: list[str]
    markets: list[str]
    remarks: list[str]
    refused: list[RefusedRow]
    common_days: int
    days: list[list[int]]
    correlation: list[list[float | None]]
    figures: list[ComparedLine]
    on_common_days: list[ComparedLine]
    gates: list[ComparedLine]
    parameters: list[ComparedLine]
    settings: list[ComparedLine]

    @classmethod
    def of(cls, comparison: Comparison) -> "ComparisonAnswer":
        """Return a comparison as plain values."""
        correlation, days = comparison.correlation
        parts = ("figures", "on_common_days", "gates", "parameters", "settings")
        return cls(
            ids=[one.configuration.id for one in comparison.candidates],
            markets=[one.market for one in comparison.candidates],
            remarks=[*filter(None, [comparison.invented]), *comparison.remarks()],
            refused=[RefusedRow(id=one, reason=why) for one, why in comparison.refused.items()],
            common_days=len(comparison.common),
            days=days.tolist(),
            correlation=[[None if r != r else r for r in row] for row in correlation.tolist()],
            **{
                part: [ComparedLine.model_validate(line) for line in getattr(comparison, part)()]
                for part in parts
            },
        )


class ComparisonService:
    """Finds what is compared."""

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository, self._storage = repository, storage

    def of(self, ids: Sequence[str]) -> Comparison:
        """Set configurations side by side; `Comparison.refused` says why others are left out.

        Raises
        ------
        UserError
            When they are not `LEAST` to `MOST`, or one is named twice.
        NotFoundError, ConflictError
            When fewer than `LEAST` can be shown; it says why of each.
        """
        if not LEAST <= len(ids) <= MOST:
            raise UserError(f"id: name {LEAST} to {MOST} configurations; {len(ids)} were named.")
        if len(set(ids)) < len(ids):
            raise UserError("id: a configuration was named twice. Name each once.")
        known = [one for one in ids if is_id("configuration", one)]
        stored = {one.id: one for one in self._repository.checks.stored_of(known)}
        gone = {one: "no configuration has this id" for one in ids if one not in stored}
        refused, candidates = dict(gone), list[Candidate]()
        for checked in (stored[one] for one in ids if one in stored):
            if checked.configuration is None or checked.objections:
                refused[checked.id] = "; ".join(checked.objections)
            else:
                candidates.append(self._candidate(checked.configuration))
        if len(candidates) < LEAST:
            why = "; ".join(f"{one}: {reason}" for one, reason in refused.items())
            kind = NotFoundError if gone else ConflictError
            raise kind(f"Too few of these can be compared. {why}.")
        return Comparison(candidates, refused)

    def _candidate(self, configuration: Configuration) -> Candidate:
        job = self._repository.jobs.read(configuration.job_id)
        series = days_of(self._storage, configuration)
        why = "" if series else "Its days out of sample are not there, or not what was stored."
        return Candidate(configuration, job, series, why)
