"""The candles of a run: from a file, an exchange or the generator, checked and cut to size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpu_engine.backend import Backend
from pipeline.cli.console import Advance, Note
from pipeline.config import CcxtData, FileData, MarketConfig, SyntheticData
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, check
from pipeline.market_data.rearranged import SURROGATES
from pipeline.market_data.sources import MarketCandles, _raw, compared
from pipeline.strategies.base import Strategy
from pipeline.training.planting import plant_edge


def load_candles(
    market: MarketConfig,
    data: FileData | CcxtData | SyntheticData,
    strategy: Strategy,
    backend: Backend,
    advance: Advance,
    note: Note | None = None,
) -> MarketCandles:
    """Load the candles of ``market`` and hold them against the quality limits.

    ``strategy`` and ``backend`` serve a planted edge alone. ``note`` hears what is waited for.

    Raises
    ------
    UserError
        When there are none, they are broken, or a limit is exceeded.
    """
    raw, source, warnings = _raw(market, data, advance, note)
    candles, report = make_regular(raw, market.timeframe, source)
    if isinstance(data, CcxtData):
        report = compared(report, raw, market, data)
    check(report, QualityLimits(**data.quality.model_dump()))
    if isinstance(data, SyntheticData):
        if data.plant is not None:
            plant = data.plant
            candles = plant_edge(candles, strategy, plant.parameters, plant.sharpe, backend)
    elif data.surrogate is not None:
        kind, seed = data.surrogate.kind, data.surrogate.seed
        candles = SURROGATES[kind](candles, np.random.default_rng(seed))
        report = replace(report, source=f"{report.source}, {kind} with seed {seed}")
    return MarketCandles(candles, report, warnings, data.synthetic)
