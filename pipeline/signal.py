"""Say what configurations hold now and what they do at the next open (docs/live.md).

Without an id all that are switched on are looked at, each on the newest closed candles.
Exit status: 0 done, also where nothing is switched on, 1 of one nothing can be said, 2 a mistake in
what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import stored_parser
from pipeline.cli.console import Console
from pipeline.config import StoredConfig, load
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.results.database import Repository
    from pipeline.results.document.signal_models import Signal
    from pipeline.results.records import Configuration


_NOTHING = (
    "No configuration is switched on, so there is no signal. Name one (scripts/signal ID), or"
    " switch one on in the Studio or by POST /api/configurations/ID/activate."
)
_COLUMNS = ("configuration", "market", "stage", "candle closed (UTC)", "holds", "next open", "size")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the signals of configurations, and return the exit status."""
    parser = stored_parser("signal", "[ID ...]", __doc__, StoredConfig)
    parser.add_argument("--as-of", metavar="TIME", help="as it was then, UTC: 2023-06-01T12:00")
    line = parser.read(arguments)
    as_of = _time(line.options.as_of)
    config = load(line.overrides, StoredConfig, "stored")

    from pipeline.live.signal_batch import signals
    from pipeline.results.jsonable import dumps
    from pipeline.review.stored import open_existing

    console = Console()
    with open_existing(config) as repository:
        configurations, unread = _configurations(repository, line.ids, config)
        for sentence in unread:
            console.note(sentence)
        made = list(signals(config, repository, configurations, as_of, console.note))
    if line.options.json:
        console.print(dumps({"signals": [signal.to_dict() for signal in made]}))
    elif made:
        _show(console, made)
    if not configurations and not unread:
        console.note(_NOTHING)
    refused = any(signal.refusal is not None for signal in made)
    return command.FAILED if refused or unread else command.DONE


def _time(text: str | None) -> datetime | None:
    """Read the time of ``--as-of``; one without a zone is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f"--as-of must be a time in UTC such as 2023-06-01T12:00; given: {text}."
        ) from None


def _configurations(
    repository: Repository, ids: Sequence[str], config: StoredConfig
) -> tuple[list[Configuration], list[str]]:
    """Find the configurations that are named, or all that are switched on.

    Of the latter some may be unreadable: the sentences say which, and why.
    """
    from pipeline.review.stored import find_named

    if ids or config.data is not None:
        return find_named(repository, ids, config.data), []
    active = repository.checks.active()
    found = [one.configuration for one in active if one.configuration is not None]
    unread = [
        f"{one.id} is switched on and cannot be read: {'; '.join(one.objections)}."
        for one in active
        if one.configuration is None
    ]
    return found, unread


def _show(console: Console, made: Sequence[Signal]) -> None:
    """Show a table of what is held and done, then each in words."""
    from pipeline.live.signal import sentence
    from pipeline.validation.wording import marked, whole_percent

    rows = [
        (
            signal.id,
            f"{signal.market.exchange}:{signal.market.pair}:{signal.market.timeframe}",
            marked(signal.stage, signal.synthetic),
            "-" if signal.candle is None else f"{signal.candle.closed:%Y-%m-%d %H:%M}",
            "-" if signal.position is None else signal.position.side,
            signal.action or "refused",
            whole_percent(signal.size),
        )
        for signal in made
    ]
    console.table("Signals", _COLUMNS, rows)
    for signal in made:
        console.print(f"{signal.id}: {sentence(signal)}")
    if any(signal.size == 0.0 and signal.refusal is None for signal in made):
        console.print("Size 0 %: on paper alone; its stage allows no money (docs/live.md).")


if __name__ == "__main__":
    command.run_plain(main)
