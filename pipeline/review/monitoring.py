"""Evaluate a stored configuration on candles newer than its own (validation rules §6).

The new days are full UTC days, the first being the one after the last that its record holds. Its
positions are flat at that boundary and circuit breakers start anew, as at every other; indicators
use the candles before it. When the newer candles begin after the trained ones, those are put in
front: a hole between both is filled as any hole is (candles rules §1), and its days do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from gpu_engine import Candles, Funding, Window
from pipeline.config import CcxtData, FileData, SimulationConfig, StoredConfig
from pipeline.errors import Note, StageMovedError, UnreachableError, UserError
from pipeline.market_data.timeframe import utc
from pipeline.results.artifacts.artifact_set import ArtifactSet
from pipeline.results.database import Repository
from pipeline.results.document.document import after_monitoring
from pipeline.results.jsonable import jsonable
from pipeline.results.records import MONITOR, Configuration, ConfigurationEvent, furthest_look
from pipeline.review import stored
from pipeline.validation.decay import Period, Reassessment, profit_per_day, reassess
from pipeline.validation.sequential import LiveBand, live_band
from pipeline.validation.windows import whole_days

#: Median log difference of two sources' prices of one market at the same time: exchanges differ
#: by less than a percent, other coins by many.
SAME_MARKET = 0.02


@dataclass(frozen=True, eq=False)
class MonitoringResult:
    """A configuration on its new days ``first_day`` to ``last_day`` (since the epoch, inclusive).

    ``data_hash`` is of all candles that the result depends on. ``band`` is where the new days lie
    in what the discovery promised (validation rules §8). ``reached`` is the last day (ISO 8601) of
    an earlier look that reaches further; None where this one does.
    """

    first_day: int
    last_day: int
    data_hash: str
    reassessment: Reassessment
    band: LiveBand
    discovery_profit_per_day: float
    new_profit_per_day: float
    reached: str | None = None

    def after(self, events: Sequence[ConfigurationEvent]) -> Self:
        """Return this result beside the looks that the audit trail has."""
        look = furthest_look(events)
        reached = "" if look is None else str(look.figures.get("last_day", ""))
        further = reached > stored.utc_date(self.last_day)
        return replace(self, reached=reached if further else None)

    def figures(self) -> dict[str, Any]:
        """Return what an event keeps, as JSON."""
        figures: dict[str, Any] = jsonable(
            {
                "data_hash": self.data_hash,
                "first_day": stored.utc_date(self.first_day),
                "last_day": stored.utc_date(self.last_day),
                "new": self.reassessment.new,
                "lifetime": self.reassessment.lifetime,
                "net_profit_per_day": {
                    "discovery": self.discovery_profit_per_day,
                    "new": self.new_profit_per_day,
                },
                "gates": [gate.to_dict() for gate in self.reassessment.gates],
                "live_band": self.band.figures(),
            }
        )
        return figures if self.reached is None else figures | {"reached": self.reached}

    def event(self, configuration: Configuration) -> ConfigurationEvent:
        """Return the event that it is in the audit trail of its configuration."""
        return ConfigurationEvent(
            configuration_id=configuration.id,
            kind=MONITOR,
            from_stage=configuration.lifecycle_stage,
            to_stage=self.reassessment.stage,
            reason=self.reassessment.reason,
            figures=self.figures(),
        )

    def document(self, earlier: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration's ``earlier`` document as it is from now on.

        Its health stays that of the look that reaches furthest.
        """
        new = self.reassessment
        health = None if self.reached else (new.death_signals, new.degradation)
        return after_monitoring(earlier, new.stage, health)


def evaluate_new_days(
    configuration: Configuration,
    record: ArtifactSet,
    config: SimulationConfig,
    candles: Candles,
    seed: int,
    *,
    daily: bool = False,
) -> MonitoringResult | None:
    """Evaluate a configuration on the new days of ``candles``; None when there is no full one.

    Parameters
    ----------
    record : ArtifactSet
        Of its discovery.
    config : SimulationConfig
        The costs and limits of its training.
    candles : Candles
        With the new days, and as much before them as there is.
    seed : int
        Of its training: the band draws from it.
    daily : bool
        Whether somebody looks every day (`pipeline.validation.decay.reassess`).
    """
    window = new_days(candles, last_day(record))
    if window is None:
        return None
    used = candles.cut(0, window.end)
    fraction = config.risk.exposure
    evaluator = stored.evaluator_of(config, used, configuration.parameters)
    point = evaluator.space.point(configuration.parameters)
    trades = evaluator.trades(point, window)
    discovery = Period(record.out_of_sample.returns, fraction * record.trades["ret"])
    new = Period(evaluator.marked_returns(trades, window), fraction * trades["ret"])
    band = live_band(discovery.daily, new.daily, seed)
    return MonitoringResult(
        first_day=int(used.day[window.start]),
        last_day=int(used.day[window.end - 1]),
        data_hash=used.sha256,
        reassessment=reassess(
            configuration.lifecycle_stage, discovery, new, band.test, daily=daily
        ),
        band=band,
        discovery_profit_per_day=profit_per_day(discovery.daily),
        new_profit_per_day=profit_per_day(new.daily),
    )


def last_day(record: ArtifactSet) -> int:
    """Last UTC day that a record holds, in sample or out of it, days since the epoch."""
    return int(max(record.in_sample.day[-1], record.out_of_sample.day[-1]))


def new_days(candles: Candles, last_known: int) -> Window | None:
    """Bars of the full UTC days after day ``last_known``; None when there is none.

    Days that hold nothing but filled candles right after ``last_known`` are a hole between two
    sources, not days without a trade: they are left out. So is a first day that the hole begins
    in, which was half lost with them.
    """
    days = whole_days(candles)
    if not days.count:
        return None
    first = int(candles.day[days.first_bar])
    start = max(last_known + 1 - first, 0)
    if start >= days.count:
        return None
    bars = days.window(start, days.count)
    filled = candles.filled[bars.start : bars.end].reshape(-1, days.per_day)
    hole = np.logical_and.reduce(filled, axis=1)
    if filled[0, -1] and hole[1:2].any():
        hole[0] = True
    kept = np.flatnonzero(~hole)
    return days.window(start + int(kept[0]), days.count) if len(kept) else None


def join_candles(earlier: Candles, later: Candles, config: SimulationConfig) -> Candles:
    """Put the candles before ``later`` in front of it; as it is when it needs none or cannot.

    Raises
    ------
    UserError
        When prices at the seam are further apart than any gap may be: another market's file.
    """
    step, limits = later.step_ms, config.data.quality
    bars = int(later.timestamp[0] - earlier.timestamp[0]) // step
    hole = bars - len(earlier)
    if limits.longest_gap_bars is not None and hole > limits.longest_gap_bars:
        return later
    _check_seam(earlier, later, bars, limits.largest_gap_jump)
    if bars <= 0:
        return later
    before = earlier.cut(0, bars)
    close = np.full(max(hole, 0), before.close[-1])
    volume, filled = np.zeros(len(close)), np.ones(len(close), np.bool_)
    return Candles(
        timestamp=np.concatenate((earlier.timestamp[:1] + step * np.arange(bars), later.timestamp)),
        open=np.concatenate((before.open, close, later.open)),
        high=np.concatenate((before.high, close, later.high)),
        low=np.concatenate((before.low, close, later.low)),
        close=np.concatenate((before.close, close, later.close)),
        volume=np.concatenate((before.volume, volume, later.volume)),
        filled=np.concatenate((before.filled, filled, later.filled)),
        step_ms=step,
        funding=_joined(before.funding, later.funding),
    )


def _joined(before: Funding | None, later: Funding | None) -> Funding | None:
    """Join what was paid before with what is paid later; of one time the later one counts."""
    if before is None or later is None:
        return later
    old = before.timestamp < (later.timestamp[0] if len(later.timestamp) else np.inf)
    return Funding(
        np.concatenate((before.timestamp[old], later.timestamp)),
        np.concatenate((before.rate[old], later.rate)),
    )


def _check_seam(earlier: Candles, later: Candles, bars: int, largest_jump: float | None) -> None:
    """Compare the prices that both have by their median, or those on either side of a hole.

    One price may agree by chance, and one bad candle may differ. ``bars`` is where ``later``
    begins, counted from the first bar of ``earlier``.
    """
    if -bars >= len(later):
        return
    if bars < len(earlier):
        old, new = earlier.close[max(bars, 0) :], later.close[max(-bars, 0) :]
        common = min(len(old), len(new))
        old, new = old[:common], new[:common]
        limit: float | None = SAME_MARKET
        where = f"over {common:,} common candles"
    else:
        old, new, limit = earlier.close[-1:], later.open[:1], largest_jump
        where = "across the hole between both, data.quality.largest_gap_jump,"
    apart = float(np.median(np.abs(np.log(new / old))))
    if limit is not None and apart > limit:
        at = utc(int(max(earlier.timestamp[0], later.timestamp[0])))
        raise UserError(
            f"The newer candles do not go on from the trained ones: from {at} their prices are"
            f" {apart:.3g} apart (log difference; {where} {limit:g} is allowed). Name the file of"
            " the same market."
        )


class _NothingNewError(Exception):
    """There are no newer candles to look at."""


@dataclass(frozen=True)
class Outcome:
    """What monitoring one configuration came to.

    ``skipped`` is why it was not looked at, or None; ``recorded`` is False when these candles had
    been looked at before. ``status`` is the exit status that this outcome alone would have.
    """

    id: str
    synthetic: bool
    from_stage: str
    to_stage: str
    reason: str | None = None
    figures: dict[str, Any] | None = None
    recorded: bool = False
    skipped: str | None = None
    status: int = 0


def monitor_configuration(
    config: StoredConfig,
    repository: Repository,
    configuration: Configuration,
    note: Note,
    away: set[str],
) -> Outcome:
    """Evaluate one configuration and record the result, or say why it was skipped.

    Nothing is recorded in a database that may only be read. ``away`` are the exchanges that gave no
    answer in this run: they are not asked again, and one that gives none now is added.
    """
    stage = configuration.lifecycle_stage
    skipped = partial(Outcome, configuration.id, configuration.synthetic, stage, stage)
    try:
        repository.checks.agreeing(configuration.id)
        result = _evaluate(config, repository, configuration, note, away)
        event = result.event(configuration)
        recorded = not repository.read_only and repository.configurations.record_event(
            event, result.document
        )
    except _NothingNewError as reason:
        return skipped(skipped=str(reason))
    except UserError as error:
        return skipped(skipped=str(error), status=error.status)
    except StageMovedError as error:
        return skipped(skipped=f"{error}: it was monitored or changed meanwhile; run this again.")
    return Outcome(
        id=configuration.id,
        synthetic=configuration.synthetic,
        from_stage=stage,
        to_stage=event.to_stage,
        reason=event.reason,
        figures=event.figures,
        recorded=recorded,
    )


def _evaluate(
    config: StoredConfig,
    repository: Repository,
    configuration: Configuration,
    note: Note,
    away: set[str],
) -> MonitoringResult:
    """Evaluate on the newer candles, or raise `_NothingNewError`."""
    if configuration.synthetic and config.data is None:
        raise _NothingNewError("generated candles: nothing comes after them")
    record = stored.read_record(config.storage, configuration, searched=False)
    simulation = stored.simulation_config(repository, configuration, config.data)
    candles = newest_candles(config, repository, configuration, note, away)
    seed = repository.jobs.read(configuration.job_id).seed
    result = evaluate_new_days(configuration, record, simulation, candles, seed)
    if result is None:
        raise _NothingNewError(
            f"no full UTC day after {stored.utc_date(last_day(record))}; the candles end with"
            f" {utc(int(candles.timestamp[-1]))}"
        )
    return result.after(repository.configurations.events(configuration.id))


def newest_candles(
    config: StoredConfig,
    repository: Repository,
    configuration: Configuration,
    note: Note,
    away: set[str],
) -> Candles:
    """Load all candles from the first trained one on, of the training's source or the one named.

    Raises
    ------
    UserError
        When they cannot be loaded.
    """
    simulation = stored.simulation_config(repository, configuration, config.data)
    if config.data is None:
        return _candles(configuration, simulation, note, away)
    return _candles_elsewhere(repository, configuration, simulation, note)


def _candles(
    configuration: Configuration, simulation: SimulationConfig, note: Note, away: set[str]
) -> Candles:
    """Load all candles from the first trained one on, unless their exchange is ``away``."""
    data = stored.open_ended(simulation.data, configuration)
    exchange = configuration.exchange if isinstance(data, CcxtData) else None
    if exchange in away:
        raise UnreachableError(
            f"{exchange} gave no usable answer before in this run, so it was not asked again. Run"
            " this again when it answers."
        )
    try:
        return stored.load_again(simulation, data, configuration, note, named=False).candles
    except UnreachableError:
        away |= {exchange} if exchange else set()
        raise


def _candles_elsewhere(
    repository: Repository, configuration: Configuration, simulation: SimulationConfig, note: Note
) -> Candles:
    """Load the candles that the command line names, with the trained ones in front."""
    later = stored.load_again(simulation, simulation.data, configuration, note, named=True).candles
    own = stored.simulation_config(repository, configuration)
    # A file may hold some of the newer days; an exchange is not asked for what a file was named.
    before = stored.open_ended if isinstance(own.data, FileData) else stored.pinned
    try:
        data = before(own.data, configuration)
        earlier = stored.load_again(own, data, configuration, note, named=True).candles
    except UserError as error:
        note(f"{error} Indicators begin with the newer candles.")
        return later
    return join_candles(earlier, later, simulation)
