"""Trade on paper what is switched on, candle by candle, and keep its signals (docs/live.md).

With ids those configurations are followed too, whatever their stage. One process a database: Ctrl-C
ends it, and the next start goes on where it was. --once catches up and ends.
Exit status: 0 done, also where nothing is switched on, 1 another process has the role, or --once
found a ledger that is not that of a backtest, or a configuration that cannot be followed, 2 a
mistake in what was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import NOTIFY_VARIABLES, OutboxConfig, load
from pipeline.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; return the exit status."""
    usage = "scripts/paper [ID ...] [KEY=VALUE ...] [--once]"
    parser = Parser("paper", usage, __doc__, OutboxConfig, "notices")
    parser.add_argument("--once", action="store_true", help="book what there is by now, and end")
    line = parser.read(arguments)
    config = load(line.overrides, OutboxConfig, "notices")

    from pipeline.live.follower import Follower
    from pipeline.notices.sender import sending
    from pipeline.review.stored import find, open_existing

    console = Console()
    with open_existing(config) as repository:
        if repository.read_only:
            raise UserError(
                f"{config.storage.shown_url} may only be read here, and a ledger is written: run"
                " this where it may be written to."
            )
        ids = [find(repository, one).id for one in dict.fromkeys(line.ids)]
        if not repository.follower.claim():
            owner, _ = repository.follower.look()
            who = "another process" if owner is None else f"process {owner.pid} on {owner.host}"
            console.note(f"{who} follows the configurations of this database already.")
            return command.FAILED
        try:
            follower = Follower(repository, config.storage, ids, console.note)
            if line.options.once:
                follower.catch_up()
                console.note(follower.summary)
                findings = list(follower.findings())
                for sentence in findings:
                    console.note(sentence)
                if findings or follower.refused:
                    return command.FAILED
            else:
                console.note("Following what is switched on. Ctrl-C ends it.")
                with sending(repository, config.notify, console.note):
                    for name in NOTIFY_VARIABLES:  # own strategies run in this process
                        os.environ.pop(name, None)
                    follower.run(Event())
        finally:
            repository.follower.release()
    return command.DONE


if __name__ == "__main__":
    command.run_plain(main)
