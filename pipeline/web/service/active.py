"""Serve what is switched on: nothing that is not what was stored."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.config import StorageConfig
from pipeline.results.checks import Checked
from pipeline.results.database import Repository
from pipeline.results.file_digests import Cache
from pipeline.results.records import Configuration
from pipeline.review.integrity import artifact_clauses
from pipeline.web.service import answers
from pipeline.web.service.answers import ActiveConfigurations, RefusedRow


class ActiveRows(NamedTuple):
    """What is switched on: configurations that are what was stored, and those that are not."""

    served: list[Configuration]
    refused: list[RefusedRow]


class ActiveList:
    """Answers what live traders poll, again and again.

    Every answer checks the audit trail and the artifacts of all that is in it. A row that was
    edited after it was served does not change the tag: whoever shows the tag keeps what was true.
    """

    def __init__(self, repository: Repository, storage: StorageConfig) -> None:
        self._repository, self._storage = repository, storage
        self._files: Cache = {}
        self._refused: list[str] = []

    def tag(self) -> str:
        """Return what changes whenever an active configuration comes, goes or has a new event.

        Also when one that was refused at the last answer is so no more, or for another reason.
        """
        version = self._repository.configurations.active_version()
        refused = list(self._repository.checks.stored_of(self._refused))
        return _tag(version, self._refusals(refused))

    def read(self) -> ActiveConfigurations:
        """Read what is switched on, and a tag that changes whenever it does."""
        # The version first: what changes in between has another one at the next look.
        version = self._repository.configurations.active_version()
        served, refused = self.look()
        self._refused = [one.id for one in refused]
        return ActiveConfigurations(
            etag=_tag(version, refused),
            configurations=[answers.active(one) for one in served],
            refused=refused,
        )

    def look(self) -> ActiveRows:
        """Read what is switched on, newest first, and check each."""
        active = self._repository.checks.active()
        refused = self._refusals(active)
        ids = {one.id for one in refused}
        served = [one.configuration for one in active if one.id not in ids]
        return ActiveRows([one for one in served if one is not None], refused)

    def _refusals(self, active: Sequence[Checked]) -> list[RefusedRow]:
        refused = []
        for one in active:
            files = artifact_clauses(self._storage, one.configuration, self._files)
            if objections := replace(one, clauses=(*one.clauses, *files)).objections:
                refused.append(RefusedRow(id=one.id, reason="; ".join(objections)))
        return refused


def _tag(version: str, refused: Sequence[RefusedRow]) -> str:
    if not refused:
        return version
    text = ";".join([version, *(f"{one.id} {one.reason}" for one in refused)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
