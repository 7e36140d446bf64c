"""A database of a hundred thousand configurations, in which every audit trail agrees.

Rows are copies of one that was trained, inserted at once: a training each would take months.
"""

import math
import random
import shutil
import uuid
from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
from sqlalchemy import insert

from pipeline.results.artifacts.artifact_set import ScoreSurface, read_artifacts, write_artifacts
from pipeline.results.jsonable import jsonable
from pipeline.results.records import ConfigurationEvent
from pipeline.results.rows import chain
from pipeline.results.tables.models import ConfigurationEventRow, TrainedConfiguration, TrainingJob
from pipeline.validation.stages import STAGES

#: Rows that are inserted at a time: so many configurations share a job.
BATCH = 500
MARKETS = [
    (exchange, f"{base}/USDT", timeframe)
    for exchange in ("binance", "kraken")
    for base in ("BTC", "ETH", "SOL", "XRP")
    for timeframe in ("5m", "15m", "1h", "4h")
]


def copies(repository, count, seed=0):
    """Store ``count`` older copies of the newest configuration, on other markets and days."""
    (found,) = repository.configurations.find(limit=1)
    job, draw = repository.jobs.read(found.job_id), random.Random(seed)
    columns = {field.name: jsonable(getattr(found, field.name)) for field in fields(found)}
    columns |= {"is_active": False, "verified_at": None, "artifacts": None, "artifact_digests": {}}
    digests = {name: chain.digest(columns.get(name)) for name in chain.COLUMNS}
    for first in range(0, count, BATCH):
        at = found.created_at - timedelta(minutes=first + 1)
        market = MARKETS[first // BATCH % len(MARKETS)]
        done = _job(job, market, at)
        own = [
            _own(columns, done, market, number, at, draw)
            for number in range(first, min(first + BATCH, count))
        ]
        trail = [_first_event(row, done, digests) for row in own]
        with repository.session() as session, session.begin():
            session.add(done)
            session.flush()
            rows = [columns | row | _keys(row, draw) for row in own]
            session.execute(insert(TrainedConfiguration), rows)
            session.execute(insert(ConfigurationEventRow), trail)


def _job(job, market, at):
    """An ended job of a market."""
    columns = {c.name: getattr(job, c.name, None) for c in TrainingJob.__table__.columns}
    columns |= dict(zip(("exchange", "pair", "timeframe"), market, strict=True))
    times = dict.fromkeys(("created_at", "started_at", "finished_at", "heartbeat_at"), at)
    return TrainingJob(**columns | times | {"id": uuid.uuid4().hex, "owner": None})


def _own(columns, job, market, number, at, draw):
    """What a copy does not share with the others."""
    exchange, pair, timeframe = market
    identity, stage = f"{columns['id'][:-6]}{number:06x}", STAGES[number % len(STAGES)]
    sharpe, profit = draw.gauss(0.5, 1.0), draw.gauss(0.05, 0.2)
    trades, p = draw.randrange(10, 400), draw.random()
    figures = {"sharpe_ratio": sharpe, "net_profit": profit, "sample_size": trades}
    named = {"id": identity, "pair": pair, "status": stage}
    return {
        "id": identity,
        "job_id": job.id,
        "exchange": exchange,
        "pair": pair,
        "timeframe": timeframe,
        "lifecycle_stage": stage,
        "created_at": at - timedelta(milliseconds=number % BATCH),
        "out_of_sample": columns["out_of_sample"] | figures,
        "statistics": columns["statistics"] | {"p_value": p},
        "document": columns["document"] | named,
        "oos_sharpe_ratio": sharpe,
        "oos_net_profit": profit,
        "sample_size": trades,
        "p_value": p,
    }


def _keys(row, draw):
    """Columns that a list is sorted by alone."""
    return {
        "max_drawdown": draw.random(),
        "fdr_q_value": None if draw.random() < 0.5 else draw.random(),
        "market": f"{row['exchange']} {row['pair']} {row['timeframe']}",
        "stage_rank": STAGES.index(row["lifecycle_stage"]),
        "seed": draw.randrange(9),
        "first_day": f"2023-01-{draw.randrange(1, 29):02d}",
    }


def _first_event(row, job, shared):
    """Seal a copy with the first event of its trail; return that event's columns."""
    digests = shared | {name: chain.digest(value) for name, value in row.items()}
    event = ConfigurationEvent(
        configuration_id=row["id"],
        kind=chain.STORED,
        from_stage=row["lifecycle_stage"],
        to_stage=row["lifecycle_stage"],
        reason="Stored by its training.",
        figures={},
    )
    digests[chain.JOB] = chain.job_digest(job)
    link = ConfigurationEventRow(**vars(event), number=0, previous="", digests=digests)
    row["head"] = chain.head_of(link)
    row["seal"] = chain.digest([row["head"], None])
    return {c.name: getattr(link, c.name) for c in ConfigurationEventRow.__table__.columns}


def large_surface(root, found, each=10):
    """Give a configuration the surface of a grid of ``each`` to the 7th combinations."""
    kept = read_artifacts(root, found.artifacts)
    names = sorted(kept.scores.axes, key=lambda name: -len(kept.scores.axes[name]))
    numbers = [name for name in names if isinstance(found.parameters[name], int | float)][:7]
    axes = {}
    for name in kept.scores.axes:
        value = found.parameters[name]
        more = [value * (1 + 0.01 * n) for n in range(1, each)] if name in numbers else []
        axes[name] = [value, *more]
    shape, rng = tuple(len(values) for values in axes.values()), np.random.default_rng(0)
    metrics = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name in kept.scores.metrics}
    shutil.rmtree(root / found.artifacts)
    write_artifacts(root, found.id, replace(kept, scores=ScoreSurface(axes, metrics)))
    return math.prod(shape)
