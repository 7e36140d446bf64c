"""Load the candles of a run and plant an edge in them where one was asked for."""

from dataclasses import replace

from gpu_engine import Advance, Backend
from pipeline.cli.console import Note
from pipeline.config import MarketConfig, SyntheticData
from pipeline.market_data import sources
from pipeline.strategies.base import Strategy
from pipeline.training.planting import plant_edge


def load_candles(
    market: MarketConfig,
    data: sources.Data,
    strategy: Strategy,
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
    if not isinstance(data, SyntheticData) or data.plant is None:
        return loaded
    plant = data.plant
    candles = plant_edge(loaded.candles, strategy, plant.parameters, plant.sharpe, backend)
    return replace(loaded, candles=candles)
