"""Time pages of stored configurations: every filter with every order, over many invented rows.

    python -m pipeline.studies.bench.repository [--url URL] [--rows N] [--json]

The database must hold no configurations; without --url it is an SQLite file that is removed again.
Exit status: 0 done, 2 the user's mistake.
"""

import argparse
import itertools
import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from sqlalchemy import insert, text

from pipeline.cli import command
from pipeline.cli.console import Console
from pipeline.errors import UserError
from pipeline.results.access.ownership import new_job
from pipeline.results.database import Repository, open_database
from pipeline.results.rows.listing import SORT_KEYS, SortKey
from pipeline.results.tables.models import NULLABLE, TrainedConfiguration, TrainingJob
from pipeline.studies.bench.report import print_machine
from pipeline.training import provenance
from pipeline.validation.stages import STAGES

ROWS = 100_000
REPEATS = 5
PAGE = 50
BATCH = 2_000
#: Characters of the documents of a row together: what a stored configuration of a grid has.
DOCUMENT = 12_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)

MARKETS: dict[str, tuple[str, ...]] = {
    "exchange": ("binance", "bybit", "kraken", "okx"),
    "pair": tuple(f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "ADA")),
    "timeframe": ("1m", "5m", "15m", "1h"),
    "strategy": ("liquidity_sweep", "range_minimum"),
}

#: Every filter alone, those of one market, and one that nothing passes.
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "stage": {"lifecycle_stage": "VALIDATION"},
    "exchange": {"exchange": "kraken"},
    "pair": {"pair": "ETH/USDT"},
    "timeframe": {"timeframe": "5m"},
    "strategy": {"strategy": "liquidity_sweep"},
    "job": {"job_id": f"{17:032x}"},
    "synthetic": {"synthetic": True},
    "not synthetic": {"synthetic": False},
    "active": {"is_active": True},
    "not active": {"is_active": False},
    "market": {"exchange": "okx", "pair": "SOL/USDT", "timeframe": "1h"},
    "market, stage": {"exchange": "okx", "timeframe": "1h", "lifecycle_stage": "MATURE"},
    "nothing": {"exchange": "nowhere"},
}


class Page(NamedTuple):
    """One page that is timed: filters by name of `FILTERS`."""

    filters: str
    order_by: SortKey
    descending: bool
    offset: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.studies.bench.repository")
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--url", help="database without configurations")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"default: {ROWS:,}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(given.url or f"sqlite:///{folder}/bench.db") as repository,
    ):
        fill(repository, given.rows)
        medians = measure(repository)
    kind = repository.engine.dialect.name
    report(Console(), medians, given.rows, kind, as_json=given.json)
    return command.DONE


def fill(repository: Repository, rows: int) -> None:
    """Store invented configurations, the same ones every time.

    Raises
    ------
    UserError
        When there are any already: they would be timed, and invented ones left among them.
    """
    if repository.configurations.page(limit=1)[1]:
        raise UserError("The database holds configurations: give --url of an empty one.")
    job = new_job(
        **{name: values[0] for name, values in MARKETS.items()},
        optimizer="grid",
        config={},
        config_hash="",
        seed=0,
    )
    columns = {c.key: getattr(job, c.key) for c in TrainingJob.__table__.columns}
    chance = random.Random(0)
    engine = repository.engine
    with engine.begin() as connection:
        for first in range(0, rows, BATCH):
            numbers = range(first, min(first + BATCH, rows))
            jobs = [columns | {"id": f"{n:032x}", "status": "completed"} for n in numbers]
            connection.execute(insert(TrainingJob), jobs)
            connection.execute(insert(TrainedConfiguration), [_row(n, chance) for n in numbers])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What PostgreSQL's autovacuum does a minute later, and what it plans by.
        connection.execute(
            text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE")
        )


def _row(number: int, chance: random.Random) -> dict[str, Any]:
    documents = ("parameters", "in_sample", "out_of_sample", "statistics", "gates")
    market = {name: chance.choice(values) for name, values in MARKETS.items()}
    return {
        "id": f"LIQUIDITY_SWEEP_V3_20240101_000000_{number:06d}",
        "job_id": f"{number:032x}",
        **market,
        "market": " ".join(market.values()),
        "lifecycle_stage": chance.choice(STAGES),
        "synthetic": chance.random() < 0.1,
        **{name: {} for name in documents},
        "circuit_breakers": {},
        "provenance": {},
        "artifact_digests": {},
        "head": f"{number:064x}",
        "seal": f"{number:064x}",
        "document": {"text": f"{chance.getrandbits(4 * DOCUMENT):x}"},
        "oos_sharpe_ratio": chance.gauss(0, 1),
        "oos_net_profit": chance.gauss(0, 0.2),
        "sample_size": chance.randrange(500),
        **{key: None if chance.random() < 0.1 else chance.random() for key in NULLABLE},
        "stage_rank": chance.randrange(len(STAGES)),
        "optimizer": chance.choice(("grid", "random", "bayesian")),
        "seed": chance.randrange(9),
        "first_day": f"2023-01-{chance.randrange(1, 29):02d}",
        "created_at": FIRST + timedelta(minutes=number),
        "is_active": number % 1_000 == 0,
    }


def pages(totals: Mapping[str, int]) -> Iterator[Page]:
    """Name every page that is timed: first, middle and last of every filter and order.

    ``totals`` are the rows that match, by name of `FILTERS`.
    """
    orders = list(itertools.product(SORT_KEYS, (True, False)))
    for filters, total in totals.items():
        offsets = sorted({0, total // 2, max(total - PAGE, 0)})
        for offset, (order_by, descending) in itertools.product(offsets, orders):
            yield Page(filters, order_by, descending, offset)


def measure(repository: Repository) -> dict[Page, float]:
    """Return the median seconds of every page, its rows checked, its count of all included."""
    totals = {
        name: repository.configurations.page(limit=1, **wanted)[1]
        for name, wanted in FILTERS.items()
    }
    return {page: _timed(repository, page) for page in pages(totals)}


def _timed(repository: Repository, page: Page) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        ids, _ = repository.configurations.page(
            order_by=page.order_by,
            descending=page.descending,
            limit=PAGE,
            offset=page.offset,
            **FILTERS[page.filters],
        )
        list(repository.checks.stored_of(ids))
        seconds.append(perf_counter() - start)
    return median(seconds)


def report(
    console: Console, medians: dict[Page, float], rows: int, dialect: str, *, as_json: bool
) -> None:
    """Print milliseconds: by filter, the slowest of its orders."""
    described = provenance.describe()
    if as_json:
        timed = [page._asdict() | {"milliseconds": 1e3 * s} for page, s in medians.items()]
        print(json.dumps({"machine": described, "database": dialect, "rows": rows, "pages": timed}))
        return
    print_machine(console, described)
    console.print(
        f"{rows:,} rows, {dialect}, pages of {PAGE} with their count, median of {REPEATS}:"
    )
    for name in FILTERS:
        of_it = {page: s for page, s in medians.items() if page.filters == name}
        slowest = max(of_it, key=lambda page: of_it[page])
        way = "descending" if slowest.descending else "ascending"
        console.print(
            f"{name:>14}: {1e3 * median(of_it.values()):6.1f} ms, at most"
            f" {1e3 * of_it[slowest]:6.1f} ms ({slowest.order_by} {way}, from {slowest.offset:,})"
        )


if __name__ == "__main__":
    command.run_plain(main)
