"""Say why a stored configuration is in its stage and what would move it (docs/monitoring.md).

Exit status: 0 done, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cli import command
from pipeline.cli.arguments import only, read_command_line
from pipeline.cli.console import Console
from pipeline.config import StorageOnly
from pipeline.results.jsonable import dumps
from pipeline.review.explanation import Explanation, explain
from pipeline.review.stored import find, opened, searched_grid
from pipeline.validation.wording import SYNTHETIC


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain one configuration and return the exit status."""
    keys = "storage=..., storage.url=..."
    given = read_command_line("explain", "ID", keys, __doc__, arguments)
    with opened(given.overrides, StorageOnly) as (_, repository):
        configuration = find(repository, only(given.ids))
        grid_size = searched_grid(repository, configuration)
        explanation = explain(
            configuration, repository.configurations.events(configuration.id), grid_size
        )
    console = Console()
    if given.json:
        console.print(dumps(explanation.to_dict()))
    else:
        _show(console, explanation)
    return command.DONE


def _show(console: Console, explanation: Explanation) -> None:
    if explanation.synthetic:
        console.print(SYNTHETIC)
    console.print(f"{explanation.configuration_id}, {explanation.market}")
    console.print(explanation.verdict)
    _list(console, "Gates", [gate.sentence for gate in explanation.gates])
    _list(console, "What would move it", explanation.moves)
    _list(console, "What the numbers do not prove", explanation.caveats)


def _list(console: Console, title: str, sentences: Sequence[str]) -> None:
    console.print(f"\n{title}")
    for sentence in sentences:
        console.print(f"- {sentence}")


if __name__ == "__main__":
    command.run_plain(main)
