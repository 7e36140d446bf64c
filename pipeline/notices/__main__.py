"""Say what was told to whom, and test the receivers: scripts/notices (docs/notifications.md).

Without an option it counts the messages of each receiver. Exit status: 0 done, 1 a receiver did not
take the test message, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import APPRISE_VARIABLE, WEBHOOK_VARIABLE, NotifyConfig, OutboxConfig, load
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.results.rows.outbox import TargetState

USAGE = "scripts/notices [--test | --secret] [KEY=VALUE ...] [--json]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = Parser("notices", USAGE, __doc__, OutboxConfig, "notices")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--test", action="store_true", help="send one test message to each receiver")
    what.add_argument("--secret", action="store_true", help="print a new secret for a webhook")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    line = parser.read(arguments)
    config = load(line.words, OutboxConfig, "notices")
    if line.options.secret:
        from pipeline.notices.webhook import new_secret

        Console().print(new_secret())
        return command.DONE
    if line.options.test:
        return _test(Console(), config.notify, line.options.json)
    return _show(Console(), config, line.options.json)


def _test(console: Console, config: NotifyConfig, as_json: bool) -> int:
    """Send one message to each receiver, past the database, and say what happened."""
    from pipeline.notices.message import trial_message
    from pipeline.notices.sender import attempt
    from pipeline.notices.targets import targets_of
    from pipeline.results.jsonable import dumps

    targets = targets_of(config)
    if not targets:
        where = "the environment" if config.secrets is None else f"notify.secrets={config.secrets}"
        raise UserError(
            f"No receiver is named in {where}: set {WEBHOOK_VARIABLE} or {APPRISE_VARIABLE}"
            " (docs/notifications.md)."
        )
    body = trial_message().body()
    errors = {target.name: attempt(target, body).error for target in targets}
    if as_json:
        console.print(dumps({"id": body["id"], "errors": errors}))
    else:
        for name, error in errors.items():
            console.print(f"{name}: {'delivered' if error is None else f'NOT delivered: {error}'}")
    return command.FAILED if any(errors.values()) else command.DONE


def _show(console: Console, config: OutboxConfig, as_json: bool) -> int:
    from pipeline.results.jsonable import dumps
    from pipeline.review.stored import open_existing

    with open_existing(config) as repository:
        states = repository.outbox.states()
    if as_json:
        console.print(dumps({"receivers": [asdict(state) for state in states]}))
        return command.DONE
    if not states:
        console.print(f"Nothing was told of {config.storage.shown_url} yet: no receiver began.")
    for state in states:
        console.print(_words(state))
    return command.DONE


def _words(state: TargetState) -> str:
    counts = f"{state.delivered} delivered, {state.waiting} waiting, {state.given_up} given up"
    if not state.failures:
        return f"{state.target}: {counts}"
    again = f"{state.due_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{state.target}: {counts}; failing ({state.error}), asked again {again}"


if __name__ == "__main__":
    command.run_plain(main)
