"""What a sweep was asked for, pinned to its days, and whether an earlier one goes on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline import __version__, jobs
from pipeline.calibrate.fingerprint import fingerprint
from pipeline.config import CcxtData, TrainConfig, validated
from pipeline.config.data import DEFAULT_HISTORY_DAYS
from pipeline.errors import UserError
from pipeline.provenance import WHEREABOUTS, config_hash, engine_hash
from pipeline.results.ownership import cause_of_death
from pipeline.results.records import Sweep
from pipeline.results.sweeps import Claim, Sweeps, Wanted

HISTORY = timedelta(days=DEFAULT_HISTORY_DAYS)


@dataclass(frozen=True)
class Asked:
    """Configurations by the name of their market, and the KEY=VALUE words they share."""

    configs: Mapping[str, TrainConfig]
    overrides: tuple[str, ...]

    @property
    def deciding(self) -> list[str]:
        """The words that decide results: not where these lie and what computes them."""
        return sorted(word for word in self.overrides if _group(word) not in WHEREABOUTS)

    @property
    def key(self) -> str:
        """SHA-256 of what was asked, by which a sweep is found again."""
        text = json.dumps([sorted(self.configs), self.deciding])
        return hashlib.sha256(text.encode()).hexdigest()

    def pinned(self, until: datetime) -> dict[str, TrainConfig]:
        """Return the configurations with the sweep's days where they leave an end open."""
        return {name: pinned(config, until) for name, config in self.configs.items()}


def _group(word: str) -> str:
    return word.partition("=")[0].lstrip("+~").partition(".")[0]


def pinned(config: TrainConfig, until: datetime) -> TrainConfig:
    """Give an open end of an exchange's history its date; other candles do not grow."""
    data = config.data
    if not isinstance(data, CcxtData):
        return config
    end = data.until or until
    dates = {"since": data.since or end - HISTORY, "until": end}
    values = config.model_dump()
    return validated(values | {"data": values["data"] | dates}, TrainConfig)


def task_hash(config: TrainConfig) -> str:
    """SHA-256 of all that decides what is computed: configuration, file of candles, code."""
    try:
        return fingerprint(config)
    except UserError:  # its file cannot be read, which the training will say
        return config_hash(config)


def wanted(configs: Mapping[str, TrainConfig]) -> list[Wanted]:
    """Describe every market as the manifest holds it."""
    return [
        Wanted(name, task_hash(config), jobs.description(config))
        for name, config in configs.items()
    ]


@dataclass(frozen=True)
class Opened:
    """A sweep, and this process's claim on it; without one it is complete and unchanged."""

    sweep: Sweep
    configs: Mapping[str, TrainConfig]
    claim: Claim | None


def opened(sweeps: Sweeps, asked: Asked, *, resume: bool, retry_failed: bool) -> Opened:
    """Go on with the newest sweep that was asked for the same, or begin one.

    A complete sweep is only shown, as long as the code and the configuration are those it was made
    with; otherwise a new one begins.

    Raises
    ------
    UserError
        When a live process runs the same sweep.
    SweepTakenError
        When another process takes it in this moment.
    """
    seen = sweeps.newest(asked.key)
    if seen is not None and seen.status == "running" and cause_of_death(seen) is None:
        raise UserError(
            f"This sweep is running already: process {seen.pid} on {seen.host} began it at"
            f" {seen.created_at:%Y-%m-%d %H:%M} UTC. Wait for it, or stop it with Ctrl-C there."
        )
    if seen is not None and resume:
        configs = asked.pinned(seen.until)
        if seen.status != "completed":
            claim = sweeps.take_over(seen)
            sweeps.reopen(claim, wanted(configs), retry_failed=retry_failed)
            return Opened(seen, configs, claim)
        hashes = {row.market: row.task_hash for row in sweeps.markets(seen.id)}
        if hashes == {name: task_hash(config) for name, config in configs.items()}:
            return Opened(seen, configs, None)
    elif seen is not None and seen.status == "running":
        sweeps.abandon(seen)
    return _begun(sweeps, asked, reuse=resume)


def _begun(sweeps: Sweeps, asked: Asked, *, reuse: bool) -> Opened:
    """Begin a sweep whose history ends with the last whole UTC day.

    A candle that is still open today would be another one tomorrow.
    """
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    configs = asked.pinned(until)
    first = next(iter(configs.values()))
    claim = sweeps.begin(
        key=asked.key,
        strategy=first.strategy.name,
        optimizer=first.optimizer.name,
        config={"markets": list(configs), "overrides": asked.deciding},
        since=until - HISTORY,
        until=until,
        engine_version=f"{__version__} {engine_hash()}",
        wanted=wanted(configs),
        reuse=reuse,
    )
    begun = sweeps.newest(asked.key)
    assert begun is not None, "it was stored a moment ago"
    return Opened(begun, configs, claim)
