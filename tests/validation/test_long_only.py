"""A trend follower that only buys, on a coin that rose: the case that alpha is there for.

The search is the whole default grid of DONCHIAN BREAKOUT. On Binance's years it earned less than
holding the coin and its Sharpe ratio beats luck.
"""

import pytest

from gpu_engine import Costs, RiskLimits, choose
from pipeline.config import Rolling, WalkForward
from pipeline.search import Evaluator
from pipeline.search.loop import SearchSettings
from pipeline.search.space import make_space
from pipeline.strategies.donchian_breakout import STRATEGY
from pipeline.validation.out_of_sample import judged_figures, statistics
from pipeline.validation.stages import judge
from pipeline.validation.walk_forward import validate
from pipeline.validation.windows import final_window, splits, whole_days
from support.real_candles import real_candles
from support.validation import LUCK

pytestmark = pytest.mark.slow

DAYS = {"train": 90, "gap": 7, "test": 30, "step": None} | LUCK
WINDOWS = {
    "rolling": Rolling(method="rolling", **DAYS),
    "walk_forward": WalkForward(method="walk_forward", max_train=720, **DAYS),
}
SETTINGS = SearchSettings("grid", 0, 10, "net_profit", "plateau", 5, seed=0)


def outcome(candles, windows, fraction=1.0):
    """Out-of-sample metrics, statistics, and the stage if the search were no luck at all."""
    space = make_space(STRATEGY, {p.name: p for p in STRATEGY.parameters}, False)
    risk = RiskLimits(fraction, direction="long")
    evaluator = Evaluator(candles, space, Costs(), risk, choose("numba").backend)
    days = whole_days(candles)
    parts, final = splits(windows, days), final_window(windows, days)
    validation = validate(evaluator, parts, final, SETTINGS, fraction, lambda n: None)
    found = statistics(validation, evaluator, seed=0)
    no_luck = {"surrogate_p": 0.001, "reality_check_p": 0.001}
    stage, _ = judge(judged_figures(validation) | found | no_luck)
    return validation.metrics, found, stage


@pytest.mark.parametrize(
    ("method", "fraction"), [("rolling", 1.0), ("walk_forward", 1.0), ("walk_forward", 0.5)]
)
def test_an_edge_that_is_only_the_coin_is_not_validation(method, fraction):
    """Binance, 2017 to 2024: a good Sharpe ratio, no luck by its own test, and no alpha.

    Half a position rides the market as a whole one does.
    """
    candles = real_candles("binance_BTC-USDT_1h_2017-08_2024-04")
    metrics, found, stage = outcome(candles, WINDOWS[method], fraction)
    assert metrics["sharpe_ratio"] > 0.5
    assert found["p_value"] < 0.05
    assert metrics["sample_size"] > 100
    assert found["excess_net_profit"] < 0.0
    assert found["beta"] > 0.2
    assert found["alpha_p"] > 0.05
    assert found["sides"]["short"]["trades"] == 0
    assert stage == "DISCOVERY"


@pytest.mark.parametrize("method", WINDOWS)
def test_eight_years_pass_only_with_an_alpha(method):
    """Kraken, the last eight years to 2023: whatever the windows, the stage follows the alpha."""
    whole = real_candles("kraken_BTC-USD_1h_2013-10_2023-01")
    candles = whole.cut(len(whole) - 8 * 365 * 24, len(whole))
    metrics, found, stage = outcome(candles, WINDOWS[method])
    assert found["beta"] > 0.2
    assert metrics["net_profit"] > 0.0
    passed = stage in ("VALIDATION", "MATURE")
    assert passed == (found["alpha_p"] < 0.05 and metrics["sharpe_ratio"] >= 0.5)
