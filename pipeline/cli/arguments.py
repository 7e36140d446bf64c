"""Read the command line of a command that is no training: ids, KEY=VALUE words, options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.cli.help import explain_keys
from pipeline.config import Section
from pipeline.errors import UserError

#: Stands for the id of the configuration that was stored last.
LATEST = "latest"


class Arguments(NamedTuple):
    """A command line: ids, KEY=VALUE words for Hydra, and the values of its options."""

    ids: list[str]
    overrides: list[str]
    options: argparse.Namespace


class Parser(argparse.ArgumentParser):
    """The command line of a command, whose help ends with the keys of its configuration.

    Parameters
    ----------
    program : str
        How the command is called: ``scripts/sweep``.
    usage : str
        What follows.
    description : str or None
        The docstring of its module.
    schema : type of Section or None
        What its KEY=VALUE words come to; None where it takes none.
    config_name : str
        The file in `conf` to start from, without ``.yaml``.
    """

    def __init__(
        self,
        program: str,
        usage: str,
        description: str | None,
        schema: type[Section] | None = None,
        config_name: str = "",
    ) -> None:
        super().__init__(
            prog=program.rpartition(".")[2].rpartition("/")[2],
            usage=f"{program} {usage}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._schema, self._config_name = schema, config_name

    def format_help(self) -> str:
        """Return the help, with a line for every key."""
        text = super().format_help()
        return (
            f"{text}\n{explain_keys(self._schema, self._config_name)}\n" if self._schema else text
        )

    def read(self, arguments: Sequence[str] | None) -> Arguments:
        """Read the command line, or ``arguments`` in its place."""
        if self._schema:
            self.add_argument("words", nargs="*", help=argparse.SUPPRESS)
        options = self.parse_intermixed_args(arguments)
        words = vars(options).pop("words", [])
        ids = [word for word in words if "=" not in word]
        return Arguments(ids, [word for word in words if "=" in word], options)


def stored_parser(command: str, ids: str, description: str | None, schema: type[Section]) -> Parser:
    """Return the parser of a command on stored configurations, which prints JSON when asked."""
    usage = f"{ids} [KEY=VALUE ...] [--json]"
    parser = Parser(f"scripts/{command}", usage, description, schema, "stored")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def single_id(ids: Sequence[str]) -> str:
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
