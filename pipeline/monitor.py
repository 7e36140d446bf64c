"""Re-evaluate stored configurations on candles that came after (docs/monitoring.md).

Without an id all are looked at, each with the candles that its own training's source has by now.
Exit status: 0 done, 1 an exchange did not answer, 2 a mistake in what was asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from gpu_engine.records import Candles
from pipeline.cli import command
from pipeline.cli.arguments import read_command_line
from pipeline.cli.console import Console
from pipeline.config import FileData, SimulationConfig, StoredConfig
from pipeline.errors import UserError
from pipeline.market_data.timeframe import utc
from pipeline.monitoring import Monitored, joined, last_day, monitored
from pipeline.results.jobs import Repository, StageMovedError
from pipeline.results.jsonable import dumps
from pipeline.results.records import Configuration, ConfigurationEvent, utc_now
from pipeline.results.rejudging import MONITOR
from pipeline.stored import (
    Data,
    find,
    load_again,
    open_ended,
    opened,
    pinned,
    read_record,
    simulation_config,
    utc_date,
)

Note = Callable[[str], None]


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
    status: int = command.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Monitor the configurations asked for, print what came of it, and return the exit status."""
    keys = "storage=..., storage.url=..., storage.artifacts=...; data=file data.path=FILE"
    given = read_command_line("monitor", "[ID ...]", keys, __doc__, arguments)
    console = Console()
    with opened(given.overrides, StoredConfig) as (config, repository):
        wanted = _wanted(repository, given.ids, config.data)
        outcomes = []
        with console.progress("configurations", len(wanted)) as advance:
            for configuration in wanted:
                outcomes.append(_monitor(config, repository, configuration, console.note))
                advance(1)
    if given.json:
        console.print(dumps({"configurations": [asdict(outcome) for outcome in outcomes]}))
    else:
        _show(console, outcomes)
    # Of all that are stored some may be out of reach; one that was named must not be.
    statuses = [o.status for o in outcomes if given.ids or o.status != command.MISTAKE]
    return max(statuses, default=command.DONE)


def _wanted(repository: Repository, ids: Sequence[str], data: Data | None) -> list[Configuration]:
    """Find the configurations before any is looked at; all of them when none is named."""
    if not ids:
        if data is not None:
            raise UserError(
                "data=... holds the candles of one market: name the configurations it is for."
            )
        return repository.configurations(limit=None)
    found = [find(repository, one) for one in dict.fromkeys(ids)]
    markets = sorted({f"{c.exchange}:{c.pair}:{c.timeframe}" for c in found})
    if data is not None and len(markets) > 1:
        raise UserError(
            f"data=... holds the candles of one market, the configurations are of"
            f" {', '.join(markets)}: monitor one market at a time."
        )
    return found


def _monitor(
    config: StoredConfig, repository: Repository, configuration: Configuration, note: Note
) -> Outcome:
    """Look at one configuration and record what is found, or say why it was skipped."""
    stage = configuration.lifecycle_stage
    skipped = partial(Outcome, configuration.id, configuration.synthetic, stage, stage)
    try:
        result = _evaluated(config, repository, configuration, note)
        event = ConfigurationEvent(
            id=uuid.uuid4().hex,
            configuration_id=configuration.id,
            at=utc_now(),
            kind=MONITOR,
            from_stage=stage,
            to_stage=result.found.stage,
            reason=result.found.reason,
            figures=result.figures(),
        )
        recorded = repository.record_event(event, result.document)
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


def _evaluated(
    config: StoredConfig, repository: Repository, configuration: Configuration, note: Note
) -> Monitored:
    """Evaluate on the newer candles, or raise `_NothingNewError`."""
    if configuration.synthetic and config.data is None:
        raise _NothingNewError("generated candles: nothing comes after them")
    record = read_record(config.storage, configuration)
    simulation = simulation_config(repository, configuration, config.data)
    candles = _candles(repository, configuration, simulation, config.data is not None, note)
    result = monitored(configuration, record, simulation, candles)
    if result is None:
        raise _NothingNewError(
            f"no full UTC day after {utc_date(last_day(record))}; the candles end with"
            f" {utc(int(candles.timestamp[-1]))}"
        )
    return result


def _candles(
    repository: Repository,
    configuration: Configuration,
    simulation: SimulationConfig,
    elsewhere: bool,
    note: Note,
) -> Candles:
    """Load the newer candles, with the trained ones in front of those from ``elsewhere``."""
    if not elsewhere:
        data = open_ended(simulation.data, configuration)
        return load_again(simulation, data, configuration, note, named=False).candles
    later = load_again(simulation, simulation.data, configuration, note, named=True).candles
    own = simulation_config(repository, configuration)
    # A file may hold some of the newer days; an exchange is not asked for what a file was named.
    before = open_ended if isinstance(own.data, FileData) else pinned
    try:
        data = before(own.data, configuration)
        earlier = load_again(own, data, configuration, note, named=True).candles
    except UserError as error:
        note(f"{error} Indicators begin with the newer candles.")
        return later
    return joined(earlier, later, simulation)


def _show(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Show one line a configuration that was looked at, then why the others were not."""
    looked = [o for o in outcomes if o.figures is not None]
    if any(o.synthetic for o in looked):
        console.print(
            "SYNTHETIC marks what came of generated candles: it says nothing of a market."
        )
    for outcome in looked:
        figures = outcome.figures or {}
        new, lifetime = figures["new"], figures["lifetime"]
        mark = "SYNTHETIC " if outcome.synthetic else ""
        moved = "" if outcome.from_stage == outcome.to_stage else f"{outcome.from_stage} -> "
        console.print(f"{outcome.id}: {mark}{moved}{outcome.to_stage}")
        console.print(
            f"  {figures['first_day']} to {figures['last_day']}: {new['sample_size']} trades, net"
            f" profit {new['net_profit']:+.2%}, Sharpe ratio {new['sharpe_ratio']:.2f}; lifetime:"
            f" {lifetime['sample_size']} trades, {lifetime['net_profit']:+.2%},"
            f" {lifetime['sharpe_ratio']:.2f}"
        )
        console.print(f"  {outcome.reason}")
        if not outcome.recorded:
            console.print("  These candles were looked at before: nothing was recorded again.")
    for outcome in outcomes:
        if outcome.skipped is not None:
            console.print(f"{outcome.id}: skipped: {outcome.skipped}")
    moves = sum(o.from_stage != o.to_stage for o in looked)
    console.print(
        f"{len(looked)} of {len(outcomes)} configurations looked at, {moves} moved to another"
        " stage."
    )


if __name__ == "__main__":
    command.run_plain(main)
