"""Sweeps of tiny markets, and what they leave in a database as it would be without accidents."""

import json
from pathlib import Path

from sqlalchemy import select

from pipeline import sweep
from pipeline.results.database import open_database
from pipeline.results.tables.models import (
    ConfigurationEventRow,
    SweepMarketRow,
    SweepRow,
    TrainedConfiguration,
    TrainingJob,
)
from support.runs import finish, start
from support.stored import command

#: All that makes a market of the name a matter of a tenth of a second.
TINY = (
    "+market.synthetic=true",
    "data=synthetic",
    "data.days=60",
    "min_trades=1",
    "validation=train_test_split",
    "validation.test=10",
    "validation.evidence=deciding",
    "optimizer=random",
    "optimizer.samples=5",
    "backend=numpy",  # starts sooner than Numba
)
HOURS = "markets=btc_binance_1h,eth_binance_1h,sol_binance_1h"

#: The file of a strategy whose search finds nothing to store.
NEVER = """
import numpy as np
from gpu_engine import EventTable
from pipeline.strategies.base import Parameter
class Never:
    name = "NEVER_V1"
    parameters = (
        Parameter("size", "threshold", "x", sense=+1, grid=(2,), meaning="No bar has it."),
        Parameter("stop_distance", "exit", "ATR", grid=(1,), meaning="s"),
        Parameter("target_multiple", "exit", "stop distances", grid=(1,), meaning="t"),
    )
    def events(self, candles, loosest):
        return Events(candles)
class Events:
    def __init__(self, candles):
        self.bars = len(candles)
    def table(self, structural):
        bar = np.arange(20, self.bars, 50, dtype=np.int32)
        side, atr = np.ones(len(bar), np.int8), np.ones(len(bar))
        return EventTable(
            setup_bar=bar, signal_bar=bar, side=side, atr=atr, features=np.zeros((len(bar), 1))
        )
STRATEGY = Never()
"""

#: What differs between two runs of the same: names, times, and who did it.
OWN = {"id", "job_id", "sweep_id", "configuration_id", "artifacts", "seconds"}
TIMES = {"created_at", "started_at", "finished_at", "heartbeat_at", "at", "since", "until"}
#: Who did it, and its last line of progress, which may be dropped while the database is busy.
PROCESS = {"owner", "stage_of_work"}
#: Hashes of what holds an id or a time.
CHAINED = {"head", "previous", "digests", "seal"}


def sweep_here(folder, *words):
    """Run the command in this process."""
    return command(sweep, folder, *words)


def start_sweep(folder, *words):
    """Start the command as a process of its own."""
    return start(folder, *words, module="pipeline.sweep")


def run_sweep(folder, *words):
    """Run the command as a process, to its end."""
    return finish(start_sweep(folder, *words), folder)


def tables(folder, url=None):
    """Rows of sweeps, newest first, of their markets, of jobs, configurations and events."""
    url = url or f"sqlite:///{folder}/var/trainings.db"
    with open_database(url) as repository, repository.engine.connect() as connection:
        return [
            [dict(row) for row in connection.execute(query).mappings()]
            for query in (
                select(SweepRow.__table__).order_by(SweepRow.created_at.desc()),
                select(SweepMarketRow.__table__).order_by(SweepMarketRow.position),
                select(TrainingJob.__table__),
                select(TrainedConfiguration.__table__),
                select(ConfigurationEventRow.__table__),
            )
        ]


def dump(folder, url=None):
    """What a sweep has made of its markets, ids and times aside; a row's id becomes its market.

    Raises
    ------
    AssertionError
        When a row belongs to no market of the sweep, or the artifacts of one are not there.
    """
    (sweep_row,), markets, jobs, configurations, events = tables(folder, url)
    by_job = {row["job_id"]: row["market"] for row in markets}
    by_configuration = {row["configuration_id"]: row["market"] for row in markets}
    assert len(by_job) == len(markets) == len(jobs)
    named = {by_job[row["id"]]: _lasting(row) for row in jobs}
    found = {by_configuration[row["id"]]: _lasting(row) for row in configurations}
    judged = {
        (by_configuration[row["configuration_id"]], row["number"]): _lasting(row) for row in events
    }
    assert (len(found), len(judged)) == (len(configurations), len(events))
    for row in configurations:
        assert by_job[row["job_id"]] == by_configuration[row["id"]]
        assert (Path(folder) / "var/artifacts" / row["artifacts"] / "trades.parquet").exists()
    return {
        "sweep": _lasting(sweep_row),
        "markets": [_lasting(row) for row in markets],
        "jobs": named,
        "configurations": found,
        "events": judged,
    }


def _lasting(row):
    """A row without what another run would write otherwise."""
    kept = {name: row[name] for name in row.keys() - OWN - TIMES - PROCESS - CHAINED}
    if "figures" in kept:
        kept["figures"] = {k: v for k, v in kept["figures"].items() if k != "sweep_id"}
    if "document" in kept:
        kept["document"] = _without(json.loads(json.dumps(kept["document"])), row["id"])
    return kept


def _without(value, identity):
    """A document without its id and the moment of its discovery."""
    if isinstance(value, dict):
        return {k: _without(v, identity) for k, v in value.items() if k != "discovery_date"}
    return "its id" if value == identity else value
