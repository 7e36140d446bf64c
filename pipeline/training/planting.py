"""Lay a known edge over candles, to test whether a search finds it.

After every signal of one combination the price drifts its way for a while. The strength is what
a trader would call it: the annualised Sharpe ratio of that combination on these candles, before
costs or after them. Everything else about the candles stays as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gpu_engine import Backend, Candles, Costs, Float, RiskLimits, Window
from pipeline.errors import UserError
from pipeline.search import Evaluator, single_point
from pipeline.strategies.base import Strategy
from pipeline.strategies.indicators import average_true_range
from pipeline.strategies.registry import LoadedStrategy
from pipeline.validation.wording import setting

#: Bars over which the drift of one signal is spread, from the entry bar on.
DRIFT_BARS = 24
#: Error of the Sharpe ratio that ends the bisection, and the one that is a miss. A trade that
#: turns from stop to target moves the ratio by a tenth or more, so not every value can be reached.
CLOSE_ENOUGH, TOO_FAR = 0.02, 0.5
#: Largest drift tried, in ATR of the signal bar; and the weaker ones tried where bisection loses.
LARGEST_DRIFT = 16.0
WEAKER_DRIFTS = tuple(LARGEST_DRIFT / 2**halvings for halvings in range(2, 10))

FREE = (Costs(0.0, 0.0), RiskLimits(max_daily_loss=None, consecutive_losses_limit=None))


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
