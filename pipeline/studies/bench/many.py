"""Time a sweep over many small invented markets: what executor and database sustain.

    python -m pipeline.studies.bench.many 1000 executor=ray storage=postgresql

Exit status: 0 done, 1 a market failed, 2 the user's mistake.
"""

import argparse
from collections.abc import Sequence
from time import perf_counter

from pipeline.cli import command
from pipeline.cli.console import Console
from pipeline.config import SweepConfig, TrainConfig, load
from pipeline.executors import make_executor
from pipeline.studies.bench.report import print_machine
from pipeline.sweeps.manifest import SweepRequest
from pipeline.sweeps.running import sweep
from pipeline.training import provenance

#: A market of some tenths of a second, so that starting, handing out and storing count.
SMALL = (
    *("market=demo_null", "data.days=60", "optimizer=random", "optimizer.samples=100"),
    *("validation=train_test_split", "validation.test=10", "validation.evidence=deciding"),
    "min_trades=1",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.studies.bench.many", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("count", type=int, help="markets")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="executor and storage")
    given = parser.parse_args(arguments)
    config = load(["markets=all", "resume=false", *given.words], SweepConfig, "sweep")
    request = small_markets(given.count, [w for w in given.words if w.startswith("storage")])
    console = Console()
    start = perf_counter()
    succeeded = sweep(console, config, request)
    seconds = perf_counter() - start
    print_machine(console, provenance.describe())
    slots = make_executor(config.executor).slots
    console.print(
        f"{given.count:,} markets, executor={config.executor.name}, {slots} slots,"
        f" {config.storage.shown_url}: {seconds:.1f} s, {60 * given.count / seconds:,.0f} markets a"
        f" minute, {provenance.peak_memory() / 1e6:,.0f} MB in the parent."
    )
    return command.DONE if succeeded else command.FAILED


def small_markets(count: int, storage: Sequence[str]) -> SweepRequest:
    """Compose ``count`` markets that differ in the seed of their candles."""
    first = load([*SMALL, *storage], TrainConfig, "train")
    return SweepRequest(
        {
            f"small_{seed:05d}": first.model_copy(
                update={"data": first.data.model_copy(update={"seed": seed})}
            )
            for seed in range(count)
        },
        SMALL,
    )


if __name__ == "__main__":
    command.run_plain(main)
