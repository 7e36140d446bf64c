"""Estimate one training run: seconds, memory, and trades to expect.

The work is counted from the configuration, its seconds come from one timed probe, and its trades
from a sample on the candles at hand. Nothing is fetched or stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import TrainConfig
from pipeline.estimate.candles import Source, candles_at_hand
from pipeline.estimate.power import power_note, sampled_trades
from pipeline.estimate.probe import Speed, grid_of
from pipeline.estimate.work import History, Work
from pipeline.search.backends import named_backend


@dataclass(frozen=True)
class Estimate:
    """What one market's run would take and bring.

    Attributes
    ----------
    market : str
        Such as ``binance:BTC/USDT:5m``.
    combinations : int
        Of one search: the grid, or the budget.
    windows : int
        Tests; there is one search more, the final one.
    evaluations : int
        Combinations times searches.
    bars : int
        Of the history.
    memory_bytes : int
        Most that the process will hold.
    seconds : float
        From candles in memory to the verdict.
    trades_per_window : float
        Of the median admissible combination in one test part.
    expected_trades : float
        Likewise, in all test parts.
    power_note : str
        What so many trades can reach, in words.
    candles : {"stored", "file", "generated", "synthetic stand-in"}
        What the trades were counted on; after a stand-in fetching comes on top of ``seconds``.
    artifact_bytes : int
        What the run leaves in the object store.
    """

    market: str
    combinations: int
    windows: int
    evaluations: int
    bars: int
    memory_bytes: int
    seconds: float
    trades_per_window: float
    expected_trades: float
    power_note: str
    candles: Source
    artifact_bytes: int


def estimate(config: TrainConfig, speed: Speed) -> Estimate:
    """Estimate one training run; the same for the same candles and ``speed``.

    Raises
    ------
    UserError
        When the run would be refused: too little history, a broken file. It says what to do.
    """
    grid = grid_of(config)
    at_hand = candles_at_hand(config)
    history = History.of(config, at_hand.days)
    backend = named_backend(speed.backend)
    traded = sampled_trades(config, grid, at_hand.candles, backend, history.days_a_search)
    work = Work(config, grid, history)
    test_days = history.test_days / history.windows
    return Estimate(
        market=config.market.id,
        combinations=work.budget,
        windows=history.windows,
        evaluations=work.evaluations,
        bars=history.bars,
        memory_bytes=work.memory_bytes(speed),
        seconds=work.seconds(speed),
        trades_per_window=traded.typical * test_days,
        expected_trades=traded.typical * history.test_days,
        power_note=power_note(traded, test_days, history.test_days),
        candles=at_hand.source,
        artifact_bytes=work.artifact_bytes(),
    )
