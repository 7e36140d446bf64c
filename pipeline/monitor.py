"""Re-evaluate stored configurations on candles that came after (docs/monitoring.md).

Without an id all are looked at, each with the candles that its own training's source has by now.
Exit status: 0 done, 1 an exchange did not answer, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import stored_parser
from pipeline.cli.console import Console
from pipeline.config import StoredConfig, load
from pipeline.validation.wording import marked, percent

if TYPE_CHECKING:
    from pipeline.results.damage import DamagedRowError
    from pipeline.results.database import Repository
    from pipeline.results.records import Configuration
    from pipeline.review.monitoring import Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Monitor configurations, print what came of it, and return the exit status."""
    line = stored_parser("monitor", "[ID ...]", __doc__, StoredConfig).read(arguments)
    config = load(line.overrides, StoredConfig, "stored")

    from pipeline.results.jsonable import dumps
    from pipeline.review.monitoring import Outcome, monitor_configuration
    from pipeline.review.stored import open_existing

    console = Console()
    with open_existing(config) as repository:
        read_only = repository.read_only
        if read_only:
            console.note(
                f"{config.storage.shown_url} may only be read here: figures are shown, nothing is"
                " recorded, and no stage changes."
            )
        configurations, damaged = _configurations(repository, line.ids, config)
        outcomes, away = [], set[str]()  # exchanges
        with console.progress("configurations", len(configurations)) as advance:
            for configuration in configurations:
                outcomes.append(
                    monitor_configuration(config, repository, configuration, console.note, away)
                )
                advance(1)
        outcomes += [
            Outcome(row.identity, False, "", "", skipped=str(row), status=row.status)
            for row in damaged
        ]
    if line.options.json:
        console.print(dumps({"configurations": [asdict(outcome) for outcome in outcomes]}))
    else:
        _show(console, outcomes, read_only)
    # Of all that are stored some may be out of reach; one that was named must not be.
    statuses = [o.status for o in outcomes if line.ids or o.status != command.MISTAKE]
    return max(statuses, default=command.DONE)


def _configurations(
    repository: Repository, ids: Sequence[str], config: StoredConfig
) -> tuple[list[Configuration], Sequence[DamagedRowError]]:
    """Find the configurations before any is looked at; all of them when none is named.

    Of all, those whose rows cannot be read are returned beside the others.
    """
    from pipeline.review.stored import find_named

    if ids or config.data is not None:
        return find_named(repository, ids, config.data), ()
    rows = repository.configurations.find(limit=None)
    return rows, rows.damaged


def _show(console: Console, outcomes: Sequence[Outcome], read_only: bool) -> None:
    """Show one line a configuration that was looked at, then why the others were not."""
    looked = [o for o in outcomes if o.figures is not None]
    if any(o.synthetic for o in looked):
        console.print(
            "SYNTHETIC marks what came of generated candles: it says nothing of a market."
        )
    for outcome in looked:
        figures = outcome.figures or {}
        new, lifetime = figures["new"], figures["lifetime"]
        moved = "" if outcome.from_stage == outcome.to_stage else f"{outcome.from_stage} -> "
        stages = marked(f"{moved}{outcome.to_stage}", outcome.synthetic)
        console.print(f"{outcome.id}: {stages}")
        console.print(
            f"  {figures['first_day']} to {figures['last_day']}: {new['sample_size']} trades,"
            f" net profit {percent(new['net_profit'])}, Sharpe ratio {new['sharpe_ratio']:.2f};"
            f" lifetime: {lifetime['sample_size']} trades, {percent(lifetime['net_profit'])},"
            f" {lifetime['sharpe_ratio']:.2f}"
        )
        console.print(f"  {outcome.reason}")
        if "reached" in figures:
            console.print(
                f"  An earlier look reaches further, to {figures['reached']}: that one is shown."
            )
        if not outcome.recorded and not read_only:
            console.print("  These candles were looked at before: nothing was recorded again.")
    for outcome in outcomes:
        if outcome.skipped is not None:
            console.print(f"{outcome.id}: skipped: {outcome.skipped}")
    if not outcomes:
        console.print("No configuration is stored in this database: train a market first.")
        return
    moves = sum(o.from_stage != o.to_stage for o in looked)
    moved = "would move" if read_only else "moved"
    console.print(
        f"{len(looked)} of {len(outcomes)} configurations looked at, {moves} {moved} to another"
        " stage."
    )


if __name__ == "__main__":
    command.run_plain(main)
