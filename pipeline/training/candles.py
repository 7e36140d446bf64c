"""Load the candles of a run and plant an edge in them where one was asked for.

After every signal of one combination the price drifts its way for a while, which tests whether a
search finds it. The strength is what a trader would call it: the annualised Sharpe ratio of that
combination on these candles, before costs or after them. Everything else about the candles stays as
it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gpu_engine import Advance, Backend, Candles, Costs, Float, RiskLimits, Window, choose
from pipeline.causality import refuse_look_ahead
from pipeline.config import CcxtData, MarketConfig
from pipeline.errors import Note, UserError
from pipeline.market_data import sources
from pipeline.search import Evaluator, single_point
from pipeline.strategies.base import Strategy
from pipeline.strategies.indicators import average_true_range
from pipeline.strategies.registry import LoadedStrategy
from pipeline.validation.wording import setting

#: Of fewer in a year too few lie out of sample: 30 must (validation rules §6), in 240 of 365 days.
FEW_TRADES = 50

#: Bars over which the drift of one signal is spread, from the entry bar on.
DRIFT_BARS = 24
#: Error of the Sharpe ratio that ends the bisection, and the one that is a miss. A trade that
#: turns from stop to target moves the ratio by a tenth or more, so not every value can be reached.
CLOSE_ENOUGH, TOO_FAR = 0.02, 0.5
#: Largest drift tried, in ATR of the signal bar; and the weaker ones tried where bisection loses.
LARGEST_DRIFT = 16.0
WEAKER_DRIFTS = tuple(LARGEST_DRIFT / 2**halvings for halvings in range(2, 10))

FREE = (Costs(0.0, 0.0), RiskLimits(max_daily_loss=None, consecutive_losses_limit=None))


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


def combination(
    strategy: LoadedStrategy, parameters: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return the combination to plant: ``parameters``, and the strategy's example for the rest."""
    return {**strategy.example, **parameters}


class OutOfReachError(UserError):
    """No drift gives the planted combination that Sharpe ratio on these candles."""


@dataclass(frozen=True, eq=False)
class PlantedEdge:
    """Candles with an edge, and what its combination makes of all of them."""

    candles: Candles
    sharpe: float  # annualised
    trades: int


def plant_edge(
    candles: Candles,
    strategy: Strategy,
    parameters: Mapping[str, float | None],
    sharpe: float,
    backend: Backend,
    costs: Costs | None = None,
) -> PlantedEdge:
    """Lay an edge of Sharpe ratio ``sharpe`` over ``candles``, or the nearest within reach.

    A combination that trades on few days cannot have a high ratio: most days stay at 0. The drift
    is found by bisection: each strength is planted and simulated over all candles. Signals are
    those of the candles before planting, free of costs and breakers.

    A drift makes new signals too, and a strategy that fades a move trades against it: there a
    stronger drift earns less, and bisection runs the wrong way. So weaker ones are tried as well
    where it found none that earns. The nearest may lose all the same: then there is no edge.

    Parameters
    ----------
    candles : Candles
        Without an edge of their own.
    strategy : Strategy
    parameters : mapping of str to float or None
        The planted combination.
    sharpe : float
        Annualised.
    backend : Backend
    costs : Costs, optional
        What the ratio is net of; the circuit breakers then act as they do by default
        (fills rules §9). By default it is gross: no costs and no breakers.

    Raises
    ------
    UserError
        When the combination has no trade.
    """
    combination = _Combination(strategy, parameters, backend, costs)
    unit = combination.unit_drift(candles)
    if not unit.any():
        raise UserError(
            f"{strategy.name} has no signal on these {len(candles):,} candles with"
            f" {written(parameters)}: no edge can be planted along its signals. Choose looser"
            " values (data.plant.parameters.NAME=VALUE), a finer market.timeframe, or more"
            " data.days."
        )
    low, high = 0.0, LARGEST_DRIFT
    nearest, error = PlantedEdge(candles, 0.0, 0), np.inf
    while high - low > 1e-3 and abs(error) > CLOSE_ENOUGH:
        drift = (low + high) / 2.0
        edge = combination.traded(shifted(candles, drift * unit))
        if abs(edge.sharpe - sharpe) < abs(error):
            nearest, error = edge, edge.sharpe - sharpe
        low, high = (drift, high) if edge.sharpe < sharpe else (low, drift)
    if nearest.sharpe <= 0.0:
        weaker = [combination.traded(shifted(candles, drift * unit)) for drift in WEAKER_DRIFTS]
        nearest = min((nearest, *weaker), key=lambda edge: abs(edge.sharpe - sharpe))
    return nearest


def written(parameters: Mapping[str, float | None]) -> str:
    """Write a combination in one line."""
    return ", ".join(f"{name}={setting(value)}" for name, value in parameters.items())


class _Combination:
    """One combination, simulated over all candles; without ``costs`` free of breakers too."""

    def __init__(
        self,
        strategy: Strategy,
        parameters: Mapping[str, float | None],
        backend: Backend,
        costs: Costs | None,
    ) -> None:
        self._rules = FREE if costs is None else (costs, RiskLimits())
        self._space = single_point(strategy, parameters)
        self._point = self._space.points(np.zeros(1, np.int64))[0]
        self._backend = backend

    def unit_drift(self, candles: Candles) -> Float:
        """Log drift of every bar when each signal's total is one ATR; shape (n,).

        A filled bar is one price, the close before it (candles rules §1): it does not drift.
        """
        trades = self._evaluator(candles, *FREE).trades(self._point, Window(0, len(candles)))
        atr = average_true_range(candles)[trades["signal_bar"]]
        per_bar = trades["side"] * atr / trades["entry"] / DRIFT_BARS
        ends = np.minimum(trades["entry_bar"] + DRIFT_BARS, len(candles))
        steps = np.zeros(len(candles) + 1)
        np.add.at(steps, trades["entry_bar"], per_bar)
        np.add.at(steps, ends, -per_bar)
        return np.where(candles.filled, 0.0, np.cumsum(steps)[:-1])

    def traded(self, candles: Candles) -> PlantedEdge:
        """Simulate it over all candles."""
        windows = (Window(0, len(candles)),)
        metrics = self._evaluator(candles, *self._rules).points(self._point[None], windows)[0, 0]
        return PlantedEdge(candles, float(metrics["sharpe_ratio"]), int(metrics["sample_size"]))

    def _evaluator(self, candles: Candles, costs: Costs, limits: RiskLimits) -> Evaluator:
        return Evaluator(candles, self._space, costs, limits, self._backend)


def shifted(candles: Candles, drift: Float) -> Candles:
    """Candles whose log price drifts by ``drift[t]`` during bar ``t``.

    The open keeps what had drifted before; the extremes take the further of both ends, so that
    they still enclose open and close.
    """
    after = np.exp(np.cumsum(drift))
    before = np.concatenate(([1.0], after[:-1]))
    return replace(
        candles,
        open=candles.open * before,
        high=candles.high * np.maximum(before, after),
        low=candles.low * np.minimum(before, after),
        close=candles.close * after,
    )
