"""Close a day of a paper account: hold the ledger against a backtest, and monitor the new days."""

from collections.abc import Sequence

import numpy as np

from gpu_engine import Candles
from pipeline.config import StorageConfig, milliseconds
from pipeline.errors import UserError
from pipeline.live.agreement import differences
from pipeline.live.feed import Feed, Revision
from pipeline.live.trader import Trader
from pipeline.results.configurations import StageMovedError
from pipeline.results.database import Repository
from pipeline.results.live import ALARM, CHECK, STAGE, LiveEvent, PaperAccount
from pipeline.review import stored
from pipeline.review.monitoring import evaluate_new_days
from pipeline.validation.decay import SEQUENTIAL


def close_day(
    repository: Repository,
    storage: StorageConfig,
    trader: Trader,
    account: PaperAccount,
    feed: Feed,
    revisions: Sequence[Revision],
) -> bool:
    """Check an account through its newest candle, and judge its stage by the new days.

    Parameters
    ----------
    revisions : sequence of Revision
        Candles that the exchange gives differently now; the check names them.

    Returns
    -------
    bool
        Whether its stage moved.
    """
    assert account.through is not None, "nothing is booked yet"
    candles = feed.candles
    through = milliseconds(account.through)
    candles = candles.cut(0, int(np.searchsorted(candles.timestamp, through, "right")))
    series = trader.series(candles, milliseconds(account.first_candle))
    trades, days = repository.live.trades(trader.id), repository.live.days(trader.id)
    clauses = list(differences(trader, series, trades, days))
    clauses += [f"the exchange has revised the candle of {revision}" for revision in revisions]
    said = "; ".join(clauses)
    text = (
        f"{trader.id}: the ledger is not what a backtest of the same candles gives: {said}."
        if clauses
        else f"{trader.id}: {len(trades)} trades and {len(days)} days are those of a backtest."
    )
    event = LiveEvent(
        kind=CHECK,
        text=text,
        configuration_id=trader.id,
        market=feed.market.id,
        candle=account.through,
        payload={"agrees": not clauses, "trades": len(trades), "days": len(days)},
    )
    repository.live.record_check(trader.id, said, event)
    try:
        return _monitor(repository, storage, trader, series.candles)
    except (UserError, StageMovedError) as error:
        repository.live.note(
            [LiveEvent(kind=CHECK, text=f"{trader.id}: {error}", configuration_id=trader.id)]
        )
        return False


def _monitor(
    repository: Repository, storage: StorageConfig, trader: Trader, candles: Candles
) -> bool:
    """Judge the new days as `scripts/monitor` does; tell whether the stage moved."""
    configuration = repository.checks.agreeing(trader.id)
    record = stored.read_record(storage, configuration)
    seed = repository.jobs.read(configuration.job_id).seed
    result = evaluate_new_days(configuration, record, trader.simulation, candles, seed, daily=True)
    if result is None:
        return False
    event = result.event(configuration)
    recorded = repository.configurations.record_event(event, result.document)
    if not recorded or event.from_stage == event.to_stage:
        return False
    is_alarm = result.reassessment.death_signals.get(SEQUENTIAL, False)
    line = LiveEvent(
        kind=ALARM if is_alarm else STAGE,
        text=f"{trader.id}: {event.from_stage} -> {event.to_stage}: {event.reason}",
        configuration_id=trader.id,
        payload={"from": event.from_stage, "to": event.to_stage},
    )
    repository.live.note([line])
    return True
