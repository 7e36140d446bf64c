"""Begin a sweep with its days fixed, or continue an earlier one of the same request."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import __version__
from pipeline.config import ALL, SURROGATES, CcxtData, SyntheticData, TrainConfig, validate
from pipeline.errors import UserError
from pipeline.market_data.synthetic import FIRST_MS
from pipeline.results.access.leases import SILENCE_AT_ONE_LOOK, Owner, cause_of_death, place
from pipeline.results.records import Sweep
from pipeline.results.rows.sweeps import Claim, HasArtifacts, MarketSpec, Sweeps
from pipeline.training import job
from pipeline.training.provenance import WHEREABOUTS, config_hash, engine_hash, fingerprint

#: Surrogates of each kind that a sweep asks for at most: of 100 markets and more the smallest q of
#: one alone is no longer below 0.1.
MOST_SURROGATES = 999


@dataclass(frozen=True)
class SweepRequest:
    """The configurations of a sweep by their label, and the words that all of them share.

    The label is the name of the market; where a market is searched with several strategies, the
    name of the strategy follows.
    """

    configs: Mapping[str, TrainConfig]
    overrides: tuple[str, ...]

    @property
    def deciding(self) -> list[str]:
        """The words that decide results: not where these lie and what computes them."""
        return sorted(word for word in self.overrides if _decides(word))

    @property
    def key(self) -> str:
        """SHA-256 of labels and deciding words, by which a sweep is recognised."""
        text = json.dumps([sorted(self.configs), self.deciding])
        return hashlib.sha256(text.encode()).hexdigest()

    def pinned(self, until: datetime) -> dict[str, TrainConfig]:
        """Return the configurations with the sweep's days where they leave an end open."""
        return {name: pinned(config, until) for name, config in self.judged_together.items()}

    @property
    def judged_together(self) -> dict[str, TrainConfig]:
        """The configurations with as many surrogates as the correction for their number needs."""
        count = surrogate_count(len(self.configs))
        return {name: _with_surrogates(config, count) for name, config in self.configs.items()}


def surrogate_count(tests: int) -> int:
    """Count the surrogates of each kind in a sweep of some tests (validation rules §5.6).

    The smallest p-value is then 1 / (20 · tests), and its q at most 0.05 if it is the only one.
    """
    return min(MOST_SURROGATES, max(SURROGATES, 20 * tests - 1))


def _with_surrogates(config: TrainConfig, count: int) -> TrainConfig:
    """Give a configuration the count of its sweep; what it says itself, and the default, stay."""
    if config.validation.surrogate_count is not None or count == SURROGATES:
        return config
    validation = config.validation.model_copy(update={"surrogate_count": count})
    return config.model_copy(update={"validation": validation})


def _decides(word: str) -> bool:
    """Tell whether a KEY=VALUE word decides results, as the hash of a configuration does."""
    group, _, key = word.partition("=")[0].lstrip("+~").partition(".")
    left_out = WHEREABOUTS.get(group, ())
    return group != "hydra" and left_out is not True and key not in left_out


def pinned(config: TrainConfig, until: datetime) -> TrainConfig:
    """Give an open end of an exchange's history its date; other candles do not grow."""
    data = config.data
    if not isinstance(data, CcxtData):
        return config
    end = data.until or until
    dates: dict[str, object] = {"until": end}
    if data.history != ALL:
        dates |= {"since": data.starts(end), "history": None}
    values = config.model_dump()
    return validate(values | {"data": values["data"] | dates}, TrainConfig)


def task_hash(config: TrainConfig) -> str:
    """SHA-256 of all that decides what is computed: configuration, file of candles, code."""
    try:
        return fingerprint(config)
    except UserError:  # its file cannot be read, which the training will say
        return config_hash(config)


def market_specs(configs: Mapping[str, TrainConfig]) -> list[MarketSpec]:
    """Describe every market as the manifest holds it."""
    return [
        MarketSpec(name, task_hash(config), job.description(config))
        for name, config in configs.items()
    ]


@dataclass(frozen=True)
class SweepRun:
    """A sweep, and this process's claim on it; without one it is complete and unchanged."""

    sweep: Sweep
    configs: Mapping[str, TrainConfig]
    claim: Claim | None


def open_sweep(
    sweeps: Sweeps, request: SweepRequest, artifacts: Path, *, resume: bool, retry_failed: bool
) -> SweepRun:
    """Continue the newest sweep of the same request, or begin one.

    A complete sweep is only shown, as long as the code and the configuration are those it was made
    with, and its results lie in the folder ``artifacts``; otherwise a new one begins.

    Raises
    ------
    UserError
        When a live process runs the same sweep.
    EditedError
        When it is not what was written.
    SweepTakenError
        When another process takes it in this moment.
    """
    has_artifacts = _at_hand(artifacts)
    if not resume:
        sweeps.abandon(request.key, _refuse_living)
        return _begin(sweeps, request, None)
    newest = sweeps.newest(request.key)
    if newest is not None:
        if newest.status == "running":
            _refuse_living(sweeps.owner(newest))
        configs = request.pinned(newest.until)
        if newest.status != "completed":
            claim = sweeps.take_over(newest)
            specs = market_specs(configs)
            try:
                sweeps.reopen(claim, specs, has_artifacts, retry_failed=retry_failed)
            except UserError:
                sweeps.release(claim)
                raise
            return SweepRun(newest, configs, claim)
        rows = sweeps.markets(newest.id)
        hashes = {row.market: row.task_hash for row in rows if has_artifacts(row.configuration_id)}
        if hashes == {name: task_hash(config) for name, config in configs.items()}:
            return SweepRun(newest, configs, None)
    return _begin(sweeps, request, has_artifacts)


def queue_sweep(
    sweeps: Sweeps, configs: Mapping[str, TrainConfig], asked: Mapping[str, object], artifacts: Path
) -> str:
    """Store a sweep whose jobs wait for a dispatcher, which judges it too; return its id.

    It is a new one, whatever ran before. A market that another sweep has trained just so is
    skipped, where its result lies in the folder ``artifacts``. ``asked`` is kept with it: the
    request, as its sender wrote it.

    Raises
    ------
    SweepTakenError
        When a sweep of the same request waits or runs.
    """
    run = _begin(sweeps, queue_request(configs), _at_hand(artifacts), asked)
    return run.sweep.id


def start_key(configs: Mapping[str, TrainConfig]) -> str:
    """Hash all that a start asks for: of one such start no second one waits or runs."""
    return hashlib.sha256(
        "\n".join(sorted(map(config_hash, configs.values()))).encode()
    ).hexdigest()


def queue_request(configs: Mapping[str, TrainConfig]) -> SweepRequest:
    """Return the request of a sweep of the queue, whose key no command has."""
    return SweepRequest(configs, (start_key(configs),))


def last_midnight() -> datetime:
    """Return the end of the last whole UTC day."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _at_hand(artifacts: Path) -> HasArtifacts:
    def has_artifacts(configuration_id: str | None) -> bool:
        return configuration_id is None or (artifacts / configuration_id).is_dir()

    return has_artifacts


def _refuse_living(owner: Owner | None) -> None:
    """Refuse to touch a sweep whose owner may live.

    Of one whose machine may be gone, or whose lease is damaged, it says when that ends.
    """
    if owner is None or cause_of_death(owner) is not None:
        return
    who = f"process {owner.pid} on {owner.host}"
    if owner.damage is not None:
        who = "a process whose lease is damaged, which it mends within 10 s if it lives"
    silence = owner.age or 0.0
    until = (
        f" It gave no sign of life for {silence:.0f} s; after {SILENCE_AT_ONE_LOOK:.0f} s this"
        " command takes its place."
    )
    raise UserError(
        f"This sweep is running already: {who}. {_advice(owner)}"
        + (until if owner.place != place() or silence >= 30 else "")  # three beats
    )


def _advice(owner: Owner) -> str:
    if owner.is_stopped:
        return (
            f"It is stopped (Ctrl-Z or SIGSTOP), and hears no Ctrl-C: let it go on with kill -CONT"
            f" {owner.pid}, or end it with kill -KILL {owner.pid} and run this again."
        )
    return "Wait for it, or stop it with Ctrl-C there."


def _begin(
    sweeps: Sweeps,
    request: SweepRequest,
    has_artifacts: HasArtifacts | None,
    queued: Mapping[str, object] | None = None,
) -> SweepRun:
    """Begin a sweep whose history ends with the last whole UTC day.

    A candle that is still open today would be another one tomorrow. ``queued`` is what a sweep of
    the queue was asked for; None: this process runs it.
    """
    until = last_midnight()
    configs = request.pinned(until)
    first = next(iter(configs.values()))
    dated = [c.data for c in configs.values() if not isinstance(c.data, SyntheticData)]
    made = [c.data.days for c in configs.values() if isinstance(c.data, SyntheticData)]
    invented = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    starts = [data.since for data in dated if data.since is not None]
    ends = [data.until for data in dated if data.until is not None]
    claim = sweeps.begin(
        key=request.key,
        strategy=", ".join(dict.fromkeys(config.strategy.name for config in configs.values())),
        optimizer=first.optimizer.name,
        config={"markets": list(configs)}
        | ({"overrides": request.deciding} if queued is None else {"request": queued}),
        since=min(starts, default=None if dated else invented),
        until=max(ends, default=until if dated else invented + timedelta(days=max(made))),
        engine_version=f"{__version__} {engine_hash(first.strategy)}",
        markets=market_specs(configs),
        has_artifacts=has_artifacts,
        queued=queued is not None,
    )
    return SweepRun(sweeps.sweep(claim.sweep_id), configs, claim)
