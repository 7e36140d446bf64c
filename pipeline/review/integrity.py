"""Tell whether a stored configuration still is what was stored, without its candles.

The audit trail vouches for the row (`pipeline.results.rows.chain`), the row's digests for the
artifacts, and the row must follow from its own figures and events. All of it takes milliseconds, so
it is asked whenever something is about to be traded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config import SimulationConfig, StorageConfig
from pipeline.errors import ConflictError, UserError
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.artifacts.digests import Cache, differences
from pipeline.results.database import Repository
from pipeline.results.records import Configuration
from pipeline.results.rows.chain import COLUMNS
from pipeline.results.rows.checks import Checked
from pipeline.review.comparison import Comparison, compare_json
from pipeline.review.derived import RowContext, judge_again, rebuilt_document, row_columns
from pipeline.review.explanation import Explanation, explain
from pipeline.review.stored import (
    artifact_folder,
    has_artifacts,
    read_record,
    searched_grid,
    simulation_config,
)


def explain_stored(
    repository: Repository,
    storage: StorageConfig,
    configuration: Configuration,
    cache: Cache | None = None,
) -> Explanation:
    """Explain a configuration as it is stored; its artifacts are looked at too.

    ``cache`` is that of `differences`.

    Raises
    ------
    EditedError
        When it was edited so that nothing can be made of it.
    """
    clauses = artifact_clauses(storage, configuration, cache)
    return explained_as_checked(repository, configuration, clauses)[1]


def explained_as_checked(
    repository: Repository, configuration: Configuration, artifacts: Sequence[str] = ()
) -> tuple[Checked, Explanation]:
    """Explain a configuration, and return what its audit trail says of the row too.

    ``artifacts`` says what of these is not as it was stored (`artifact_clauses`).
    """
    (checked,) = repository.checks.of([configuration.id])
    checked = replace(checked, clauses=(*checked.clauses, *artifacts))
    configuration, events = repository.configurations.read_with_events(configuration.id)
    try:
        grid = searched_grid(repository, configuration)
        return checked, explain(configuration, events, grid, checked.objections)
    except (LookupError, TypeError, ValueError, AttributeError, UserError):
        checked.agreed()
        raise


def artifact_clauses(
    storage: StorageConfig,
    configuration: Configuration | None,
    cache: Cache | None = None,
    unread: Collection[str] = (),
) -> list[str]:
    """Say which artifacts are not what was stored; of no row, and of one without any, none.

    Where none can be compared because their disk is not there, that is a clause too: what was not
    looked at is not served. ``cache`` and ``unread`` are those of `differences`.
    """
    if configuration is None or configuration.artifacts is None:
        return []
    if configuration.artifact_digests and not has_artifacts(storage):
        return [f"its artifacts cannot be compared: {storage.artifacts} is empty or not there"]
    folder = Path(storage.artifacts) / configuration.id
    return differences(folder, configuration.artifact_digests, cache, unread)


def compare_stored(
    repository: Repository,
    storage: StorageConfig,
    configuration: Configuration,
    head: str | None = None,
) -> tuple[Comparison, ...]:
    """Compare the row with its audit trail, and the artifacts with their digests, for a receipt.

    ``head`` is that of an event which must be in the trail.
    """
    (checked,) = repository.checks.of([configuration.id])
    heads = repository.checks.heads(configuration.id)
    clauses = list(checked.clauses)
    if head is not None and head not in heads:
        clauses.append(f"no event of the audit trail has the head {head}: it was written anew")
    artifacts = artifact_clauses(storage, configuration)
    sweeps = repository.checks.sweeps_of(configuration.id)
    return (
        _comparison("audit trail", len(COLUMNS) + 1 + len(heads), clauses),
        _comparison("digests of artifacts", len(configuration.artifact_digests), artifacts),
        _comparison("seals of sweeps", len(sweeps), [clause for clause in sweeps if clause]),
    )


def _comparison(what: str, compared: int, clauses: Sequence[str]) -> Comparison:
    return Comparison(what, compared, len(clauses), None, clauses[0] if clauses else None)


def compare_derived(
    configuration: Configuration,
    record: ArtifactSet,
    config: SimulationConfig,
    spread: float | None,
    context: RowContext,
) -> Iterator[Comparison]:
    """Compare what the row says besides with what follows from its figures.

    ``spread`` is the average spread of its candles, in basis points.
    """
    yield compare_json("gates", configuration.gates, judge_again(configuration, context.events)[1])
    yield compare_json("row", *row_columns(configuration, config, context))
    document = rebuilt_document(configuration, record, config, spread, context.events)
    yield compare_json("document", configuration.document, document)
    yield compare_json(
        "circuit_breakers", configuration.circuit_breakers, document["circuit_breakers"]
    )


def check(repository: Repository, storage: StorageConfig, configuration: Configuration) -> None:
    """Refuse a configuration that is not what was stored, or does not follow from its figures.

    Nothing is simulated: `pipeline.verify` does that.

    Raises
    ------
    EditedError
        When row, audit trail or artifacts are not what was stored.
    ConflictError
        When the row does not follow from its figures and its events.
    """
    if configuration.artifacts is not None and not has_artifacts(storage):
        try:  # their disk is not there: nobody changed anything
            artifact_folder(storage, configuration)
        except UserError as error:
            raise ConflictError(str(error)) from None
    (checked,) = repository.checks.of([configuration.id])
    artifacts = artifact_clauses(storage, checked.configuration)
    replace(checked, clauses=(*checked.clauses, *artifacts)).agreed()
    if configuration.artifacts is None:
        return
    record = read_record(storage, configuration, ())
    config = simulation_config(repository, configuration)
    configuration, context = row_context(repository, configuration.id, config)
    spread = configuration.document["market_microstructure"]["avg_spread_bps"]
    for comparison in compare_derived(configuration, record, config, spread, context):
        if comparison.first is not None:
            raise ConflictError(
                f"{configuration.id} does not follow from its own figures: {comparison.first}."
                " Train the market again."
            )


def row_context(
    repository: Repository, configuration_id: str, config: SimulationConfig
) -> tuple[Configuration, RowContext]:
    """Read a configuration, and what the database says of it at that moment outside its record.

    ``config`` is what its job was told.
    """
    columns: Mapping[str, Any] = repository.configurations.filter_columns(configuration_id)
    configuration, events = repository.configurations.read_with_events(configuration_id)
    context = RowContext(synthetic=config.synthetic, filter_columns=columns, events=events)
    return configuration, context
