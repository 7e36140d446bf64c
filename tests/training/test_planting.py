"""A planted edge: as strong as asked for, and nothing else about the candles changed."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import Costs, RiskLimits, Window
from pipeline.config import TrainConfig
from pipeline.config import load as compose
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.search.evaluator import Evaluator
from pipeline.search.space import single_point
from pipeline.strategies.liquidity_sweep import LiquiditySweep
from pipeline.training.candles import (
    DRIFT_BARS,
    TOO_FAR,
    OutOfReachError,
    load_candles,
    plant_edge,
    shifted,
)
from support.backends import named
from support.parameters import DEPTH, combination
from support.runs import run_here

NUMBA = named("numba")
DAYS = 40
PLANTED = combination(0.001, 3, 1.5, 0.5, 50, 1.0, 2.0)


def null_candles(seed=0):
    return make_regular(synthetic_candles(DAYS, "5m", seed), "5m", "generated")[0]


@pytest.fixture(scope="module")
def candles():
    """Without an edge, and with a hole in the middle of the first trade's drift."""
    candles = null_candles()
    hole = int(trades_of(candles)["entry_bar"][0]) + 3
    filled = candles.filled.copy()
    filled[hole] = True
    price = {name: column.copy() for name, column in vars(candles).items() if name in PRICES}
    for column in price.values():
        column[hole] = candles.close[hole - 1]
    return replace(candles, filled=filled, **price)


PRICES = ("open", "high", "low", "close")


def plant(candles, sharpe, **changes):
    return plant_edge(candles, LiquiditySweep(), {**PLANTED, **changes}, sharpe, NUMBA).candles


FREE = (Costs(0.0, 0.0), RiskLimits(max_daily_loss=None, consecutive_losses_limit=None))
CHEAP = Costs(0.0004, 0.0001)


def simulated(candles, costs=FREE[0], risk=FREE[1]):
    """An evaluator, the planted point, and the whole history."""
    space = single_point(LiquiditySweep(), PLANTED)
    evaluator = Evaluator(candles, space, costs, risk, NUMBA)
    return evaluator, space.points(np.zeros(1, np.int64))[0], Window(0, len(candles))


def gross_sharpe(candles):
    return sharpe_of(simulated(candles))


def net_sharpe(candles):
    return sharpe_of(simulated(candles, CHEAP, RiskLimits()))


def sharpe_of(simulation):
    evaluator, point, window = simulation
    return float(evaluator.points(point[None], (window,))["sharpe_ratio"][0, 0])


def trades_of(candles, *rules):
    evaluator, point, window = simulated(candles, *rules)
    return evaluator.trades(point, window)


@pytest.fixture(scope="module")
def planted(candles):
    return plant(candles, 8.0)


@pytest.mark.parametrize("sharpe", [3.0, 6.0, 10.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_gross_sharpe_is_what_was_asked_for(sharpe, seed):
    candles = null_candles(seed)
    assert gross_sharpe(candles) < 2.0
    assert gross_sharpe(plant(candles, sharpe)) == pytest.approx(sharpe, abs=TOO_FAR)


@pytest.mark.parametrize("sharpe", [1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_net_sharpe_is_what_was_asked_for(sharpe, seed):
    """After costs and with circuit breakers: more than that much is left without them."""
    candles = null_candles(seed)
    edge = plant_edge(candles, LiquiditySweep(), PLANTED, sharpe, NUMBA, CHEAP)
    assert net_sharpe(edge.candles) == edge.sharpe == pytest.approx(sharpe, abs=TOO_FAR)
    assert gross_sharpe(edge.candles) > sharpe + 1
    assert edge.trades == len(trades_of(edge.candles, CHEAP, RiskLimits()))


def test_prices_stay_candles(planted):
    assert (planted.low <= np.minimum(planted.open, planted.close)).all()
    assert (planted.high >= np.maximum(planted.open, planted.close)).all()
    assert (planted.low > 0).all()


def test_a_filled_bar_stays_the_close_before_it(planted):
    filled = np.flatnonzero(planted.filled)
    assert len(filled) >= 1
    for name in PRICES:
        np.testing.assert_allclose(
            getattr(planted, name)[filled], planted.close[filled - 1], rtol=1e-14
        )


def test_opens_follow_closes_as_before(candles, planted):
    gap = np.log(candles.open[1:] / candles.close[:-1])
    np.testing.assert_allclose(np.log(planted.open[1:] / planted.close[:-1]), gap, atol=1e-12)


def test_nothing_else_changes(candles, planted):
    for name in ("timestamp", "volume", "filled"):
        np.testing.assert_array_equal(getattr(planted, name), getattr(candles, name))
    assert planted.step_ms == candles.step_ms


def test_nothing_changes_before_the_first_entry(candles, planted):
    first = int(trades_of(candles)["entry_bar"][0])
    for name in PRICES:
        np.testing.assert_array_equal(
            getattr(planted, name)[:first], getattr(candles, name)[:first]
        )
    assert planted.open[first] == candles.open[first]
    assert planted.close[first] != candles.close[first]


def test_price_drifts_the_way_of_each_signal(candles, planted):
    trades = trades_of(candles)
    last = len(candles) - 1
    drift = np.log(planted.close / candles.close)
    before = np.concatenate(([0.0], drift))[trades["entry_bar"]]
    after = drift[np.minimum(trades["entry_bar"] + DRIFT_BARS - 1, last)]
    # Signals that overlap may pull against one another; alone they all go their way.
    bars = trades["entry_bar"]
    alone = np.diff(bars, prepend=-DRIFT_BARS, append=last)
    alone = (alone[:-1] >= DRIFT_BARS) & (alone[1:] >= DRIFT_BARS)
    assert alone.sum() > 20
    assert (trades["side"] * (after - before))[alone].min() > 0


def test_the_same_plant_gives_the_same_candles(candles, planted):
    assert plant(candles, 8.0).sha256 == planted.sha256


def test_backends_plant_alike(candles, planted):
    numpy = named("numpy")
    again = plant_edge(candles, LiquiditySweep(), PLANTED, 8.0, numpy).candles
    np.testing.assert_allclose(again.close, planted.close, rtol=1e-12)


def test_a_strength_out_of_reach_gives_the_nearest(candles):
    edge = plant_edge(candles, LiquiditySweep(), PLANTED, 60.0, NUMBA)
    assert 8.0 < edge.sharpe < 60.0
    assert gross_sharpe(edge.candles) == edge.sharpe


#: A search of daily candles needs so many days.
DAILY = ("validation.train=200",)


@pytest.mark.parametrize(
    ("strategy", "timeframe"),
    [("supply_shock", "15m"), ("donchian_breakout", "1h")]
    + [("liquidity_sweep", timeframe) for timeframe in ("5m", "15m", "1h", "4h", "1d")],
)
def test_every_timeframe_of_the_demo_has_an_edge_after_costs(strategy, timeframe):
    """Of the strength asked for where the combination trades often, and less where it cannot."""
    words = ("market=demo", f"market.timeframe={timeframe}", f"strategy={strategy}", *DAILY)
    config = demo_config(*words)
    null = demo_config("market=demo_null", *words[1:])
    market, without = load(config), load(null)
    loaded = config.strategy.load()
    space, rules = single_point(loaded, loaded.example), (config.costs.record(), RiskLimits())

    def figures(candles):
        window = (Window(0, len(candles)),)
        point = space.points(np.zeros(1, np.int64))
        return Evaluator(candles, space, *rules, NUMBA).points(point, window)[0, 0]

    edge, none = figures(market.candles), figures(without.candles)
    assert edge["sharpe_ratio"] > none["sharpe_ratio"] + 0.5
    assert edge["sharpe_ratio"] < 4.86 + TOO_FAR
    if edge["sample_size"] >= 100:
        assert edge["sharpe_ratio"] == pytest.approx(4.86, abs=TOO_FAR)
    (sentence,) = market.warnings
    assert f"{edge['sample_size']:,} trades here" in sentence
    assert f"{edge['sharpe_ratio']:.2f} after costs" in sentence
    assert ("so few" in sentence) == (edge["sample_size"] < 50)
    assert without.warnings == ()


def demo_config(*words):
    return compose(list(words), TrainConfig, "train")


def load(config):
    loaded = config.strategy.load()
    return load_candles(config.market, config.data, loaded, NUMBA, lambda bars: None)


def test_the_demo_of_5m_is_as_strong_before_costs_as_it_was():
    """Its figures stand in the pages: a Sharpe ratio of 8 before costs is 4.86 after them."""
    config = demo_config("market=demo")
    raw = demo_config("market=demo", "data.plant.costs=null", "data.plant.sharpe=8")
    assert load(config).candles.sha256 == load(raw).candles.sha256


def test_the_costs_of_the_demos_edge_are_those_of_its_exchange():
    config = demo_config("market=demo")
    assert config.data.plant.costs.record() == config.costs.record()


def test_a_strength_out_of_reach_is_refused_unless_the_nearest_will_do():
    words = ("market=demo", "market.timeframe=1h", "data.plant.sharpe=20")
    with pytest.raises(OutOfReachError, match=r"the nearest is (\d\.\d\d)") as refusal:
        load(demo_config(*words, "data.plant.nearest=false"))
    nearest = str(refusal.value).split("nearest is ")[1][:4]
    assert f"{nearest} after costs" in load(demo_config(*words)).warnings[0]


def test_a_combination_without_signals_cannot_be_planted(candles):
    with pytest.raises(UserError, match=f"{DEPTH}=0.9"):
        plant(candles, 8.0, **{DEPTH: 0.9})


def test_shifted_by_nothing_is_the_same(candles):
    assert shifted(candles, np.zeros(len(candles))).sha256 == candles.sha256


FADE = """
import numpy as np
from gpu_engine import EventTable
from pipeline.strategies.base import Parameter
from pipeline.strategies.indicators import average_true_range
class Fade:
    name = "FADE_V1"
    parameters = (
        Parameter("stretch", "threshold", "ATR", sense=+1, minimum=0, grid=(1, 3), meaning="s"),
        Parameter("stop_distance", "exit", "ATR", grid=(2, 3), meaning="s"),
        Parameter("target_reach", "exit", "part", grid=(0.5, 1), meaning="t"),
        Parameter("holding_bars", "exit", "bars", integer=True, grid=(12, 48), meaning="h"),
    )
    def events(self, candles, loosest):
        return Events(candles)
class Events:
    def __init__(self, candles):
        self.candles, self.atr = candles, average_true_range(candles)
    def table(self, structural):
        sums = np.cumsum(self.candles.close)
        mean = np.full(len(sums), np.nan)
        mean[49:] = (sums[49:] - np.append(0.0, sums[:-50])) / 50
        away = (self.candles.close - mean) / self.atr
        signal = np.flatnonzero(~self.candles.filled & (self.atr > 0) & (np.abs(away) >= 1))
        bar = signal.astype(np.int32)
        return EventTable(
            setup_bar=bar, signal_bar=bar, side=np.where(away[signal] < 0, 1, -1).astype(np.int8),
            atr=self.atr[signal], features=np.abs(away[signal])[:, np.newaxis],
            target_level=mean[signal],
        )
STRATEGY = Fade()
"""
NARROW = {"stretch": 1, "stop_distance": 2, "target_reach": 0.5, "holding_bars": 12}
ROOMY = {"stretch": 3, "stop_distance": 3, "target_reach": 1, "holding_bars": 48}


def faded(folder, timeframe, parameters):
    """The words of a demo market with an edge for a strategy that fades moves."""
    (folder / "fade.py").write_text(FADE, "utf-8")
    planted = (f"data.plant.parameters.{name}={value}" for name, value in parameters.items())
    return (
        f"strategy={folder / 'fade.py'}",
        "market=demo",
        f"market.timeframe={timeframe}",
        *planted,
    )


def loaded_with_sharpe(config, parameters):
    """The candles with the edge, and the planted combination's Sharpe ratio after costs there."""
    market, strategy = load(config), config.strategy.load()
    space = single_point(strategy, parameters)
    evaluator = Evaluator(market.candles, space, config.costs.record(), RiskLimits(), NUMBA)
    windows = (Window(0, len(market.candles)),)
    figures = evaluator.points(space.points(np.zeros(1, np.int64)), windows)[0, 0]
    return market, float(figures["sharpe_ratio"])


@pytest.mark.parametrize(
    ("timeframe", "parameters"),
    [
        pytest.param("5m", NARROW, marks=pytest.mark.slow),
        ("1h", NARROW),
        pytest.param("5m", ROOMY | {"target_reach": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_a_combination_that_every_drift_leaves_losing_has_no_edge(tmp_path, timeframe, parameters):
    """It was called an edge with a Sharpe ratio of -8, over prices of 900,000."""
    with pytest.raises(OutOfReachError, match=r"No edge could be planted for FADE_V1") as refusal:
        load(demo_config(*faded(tmp_path, timeframe, parameters)))
    assert float(str(refusal.value).split("the nearest is ")[1].split(")")[0]) <= 0.0


def test_a_weak_drift_lifts_what_a_strong_one_sinks(tmp_path):
    """Bisection alone ends at a ratio below -4 and many times the price."""
    market, sharpe = loaded_with_sharpe(demo_config(*faded(tmp_path, "1h", ROOMY)), ROOMY)
    assert sharpe == pytest.approx(3.04, abs=0.01)
    assert f"{sharpe:.2f} after costs" in market.warnings[-1]
    null = load(demo_config("market=demo_null", "market.timeframe=1h")).candles
    assert market.candles.close.max() < 2 * null.close.max()


def test_the_advice_on_a_market_without_an_edge_works(tmp_path):
    """Another combination or a coarser timeframe has an edge; the null needs none."""
    for timeframe, parameters in (("1h", ROOMY), ("1d", NARROW)):
        config = demo_config(*faded(tmp_path, timeframe, parameters), *DAILY)
        assert loaded_with_sharpe(config, parameters)[1] > 0.5
    assert load(demo_config("market=demo_null", f"strategy={tmp_path / 'fade.py'}")).warnings == ()


def test_a_training_without_a_planted_edge_stores_nothing(tmp_path):
    finished = run_here(tmp_path, *faded(tmp_path, "1h", NARROW))
    assert finished.status == 2
    assert "No edge could be planted for FADE_V1" in finished.out + finished.err
    assert finished.configurations == []
