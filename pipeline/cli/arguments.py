"""Read the command line of a command that is no training: ids, KEY=VALUE words, options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cli.console import printable
from pipeline.cli.help import explain_keys
from pipeline.config import Section, catalogue
from pipeline.errors import UserError

#: Stands for the id of the configuration that was stored last.
LATEST = "latest"


class Arguments(NamedTuple):
    """A command line: its words, and the values of its options."""

    words: list[str]
    options: argparse.Namespace

    @property
    def ids(self) -> list[str]:
        """The words that are no KEY=VALUE."""
        return [word for word in self.words if "=" not in word]

    @property
    def overrides(self) -> list[str]:
        """The words for Hydra: KEY=VALUE."""
        return [word for word in self.words if "=" in word]


def read_listing(
    command: str, usage: str, description: str | None, arguments: Sequence[str] | None
) -> Arguments:
    """Read the command line of a command that lists: words, KEY=VALUE words and ``--json``."""
    parser = argparse.ArgumentParser(
        prog=command,
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    return Arguments(options.words, options)


class Parser(argparse.ArgumentParser):
    """The command line of a command, whose help ends with the keys that KEY=VALUE may give.

    ``description`` is the docstring of its module, ``config_name`` the file in `conf` to start
    from, without ``.yaml``.
    """

    def __init__(
        self,
        command: str,
        usage: str,
        description: str | None,
        schema: type[Section],
        config_name: str,
    ) -> None:
        super().__init__(
            prog=command,
            usage=usage,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("words", nargs="*", help=argparse.SUPPRESS)
        self.add_argument("--config-dir", metavar="DIR", help="a folder of settings of your own")
        self._schema, self._config_name = schema, config_name

    def format_help(self) -> str:
        """Return the help, with a line for every key."""
        return f"{super().format_help()}\n{explain_keys(self._schema, self._config_name)}\n"

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(printable(message), file)

    def read(self, command_line: Sequence[str] | None) -> Arguments:
        """Read a command line; None is the process's own.

        ``--config-dir DIR`` becomes the word by which Hydra looks there for choices too.

        Raises
        ------
        UserError
            When DIR is no folder, or a key is of a part that has no choice yet (``data: null``).
        """
        options = self.parse_intermixed_args(command_line)
        look_in_own_folder(options.config_dir)
        chosen = catalogue.defaults(self._config_name, options.words)
        for word in options.words:
            part, *names = word.partition("=")[0].split(".")
            if names and part in self._schema.model_fields and chosen.get(part, part) is None:
                words = catalogue.words(part)
                having = [f"{part}={w}" for w in words if names[0] in catalogue.read(part, w)]
                raise UserError(
                    f"{word} sets a key of {part}, which is not chosen: say"
                    f" {' or '.join(having) or f'{part}=NAME'} too."
                )
        return Arguments([*options.words, *catalogue.search_path()], options)


def look_in_own_folder(name: str | None) -> None:
    """Look for choices in the folder that ``--config-dir`` names too; None: in no other.

    Raises
    ------
    UserError
        When it is no folder.
    """
    catalogue.look_in(None)
    if name is None:
        return
    folder = Path(name).resolve()
    if not folder.is_dir():
        raise UserError(f"--config-dir={name} is no folder.")
    catalogue.look_in(folder)


def stored_parser(command: str, ids: str, description: str | None, schema: type[Section]) -> Parser:
    """Return the parser of a command on stored configurations, which prints JSON when asked."""
    usage = f"scripts/{command} {ids} [KEY=VALUE ...] [--json]"
    parser = Parser(command, usage, description, schema, "stored")
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
