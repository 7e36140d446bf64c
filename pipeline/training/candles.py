"""Load the candles of a run and plant an edge in them where one was asked for."""

from dataclasses import replace

from gpu_engine import Advance, Backend, choose
from pipeline.causality import refuse_look_ahead
from pipeline.config import CcxtData, MarketConfig
from pipeline.errors import Note
from pipeline.market_data import sources
from pipeline.search import single_point
from pipeline.strategies.registry import LoadedStrategy
from pipeline.training.planting import TOO_FAR, OutOfReachError, combination, plant_edge, written

#: Of fewer in a year too few lie out of sample: 30 must (validation rules §6), in 240 of 365 days.
FEW_TRADES = 50


def load_candles(
    market: MarketConfig,
    data: sources.Data,
    strategy: LoadedStrategy,
    backend: Backend | None,
    advance: Advance,
    note: Note | None = None,
) -> sources.MarketCandles:
    """Load the candles as `market_data.sources.load_candles` does, with the edge to plant.

    ``strategy`` and ``backend`` (None: the best that there is) serve a planted edge alone.

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
    engine = choose().backend if backend is None else backend
    edge = plant_edge(loaded.candles, strategy, planted, plant.sharpe, engine, costs)
    losing, missed = edge.sharpe <= 0.0, abs(edge.sharpe - plant.sharpe) > TOO_FAR
    if losing or missed:
        # Signals that know the future have an edge already, and that is the thing to say.
        refuse_look_ahead(single_point(strategy, planted), loaded.candles)
    whose = f"{strategy.name} with {written(planted)}"
    net = "after" if costs else "before"
    if losing:
        raise OutOfReachError(
            f"No edge could be planted for {whose}: whatever the drift, its Sharpe ratio {net}"
            f" costs is not above 0 here (the nearest is {edge.sharpe:.2f}). A run on these candles"
            " would say nothing about an edge. Take a coarser market.timeframe, plant a combination"
            " that trades more rarely or gives its trades more room"
            " (data.plant.parameters.NAME=VALUE), or take market=demo_null, which has no edge."
            " docs/training.md (2. Candles) says why."
        )
    if missed and not plant.nearest:
        raise OutOfReachError(
            f"data.plant.sharpe={plant.sharpe:g} is out of reach of {whose}: the nearest is"
            f" {edge.sharpe:.2f}. Ask for that, plant another combination"
            " (data.plant.parameters.NAME=VALUE), or give data.plant.nearest=true."
        )
    sentence = (
        f"edge: planted along the signals of {whose}, which makes {edge.trades:,} trades here and"
        f" a Sharpe ratio of {edge.sharpe:.2f} {net} costs"
    )
    if edge.trades < FEW_TRADES:
        sentence += (
            "; so few can hardly be told from luck: take a finer market.timeframe or more data.days"
        )
    return replace(loaded, candles=edge.candles, warnings=(*loaded.warnings, sentence))
