"""Say why a stored configuration is in its stage and what would move it (docs/monitoring.md).

Exit status: 0 done, 2 a mistake in what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import single_id, stored_parser
from pipeline.cli.console import Console
from pipeline.config import StorageOnly, load
from pipeline.validation.wording import SYNTHETIC

if TYPE_CHECKING:
    from pipeline.review.explanation import Explanation


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain one configuration and return the exit status."""
    line = stored_parser("explain", "ID", __doc__, StorageOnly).read(arguments)
    config = load(line.overrides, StorageOnly, "stored")
    configuration_id = single_id(line.ids)

    from pipeline.results.jsonable import dumps
    from pipeline.review.integrity import explain_stored
    from pipeline.review.stored import find, open_existing

    with open_existing(config) as repository:
        configuration = find(repository, configuration_id)
        explanation = explain_stored(repository, config.storage, configuration)
    console = Console()
    if line.options.json:
        console.print(dumps(explanation.to_dict()))
    else:
        _show(console, explanation)
    return command.DONE


def _show(console: Console, explanation: Explanation) -> None:
    if explanation.synthetic:
        console.print(SYNTHETIC)
    console.print(f"{explanation.configuration_id}, {explanation.market}")
    console.print(explanation.verdict)
    console.print(f"Next: {explanation.next_step.sentence}")
    _list(console, "Gates", [gate.sentence for gate in explanation.gates])
    _list(console, "What would move it", explanation.moves)
    _list(console, "What came out of sample", explanation.facts)
    if explanation.since:
        _list(console, "What came since", explanation.since)
    _list(console, "What the numbers do not prove", explanation.caveats)


def _list(console: Console, title: str, sentences: Sequence[str]) -> None:
    console.print()
    console.print(title)
    for sentence in sentences:
        console.print(f"- {sentence}")


if __name__ == "__main__":
    command.run_plain(main)
