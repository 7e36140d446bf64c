"""Read the command line of a command on stored configurations: ids, KEY=VALUE words, --json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import UserError

#: Stands for the id of the configuration that was stored last.
LATEST = "latest"


class Given(NamedTuple):
    """A command line: configuration ids, KEY=VALUE words for Hydra, and whether to print JSON."""

    ids: list[str]
    overrides: list[str]
    json: bool


def read_command_line(
    command: str, ids: str, keys: str, description: str | None, arguments: Sequence[str] | None
) -> Given:
    """Read the command line of ``python -m pipeline.COMMAND``.

    Parameters
    ----------
    ids : str
        How its usage shows the ids.
    keys : str
        What KEY=VALUE words may say.
    """
    usage = f"python -m pipeline.{command} {ids} [KEY=VALUE ...] [--json]"
    parser = argparse.ArgumentParser(
        prog=command,
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="ID", help=f"of a configuration; '{LATEST}' is the newest one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = f"KEY=VALUE: {keys}"
    given = parser.parse_intermixed_args(arguments)
    ids_given = [word for word in given.words if "=" not in word]
    return Given(ids_given, [word for word in given.words if "=" in word], given.json)


def only(ids: Sequence[str]) -> str:
    """Return the one id that a command is about.

    Raises
    ------
    UserError
        When there is none or more than one.
    """
    if len(ids) != 1:
        raise UserError(
            f"This takes the id of one configuration, or '{LATEST}'; given:"
            f" {' '.join(ids) or 'none'}."
        )
    return ids[0]
