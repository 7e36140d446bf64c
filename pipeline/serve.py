"""Serve the REST API and the Strategy Studio on one address (docs/api.md).

Jobs run elsewhere: the server may be ended and started again while they do. Exit status: 1
failed, 2 the user's mistake, 130 ended by Ctrl-C, 143 ended by SIGTERM or SIGHUP.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import TOKEN_VARIABLE, ServeConfig, StorageConfig, load
from pipeline.errors import DatabaseGoneError, ReadOnlyError, UserError, how_to_install
from pipeline.web.api.access import Security

if TYPE_CHECKING:
    from pipeline.results.database import Repository

ENDING = "Ctrl-C ends it; jobs go on"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = Parser("serve", "scripts/serve [KEY=VALUE ...]", __doc__, ServeConfig, "serve")
    config = load(parser.read(arguments).words, ServeConfig, "serve")
    security = Security(config.host, token(config.token_file))
    serve(Console(), config, security)
    return command.DONE


def serve(console: Console, config: ServeConfig, security: Security) -> None:
    """Serve until told to end."""
    if missing := [name for name in ("fastapi", "uvicorn", "nicegui") if find_spec(name) is None]:
        raise UserError(
            f"The server needs {', '.join(missing)}: add what is missing by"
            f" {how_to_install('studio')}"
        )

    from pipeline.notices.sender import sending
    from pipeline.queue.supervisor import DailyChecks, Supervisor

    repository, read_only = _opened(config.storage, console)
    if read_only is not None:
        console.note(read_only)
    listening = bound(config.host, config.port)
    try:
        with ExitStack() as beside:
            supervisor = None
            if not read_only:
                supervisor = beside.enter_context(
                    Supervisor(repository, config.storage, config.concurrent, console.note)
                )
                beside.enter_context(DailyChecks(repository, config.storage, console.note))
                beside.enter_context(sending(repository, config.notify, console.note))
            # What answers takes seconds to import, in which the dispatcher starts.
            from pipeline.web.connections import Bounds
            from pipeline.web.server import application, server_of

            app = application(repository, config, security, supervisor, read_only)
            address = _address(config.host, listening)
            bounds = Bounds(a_peer=config.connections_a_peer)
            said = f"Serving on {address} ({ENDING})"
            if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # Uvicorn does not know it
                signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
            server_of(app, lambda: console.print(said), bounds).run([listening])
    except KeyboardInterrupt:
        if repository.is_gone:  # the supervisor has noticed it
            raise DatabaseGoneError(
                f"The database {config.storage.shown_url} was deleted, moved or replaced, so this"
                " server has ended. Put the file back, and start the server again."
            ) from None
        raise
    finally:
        listening.close()
        repository.close()


def _opened(storage: StorageConfig, console: Console) -> tuple[Repository, str | None]:
    """Open the database; where it or the artifacts may only be read, for reading, and say why."""
    from pipeline.results.artifacts.artifact_set import check_root
    from pipeline.results.database import open_database

    read_only = None
    try:
        repository = open_database(storage.url, storage.patience, console.note)
        check_root(Path(storage.artifacts))
    except ReadOnlyError as error:
        repository = open_database(storage.url, storage.patience, console.note, read_only=True)
        read_only = (
            f"This server only reads ({error.reason}): what is stored is shown, and nothing is"
            " started, cancelled, activated or recorded."
        )
    repository.patience.limit = 0.0  # a request does not wait
    return repository, read_only


def _address(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def token(file: str | None) -> str | None:
    """Return the API token from ``file`` or the environment; None where there is none.

    Raises
    ------
    UserError
        When the file cannot be read or is empty. The token is never repeated.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        text = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"token_file={file} cannot be read: {reason}.") from None
    if not text:
        raise UserError(f"token_file={file} is empty: put the token in it, on one line.")
    return text


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address.

    Raises
    ------
    UserError
        When it is taken or is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # two that start at once are both let bind; only one may listen
    except OSError as error:
        listening.close()
        raise UserError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with"
            " port=NUMBER, or port=0 for any that is free."
        ) from None
    return listening


if __name__ == "__main__":
    command.run_plain(main)
