"""Check a strategy: python -m pipeline.check STRATEGY [market=NAME] [KEY=VALUE ...].

STRATEGY is a word or the path of a Python file; the market is the demo unless another is named.
Looks for look-ahead at hundreds of bars, for results that do not repeat, for tables that break
their contract and for sides that are no mirror images where the class says so, and tells how often
the strategy trades at every value of its parameters (docs/look-ahead.md).

What the strategy prints goes to the standard error.

Exit status: 0 nothing found, 1 something found or no signal to check, 2 a mistake in what was
asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import CheckConfig, load
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.causality.thorough import CheckReport


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one strategy, print what was found, and return the exit status."""
    usage = "scripts/check STRATEGY [market=NAME] [KEY=VALUE ...] [--json]"
    parser = Parser("check", usage, __doc__, CheckConfig, "train")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    line = parser.read(arguments)
    if len(line.ids) != 1:
        raise UserError(
            "This takes one strategy, a word or the path of a Python file; given:"
            f" {' '.join(line.ids) or 'none'}."
        )
    demo = [] if any(word.startswith("market=") for word in line.overrides) else ["market=demo"]
    console = Console()
    with redirect_stdout(sys.stderr):
        config = load([f"strategy={line.ids[0]}", *demo, *line.overrides], CheckConfig, "train")
        report = _checked(config, console)
    if line.options.json:
        from pipeline.results.jsonable import dumps, jsonable

        console.print(dumps(jsonable(vars(report) | {"market": config.market.id})))
    else:
        _show(console, report, config.market.id)
    return command.FAILED if report.findings else command.DONE


def _checked(config: CheckConfig, console: Console) -> CheckReport:
    from pipeline.causality.thorough import STEPS, thorough_check
    from pipeline.market_data.sources import bars_expected
    from pipeline.search import Evaluator, make_space
    from pipeline.search.backends import chosen_backend
    from pipeline.training.candles import load_candles

    strategy = config.strategy.load()
    backend = chosen_backend(config.backend, lambda text: None, combinations=1)
    with console.progress("candles", bars_expected(config.market, config.data)) as advance:
        market = load_candles(config.market, config.data, strategy, backend, advance)
    space = make_space(strategy, config.strategy.parameters, continuous=False)
    evaluator = Evaluator(
        market.candles, space, config.costs.record(), config.risk.limits(), backend
    )
    with console.progress("checks", STEPS) as advance:
        return thorough_check(evaluator, advance)


def _show(console: Console, report: CheckReport, market: str) -> None:
    from pipeline.validation.wording import percent

    console.print(
        f"{report.strategy} on {market}: {report.tables:,} tables, {report.rows:,} signals,"
        f" {report.bars:,} candles, {1000 * report.seconds:.1f} ms a table"
    )
    rows = [
        (f"{f.parameter}={f.value}", f"{f.trades_a_year:,.1f}", percent(f.net_profit))
        for f in report.frequencies
    ]
    title = "How often it trades at each value, the others at their middle"
    console.table(title, ("value", "trades a year", "net profit"), rows)
    console.print(f"Sides: {report.mirror.outcome} ({report.mirror.reason})")
    for remark in report.remarks:
        console.print(f"Beware: {remark}")
    findings = [(sentence,) for sentence in report.findings] or [("none",)]
    console.table("Findings", ("what is wrong",), findings)
    if report.findings and report.rows:
        console.print(f"{report.strategy} must be mended: docs/look-ahead.md tells usual causes.")


if __name__ == "__main__":
    command.run_plain(main)
