import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from gpu_engine import DAY_MS, Candles
from pipeline.errors import UserError
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, check
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.synthetic import FIRST_MS, OUTAGES_A_YEAR, synthetic_candles
from support.martingale import barrier_gains, correlation, t_statistic

SEEDS = range(3)
LOOKBACK, PIERCE, SPIKE = 100, 0.0005, 1.5  # the loosest of liquidity_sweep rules §3


def regular(*arguments, **options) -> Candles:
    return make_regular(synthetic_candles(*arguments, **options), arguments[1], "synthetic")[0]


@pytest.fixture(scope="module")
def years() -> list[Candles]:
    return [regular(365, "5m", seed) for seed in SEEDS]


def returns(candles: Candles) -> np.ndarray:
    return np.diff(np.log(candles.close))


def sweeps(candles: Candles) -> tuple[np.ndarray, np.ndarray]:
    """Bars and sides of the sweeps of liquidity_sweep rules §4, without density and spread."""
    bars, sides = [], []
    volume = candles.volume
    baseline = sliding_window_view(volume, 20).mean(axis=1)[LOOKBACK - 20 : -1]
    spiked = volume[LOOKBACK:] >= SPIKE * baseline
    for side, extreme in ((+1, candles.low), (-1, -candles.high)):
        window = sliding_window_view(extreme, 7)
        swing = (window[:, [3]] < np.delete(window, 3, axis=1)).all(axis=1)
        swings = np.full(len(extreme), np.inf)
        swings[3:-3] = np.where(swing, extreme[3:-3], np.inf)
        recent = sliding_window_view(swings, LOOKBACK - 3)[: len(extreme) - LOOKBACK]
        level, now = recent.min(axis=1), extreme[LOOKBACK:]
        intact = level < side * candles.close[LOOKBACK - 1 : -1]
        sweep = (
            intact & (level - now >= PIERCE * np.abs(level)) & spiked & ~candles.filled[LOOKBACK:]
        )
        bars.append(LOOKBACK + np.flatnonzero(sweep))
        sides.append(np.full(len(bars[-1]), side))
    return np.concatenate(bars), np.concatenate(sides)


def test_a_seed_determines_the_candles():
    first, again, other = (regular(30, "5m", seed).sha256 for seed in (1, 1, 2))
    assert first == again != other


def test_the_candles_of_a_seed_do_not_change_unnoticed():
    assert regular(90, "1h", 7).sha256[:16] == "4be51ea843ac50ac"


@pytest.mark.parametrize(("timeframe", "bars"), [("5m", 288), ("1h", 24), ("4h", 6), ("1d", 1)])
def test_the_grid_is_whole_days(timeframe, bars):
    candles = regular(90, timeframe, 3)
    assert len(candles) == 90 * bars
    assert candles.timestamp[0] == FIRST_MS
    assert candles.timestamp[0] % DAY_MS == 0


def test_quality_is_within_the_default_limits_and_outages_exist():
    _, report = make_regular(synthetic_candles(365, "15m", 0), "15m", "synthetic")
    check(report, QualityLimits())
    assert report.ohlc_violations == 0
    assert report.gaps == OUTAGES_A_YEAR
    assert report.filled >= OUTAGES_A_YEAR


def test_prices_lie_on_their_tick():
    candles = synthetic_candles(30, "5m", 0)
    for name in ("open", "high", "low", "close"):
        price = getattr(candles, name)
        np.testing.assert_array_equal(price, np.round(price, 2))


@pytest.mark.parametrize("timeframe", ["5m", "1h"])
@pytest.mark.parametrize("asked", [0.3, 0.6, 1.0])
def test_volatility_is_the_one_asked_for(asked, timeframe):
    candles = regular(180, timeframe, 11, annual_volatility=asked)
    r = returns(candles)
    assert r.std() * np.sqrt(len(r) * 365 / 180) == pytest.approx(asked, rel=0.25)


def test_returns_have_fat_tails_and_clusters_but_no_memory_of_sign(years):
    for candles in years:
        r = returns(candles)
        z, size = r / r.std(), np.abs(r)
        assert np.mean(z**4) > 10
        assert 0.15 < correlation(size[:-1], size[1:]) < 0.45
        assert 0.05 < correlation(size[:-50], size[50:]) < 0.25
        assert abs(correlation(np.sign(r[:-1]), np.sign(r[1:]))) < 4 / np.sqrt(len(r))


def test_volume_follows_the_range(years):
    for candles in years:
        spread = np.log(candles.high / candles.low)
        assert correlation(spread, candles.volume) > 0.5
        body = np.abs(np.log(candles.close / candles.open))
        assert 1.7 < spread.mean() / body.mean() < 2.3


def test_sweeps_are_as_frequent_as_on_real_candles(years):
    # BTC 2023: 2,100 a year; BTC, ETH and SOL 2024: 2,188, 2,199, 2,382; seeds 0-9: 2,602-2,859.
    for candles in years:
        assert 1_800 < len(sweeps(candles)[0]) < 3_200


@pytest.mark.parametrize("market", ["BTC-USDT_5m_2023-01_2023-12", "SOL-USDT_5m_2024-01_2024-09"])
def test_real_candles_sweep_as_often_as_the_docstring_says(market, data_folder):
    table = pd.read_parquet(data_folder / f"binance_{market}.parquet")
    raw = RawCandles(*(table[name].to_numpy(copy=True) for name in COLUMNS))
    candles, _ = make_regular(raw, "5m", market)
    a_year = len(sweeps(candles)[0]) * 365 * 288 / len(candles)
    assert 1_800 < a_year < 3_200


@pytest.mark.parametrize("holding", [1, 3, 12])
def test_sweeps_foretell_nothing(years, holding):
    gains = []
    for candles in years:
        bar, side = sweeps(candles)
        inside = bar + holding < len(candles)
        entry, side = bar[inside] + 1, side[inside]
        gains.append(side * (candles.close[entry + holding - 1] / candles.open[entry] - 1))
    assert abs(t_statistic(np.concatenate(gains))) < 3


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize("barrier", [-0.002, -0.0005, 0.0005, 0.002])
def test_no_stop_or_target_inside_a_bar_earns_anything(years, side, barrier):
    """Optional stopping holds for the path inside the bar, not only for the closes."""
    gains = [barrier_gains(candles, side, barrier) for candles in years]
    assert abs(t_statistic(np.concatenate(gains))) < 3


@pytest.mark.parametrize(
    ("days", "seed", "volatility", "named"),
    [
        (0, 1, 0.6, "days >= 1"),
        (10, -1, 0.6, "seed >= 0"),
        (10, 1, 0.0, "annual_volatility > 0"),
        (10, 1, float("nan"), "annual_volatility > 0"),
        (3650, 1, 2.0, "lower the volatility"),
    ],
)
def test_impossible_arguments_are_refused(days, seed, volatility, named):
    with pytest.raises(UserError, match=named):
        synthetic_candles(days, "5m", seed, volatility)
