"""Signals as the service that follows candles stores them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.market_data.timeframe import timeframe_ms
from pipeline.results.rows.live import Booking
from pipeline.results.tables.live_models import LiveEvent, PaperAccount, PaperDay, PaperTrade


def newest_close(timeframe, now=None):
    """When the newest candle closed."""
    step = timeframe_ms(timeframe) / 1000
    now = now or datetime.now(UTC)
    return datetime.fromtimestamp(now.timestamp() // step * step, UTC)


def copy_of(repository, found, identity, **changes):
    """Store a configuration once more, with a job of its own and without artifacts.

    ``document`` among ``changes`` are sections of its document.
    """
    job = repository.jobs.read(found.job_id)
    names = ("exchange", "pair", "timeframe", "strategy", "optimizer", "config", "config_hash")
    again = repository.jobs.create(**{name: getattr(job, name) for name in names}, seed=job.seed)
    repository.jobs.start(again)
    document = found.document | {"id": identity} | changes.pop("document", {})
    bare = {"artifacts": None, "artifact_digests": {}}
    configuration = replace(found, id=identity, job_id=again, document=document, **(bare | changes))
    repository.configurations.save(configuration)
    return configuration


def a_signal(configuration, closed=None, **changes):
    """The signal of a configuration that waits, as JSON."""
    step = timedelta(milliseconds=timeframe_ms(configuration.timeframe))
    closed = closed or newest_close(configuration.timeframe)
    market = {name: getattr(configuration, name) for name in ("exchange", "pair", "timeframe")}
    return {
        "version": 1,
        "id": configuration.id,
        "strategy": configuration.strategy,
        "market": market,
        "stage": configuration.lifecycle_stage,
        "synthetic": configuration.synthetic,
        "active": True,
        "made": closed.isoformat(),
        "candle": {
            "opened": (closed - step).isoformat(),
            "closed": closed.isoformat(),
            "close": 100.0,
        },
        "refusal": None,
        "action": "wait",
        "at": closed.isoformat(),
        "position": None,
        "entries": [],
        "breaker": None,
        "size": 1.0,
        "notional": 0.5,
    } | changes


def follow(repository, configuration_id, trades=3, days=4):
    """Give a configuration a paper account with some trades, days and lines of its journal."""
    first = datetime(2023, 1, 1, tzinfo=UTC)
    repository.live.open_account(
        PaperAccount(configuration_id, started_at=first, first_candle=first)
    )
    hour = timedelta(hours=1)
    booked = [
        PaperTrade(
            number=number,
            side=1,
            setup_at=first,
            signal_at=first + number * hour,
            entry_at=first + number * hour,
            exit_at=first + (number + 1) * hour,
            entry=100.0,
            exit=101.0,
            reason="target",
            ret=0.01,
            stop=99.0,
            target=101.0,
        )
        for number in range(trades)
    ]
    repository.live.book(
        [
            Booking(
                configuration_id,
                before=None,
                through=first + days * 24 * hour,
                position=None,
                equity=1.01**trades,
                trades=booked,
                days=[PaperDay(day, 0.01, 1.01 ** (day + 1)) for day in range(days)],
                events=[LiveEvent("enter", f"line {n}", configuration_id) for n in range(3)],
            )
        ]
    )
