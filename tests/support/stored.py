"""A training whose edge ends with its candles, and the commands on what it stored."""

import io
import shutil
from contextlib import chdir, redirect_stderr, redirect_stdout

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, select, text

from gpu_engine import choose
from pipeline.cli.command import run_plain
from pipeline.market_data.grid import make_regular
from pipeline.market_data.raw import COLUMNS, PRICES
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.results.artifacts.digests import digests_of
from pipeline.results.rows import chain
from pipeline.results.tables.models import TrainedConfiguration, TrainingJob
from pipeline.strategies.registry import load_strategy
from pipeline.training.candles import plant_edge
from support.parameters import combination
from support.runs import SMALL_GRID, Finished, ask, run_here

#: In `SMALL_GRID`.
PLANTED = combination(0.001, 3, 1.5, 1.0, 50, 1.0, 2.0)
DAYS, TRAINED_DAYS, BARS_A_DAY = 260, 170, 96
TRAINED_BARS = TRAINED_DAYS * BARS_A_DAY
TRAINED_UNTIL = "2023-06-20"
FADING = (
    "market=btc_binance_15m",
    "data=file",
    "data.path=candles.parquet",
    "optimizer=grid",
    "min_trades=5",
    "validation.evidence=deciding",
    "validation.surrogate_count=20",
    *SMALL_GRID,
)


def fading_candles():
    """Columns of 260 days of 15m candles; what was planted in the first 170 then stops."""
    candles, _ = make_regular(synthetic_candles(DAYS, "15m", 1, 0.6), "15m", "generated")
    strategy, backend = load_strategy("liquidity_sweep"), choose().backend
    planted = plant_edge(candles.cut(0, TRAINED_BARS), strategy, PLANTED, 6.0, backend).candles
    scale = planted.close[-1] / candles.close[TRAINED_BARS - 1]
    columns = {}
    for name in COLUMNS:
        later = getattr(candles, name)[TRAINED_BARS:] * (scale if name in PRICES else 1)
        columns[name] = np.concatenate((getattr(planted, name), later))
    return columns


def write(path, columns, start=0, end=None):
    """Write bars ``[start, end)`` of some columns as a Parquet file."""
    pq.write_table(pa.table({name: column[start:end] for name, column in columns.items()}), path)


def train_fading(folder):
    """Train on the days with the edge, and leave only those in the folder."""
    write(folder / "candles.parquet", fading_candles(), end=TRAINED_BARS)
    finished = run_here(folder, *FADING)
    assert finished.status == 0, finished.err
    return finished


def copied(finished, folder):
    """A copy to spoil."""
    shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
    return finished._replace(folder=folder)


def command(module, folder, *arguments):
    """Run a command on stored configurations in this process, through its own door."""
    out, err = io.StringIO(), io.StringIO()
    ending = pytest.raises(SystemExit)
    with chdir(folder), redirect_stdout(out), redirect_stderr(err), ending as ended:
        run_plain(lambda: module.main([*arguments]))
    return Finished(ended.value.code, out.getvalue(), err.getvalue(), folder)


def sql(finished, statement, **values):
    """Change the database of a training as something other than the program would."""
    engine = create_engine(f"sqlite:///{finished.folder}/var/trainings.db")
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def resealed(finished, statement, **values):
    """Change the database as another build would have written it: the audit trail agrees."""
    sql(finished, statement, **values)
    ask(finished.folder, lambda repository: reseal(repository, finished.folder / "var/artifacts"))


def reseal(repository, root):
    """Make every audit trail agree with its row, its job, its events and artifacts as they are."""
    with repository.session() as session, session.begin():
        for row in session.scalars(select(TrainedConfiguration)):
            events = chain.events_of(session, row.id)
            job = session.get(TrainingJob, row.job_id)
            row.artifact_digests = digests_of(root / row.id)
            now = {name: chain.digest(getattr(row, name)) for name in chain.COLUMNS}
            now[chain.JOB] = chain.job_digest(job)
            row.head = ""
            for number, event in enumerate(events):
                later = {name for other in events[number + 1 :] for name in other.digests}
                fresh = {name: now[name] for name in event.digests if name not in later}
                event.number, event.previous = number, row.head
                event.digests = event.digests | fresh
                row.head = chain.head_of(event)
            row.seal = chain.seal_of(row)
