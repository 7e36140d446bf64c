"""Load the candles of a run and plant an edge in them where one was asked for."""

from dataclasses import replace

from gpu_engine import Advance, Backend
from pipeline.causality import refuse_look_ahead
from pipeline.cli.console import Note
from pipeline.config import CcxtData, MarketConfig
from pipeline.market_data import sources
from pipeline.search import single_point
from pipeline.strategies.registry import LoadedStrategy
from pipeline.training.planting import OutOfReachError, combination, plant_edge


def load_candles(
    market: MarketConfig,
    data: sources.Data,
    strategy: LoadedStrategy,
    backend: Backend,
    advance: Advance,
    note: Note | None = None,
) -> sources.MarketCandles:
    """Load the candles as `market_data.sources.load_candles` does, with the edge to plant.

    ``strategy`` and ``backend`` serve a planted edge alone.

    Raises
    ------
    UserError
        When there are none, they are broken, or a limit is exceeded.
    """
    loaded = sources.load_candles(market, data, advance, note)
    plant = None if isinstance(data, CcxtData) else data.plant
    if plant is None:
        return loaded
    costs = None if plant.costs is None else plant.costs.record()
    planted = combination(strategy, plant.parameters)
    try:
        candles = plant_edge(loaded.candles, strategy, planted, plant.sharpe, backend, costs)
    except OutOfReachError:
        # Signals that know the future have an edge already, and that is the thing to say.
        refuse_look_ahead(single_point(strategy, planted), loaded.candles)
        raise
    return replace(loaded, candles=candles)
