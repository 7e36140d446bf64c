"""A trend follower that only buys, on a coin that rose: the case that alpha is there for.

Its table comes from `support.plain_tables`; the search is the whole grid of its definition. On
Binance's years it earned less than holding the coin and its Sharpe ratio beats luck.
"""

from functools import cache
from typing import NamedTuple

import pytest

from gpu_engine import Candles, Costs, RiskLimits, choose
from pipeline.config import Rolling, WalkForward
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.search import Evaluator
from pipeline.search.loop import SearchSettings
from pipeline.search.space import make_space
from pipeline.strategies.base import Parameter
from pipeline.validation.out_of_sample import judged_figures, statistics
from pipeline.validation.stages import judge
from pipeline.validation.walk_forward import validate
from pipeline.validation.windows import final_window, splits, whole_days
from support.plain_tables.donchian_breakout import event_table
from support.runs import ROOT
from support.spaces import Values
from support.validation import LUCK

pytestmark = pytest.mark.slow

DAYS = {"train": 90, "gap": 7, "test": 30, "step": None} | LUCK
WINDOWS = {
    "rolling": Rolling(method="rolling", **DAYS),
    "walk_forward": WalkForward(method="walk_forward", max_train=720, **DAYS),
}
GRID = {
    "entry_channel": Values((20.0, 50.0, 100.0, 200.0, 400.0)),
    "exit_channel": Values((10.0, 20.0, 50.0, 100.0)),
    "volume_factor": Values((0.0, 1.0, 1.5, 2.0)),
    "stop_distance": Values((1.0, 2.0, 3.0, 4.0)),
}
SETTINGS = SearchSettings("grid", 0, 10, "net_profit", "plateau", 5, seed=0)


class Tables(NamedTuple):
    """Event tables of one market, each made once for all windows."""

    candles: Candles

    def table(self, structural):
        return _table(self.candles, *structural.values())


@cache
def _table(candles, entry_channel, exit_channel):
    channels = {"entry_channel": entry_channel, "exit_channel": exit_channel}
    return event_table(candles, channels)


class DonchianBreakout:
    """A strategy as the product has them, over the plain table."""

    name = "DONCHIAN_BREAKOUT"
    parameters = (
        Parameter("entry_channel", "structural", "bars", integer=True),
        Parameter("exit_channel", "structural", "bars", integer=True),
        Parameter("volume_factor", "threshold", "x baseline", sense=+1),
        Parameter("stop_distance", "exit", "ATR"),
    )

    def events(self, candles, loosest):
        return Tables(candles)


@cache
def real_candles(name):
    path = ROOT / f"../shared/data/{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in shared/data beside the repository")
    return make_regular(read_file(path), "1h", path.name)[0]


def outcome(candles, windows, fraction=1.0):
    """Out-of-sample metrics, statistics, and the stage if the search were no luck at all."""
    space = make_space(DonchianBreakout(), GRID, False)
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
