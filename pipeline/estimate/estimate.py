"""Plan before running: how long, how much memory, and how many trades to expect.

`estimate` counts the work of one run from its configuration and a look at the candles at hand, and
prices it with `Rates` measured on this machine. Nothing is fetched or stored, and only `plan`
prints.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import TrainConfig
from pipeline.estimate.candles import Source, candles_at_hand
from pipeline.estimate.power import power_note, sampled_trades
from pipeline.estimate.rates import Rates, grid_of
from pipeline.estimate.work import History, Work
from pipeline.search.backends import named_backend


@dataclass(frozen=True)
class Estimate:
    """One market's run before it is made.

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


def estimate(config: TrainConfig, rates: Rates) -> Estimate:
    """Estimate one training run; the same for the same candles and ``rates``.

    Raises
    ------
    UserError
        When the run would be refused: too little history, a broken file. It says what to do.
    """
    grid = grid_of(config)
    at_hand = candles_at_hand(config)
    history = History.of(config, at_hand.days)
    backend = named_backend(rates.backend)
    days = history.days_a_search, history.days
    traded = sampled_trades(config, grid, at_hand.candles, backend, days)
    work = Work(config, grid, history, traded)
    test_days = history.test_days / history.windows
    return Estimate(
        market=config.market.id,
        combinations=work.budget,
        windows=history.windows,
        evaluations=work.evaluations,
        bars=history.bars,
        memory_bytes=work.memory_bytes(rates),
        seconds=work.seconds(rates),
        trades_per_window=traded.typical * test_days,
        expected_trades=traded.typical * history.test_days,
        power_note=power_note(traded, test_days, history.test_days),
        candles=at_hand.source,
        artifact_bytes=work.artifact_bytes(),
    )
