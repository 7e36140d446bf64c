"""Train many markets, with one strategy or several, and judge them together (docs/sweeps.md).

A sweep goes on where it was broken off. Every key of a training but market may be given too, and
goes to each market: scripts/train --help. Exit status: 0 done, 1 a market failed or strategies=all
left one out, 2 the user's mistake, 130 cancelled by Ctrl-C, 143 ended by SIGTERM or SIGHUP.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.cli import command
from pipeline.cli.arguments import Parser
from pipeline.cli.console import Console
from pipeline.config import (
    StrategyConfig,
    SweepConfig,
    TrainConfig,
    compose_each,
    load,
    select_markets,
    strategy_name,
    strategy_word,
    usable_strategies,
)
from pipeline.errors import UserError

#: Keys that a sweep reads itself; ``storage`` is every market's too.
OWN = ("markets", "strategies", "resume", "retry_failed", "dry_run", "storage", "executor")
#: Of these, lists.
LISTS = ("markets", "strategies")


class Words(NamedTuple):
    """KEY=VALUE words of a command line: the sweep's own, and those that go to every market."""

    own: list[str]
    markets: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    usage = "scripts/sweep markets=all|NAME,PATTERN,... [KEY=VALUE ...] [--dry-run]"
    parser = Parser("sweep", usage, __doc__, SweepConfig, "sweep")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would take")
    line = parser.read(arguments)
    words = split(line.words)
    config = load(words.own, SweepConfig, "sweep")
    strategies, left_out = _strategies(config, words.markets)
    if len(strategies) == 1:
        words.markets.append(strategy_word(strategies.pop()))
    configs = compose(select_markets(config.markets), words.markets, strategies)

    from pipeline.executors import make_executor
    from pipeline.executors.share import cores
    from pipeline.sweeps.manifest import SweepRequest
    from pipeline.sweeps.plan import plan
    from pipeline.sweeps.running import sweep

    console, request = Console(), SweepRequest(configs, tuple(words.markets))
    for sentence in left_out:
        console.note(sentence)
    if config.dry_run or line.options.dry_run:
        slots = min(make_executor(config.executor).slots, len(request.configs))
        at_once = slots if config.executor.several_nodes else min(slots, cores())
        plan(console, request.judged_together, slots, at_once)
        return command.DONE
    done = sweep(console, config, request)
    for sentence in left_out:  # again where its reader is now
        console.print(sentence)
    return command.DONE if done and not left_out else command.FAILED


def split(words: Sequence[str]) -> Words:
    """Tell the sweep's own words from those of its markets.

    Raises
    ------
    UserError
        When a word gives a single market.
    """
    own, markets = [], []
    for word in words:
        key = word.partition("=")[0].lstrip("+~")
        group = key.partition(".")[0]
        if key == "market":
            raise UserError(f"A sweep takes several markets: write markets=... for {word}.")
        if group in OWN:
            own.append(_as_list(word) if key in LISTS else word)
        if group not in OWN or group == "storage":
            markets.append(word)
    return Words(own, markets)


def _as_list(word: str) -> str:
    """``markets=a,b`` as Hydra writes a list; it would take the commas for several runs."""
    key, _, value = word.partition("=")
    return f"{key}=[{value}]" if "," in value and not value.startswith("[") else word


def _strategies(config: SweepConfig, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what ``strategies`` stands for, and of what ``all`` leaves out a sentence each."""
    if config.strategies is None:
        return [], []
    single = next((w for w in overrides if w.lstrip("+").startswith("strategy=")), None)
    if single is not None:
        raise UserError(
            f"strategies=... and {single} contradict each other: leave one of them out."
        )
    from pipeline.config.strategy_choice import search_path_of

    search_path_of(overrides)
    return usable_strategies(config.strategies)


def compose(
    markets: Sequence[str], overrides: Sequence[str], strategies: Sequence[str] = ()
) -> dict[str, TrainConfig]:
    """Compose every member as ``pipeline.train market=NAME OVERRIDES`` would, by its label.

    The label is the market's name; with ``strategies`` every one of them is searched on every
    market, and its name follows.

    Raises
    ------
    UserError
        When the configuration of a member is refused; it names every fault once.
    """
    if not strategies:
        words = {market: [f"market={market}"] for market in markets}
    else:
        words = {
            f"{market} {strategy_name(strategy)}": [f"market={market}", strategy_word(strategy)]
            for market in markets
            for strategy in strategies
        }
    configs = compose_each(
        words,
        lambda label: load([*words[label], *overrides], TrainConfig, "train"),
        "" if strategies else "market=",
    )
    _refuse_namesakes(configs)
    return configs


def _refuse_namesakes(configs: Mapping[str, TrainConfig]) -> None:
    """Refuse two files that call their strategy the same: a stored result has that name alone."""
    by_name: dict[str, StrategyConfig] = {}
    for config in configs.values():
        name = config.strategy.load().name
        other = by_name.setdefault(name, config.strategy)
        if other.name != config.strategy.name:
            raise UserError(
                f"strategies: {other.name} and {config.strategy.name} both say name = '{name}', so"
                " stored results could not be told apart: give one of them another name."
            )


if __name__ == "__main__":
    command.run_plain(main)
