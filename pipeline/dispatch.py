"""Run the queued jobs of a database: `python -m pipeline.dispatch [storage.url=...]`.

One process a database. A server starts it where none lives (`queue.supervisor`); it goes on when
the server ends, and ends when it has had nothing to do for a while, or by SIGTERM or SIGHUP, when
what runs is queued again.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.config import DispatchConfig, load

#: Times as long as its workers it waits for the database: it writes down why they gave up.
OUTLASTS = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    usage = "python -m pipeline.dispatch [KEY=VALUE ...]"
    parser = Parser("dispatch", usage, __doc__, DispatchConfig, "dispatch")
    config = load(parser.read(arguments).words, DispatchConfig, "dispatch")

    from pipeline.executors.background import tell
    from pipeline.queue.dispatcher import Dispatcher
    from pipeline.results.artifacts.artifact_set import check_root
    from pipeline.results.database import open_database

    with open_database(config.storage.url, OUTLASTS * config.storage.patience, tell) as repository:
        check_root(Path(config.storage.artifacts))
        if repository.dispatcher.claim():
            Dispatcher(repository, config).run()
    return command.DONE


if __name__ == "__main__":
    command.run_plain(main)
