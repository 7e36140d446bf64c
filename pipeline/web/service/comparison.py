"""Read the configurations that are compared, once each is known to be what was stored.

Of their artifacts nothing but the days out of sample is read.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.config import StorageConfig
from pipeline.errors import ConflictError, NotFoundError, UserError, in_one_line
from pipeline.report.comparison import LEAST, MOST, Candidate, Comparison
from pipeline.results.artifacts import OUT_OF_SAMPLE, read_series
from pipeline.results.database import Repository
from pipeline.results.file_digests import Cache, digest_of
from pipeline.results.records import Configuration
from pipeline.review.stored import artifact_folder
from pipeline.web.service.answers import Answer, RefusedRow
from pipeline.web.service.requests import ConfigurationId

_ID: TypeAdapter[str] = TypeAdapter(ConfigurationId)


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
    """Finds what is compared; a file that did not change is digested once."""

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository, self._storage = repository, storage
        self._files: Cache = {}

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
        shaped = [one for one in ids if _is_id(one)]
        stored = {one.id: one for one in self._repository.checks.stored_of(shaped)}
        gone = {one: "no configuration has this id" for one in ids if one not in stored}
        refused, candidates = dict(gone), list[Candidate]()
        for checked in (stored[one] for one in ids if one in stored):
            clauses = (*checked.objections, *self._edits(checked.configuration))
            if checked.configuration is None or clauses:
                refused[checked.id] = "; ".join(clauses)
            else:
                candidates.append(self._candidate(checked.configuration))
        if len(candidates) < LEAST:
            why = "; ".join(f"{one}: {reason}" for one, reason in refused.items())
            kind = NotFoundError if gone else ConflictError
            raise kind(f"Too few of these can be compared. {why}.")
        return Comparison(candidates, refused)

    def _edits(self, configuration: Configuration | None) -> Iterator[str]:
        """Say whether the days out of sample are not what was stored; of none, nothing."""
        if configuration is None or OUT_OF_SAMPLE not in configuration.artifact_digests:
            return
        try:
            folder = artifact_folder(self._storage, configuration)
            digest = digest_of(folder / OUT_OF_SAMPLE, self._files)
        except (UserError, OSError):  # they are not at hand, which the candidate says
            return
        if digest != configuration.artifact_digests[OUT_OF_SAMPLE]:
            yield f"artifact {OUT_OF_SAMPLE} is not what was stored"

    def _candidate(self, configuration: Configuration) -> Candidate:
        job, why = self._repository.jobs.read(configuration.job_id), ""
        if configuration.artifacts is None:
            return Candidate(configuration, job, None, "It keeps no artifacts: train it again.")
        try:
            folder = artifact_folder(self._storage, configuration)
            return Candidate(configuration, job, read_series(folder / OUT_OF_SAMPLE))
        except UserError as error:
            why = str(error)
        except (OSError, ValueError) as error:
            why = f"Its days out of sample cannot be read: {in_one_line(error)}."
        return Candidate(configuration, job, None, why)


def _is_id(word: str) -> bool:
    try:
        _ID.validate_python(word)
    except ValidationError:
        return False
    return True
