"""The second market without an edge: its habits, and that nothing foretells a direction."""

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.errors import UserError
from pipeline.market_data.garch import garch_candles
from pipeline.market_data.grid import make_regular
from pipeline.market_data.quality.report import QualityLimits, check
from pipeline.market_data.synthetic import FIRST_MS, OUTAGES_A_YEAR
from support.martingale import barrier_gains, correlation, t_statistic

SEEDS = range(3)


def regular(*arguments, **options):
    return make_regular(garch_candles(*arguments, **options), arguments[1], "garch")[0]


@pytest.fixture(scope="module")
def years():
    return [regular(365, "5m", seed) for seed in SEEDS]


def test_a_seed_determines_the_candles():
    first, again, other = (regular(30, "5m", seed).sha256 for seed in (1, 1, 2))
    assert first == again != other


def test_the_candles_of_a_seed_do_not_change_unnoticed():
    assert regular(90, "1h", 7).sha256[:16] == "5fa28bbd0fe05424"


@pytest.mark.parametrize(("timeframe", "bars"), [("5m", 288), ("15m", 96), ("1h", 24)])
def test_the_grid_is_whole_days(timeframe, bars):
    candles = regular(90, timeframe, 3)
    assert len(candles) == 90 * bars
    assert candles.timestamp[0] == FIRST_MS
    assert candles.timestamp[0] % DAY_MS == 0


def test_they_pass_for_candles():
    _, report = make_regular(garch_candles(365, "15m", 0), "15m", "garch")
    check(report, QualityLimits())
    assert report.ohlc_violations == 0
    assert report.gaps == OUTAGES_A_YEAR


@pytest.mark.parametrize("volatility", [0.6, 2.0])
def test_extremes_enclose_open_and_close_and_prices_are_positive_ticks(volatility):
    candles = garch_candles(180, "5m", 4, annual_volatility=volatility)
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert candles.low.min() > 0
    for name in ("open", "high", "low", "close"):
        price = getattr(candles, name)
        np.testing.assert_array_equal(price, np.round(price, 2))


@pytest.mark.parametrize("volatility", [0.3, 0.6, 1.0])
def test_volatility_is_the_one_asked_for(volatility):
    r = np.diff(np.log(regular(730, "15m", 11, annual_volatility=volatility).close))
    assert r.std() * np.sqrt(len(r) / 2) == pytest.approx(volatility, rel=0.2)


def test_volatility_answers_to_moves_and_their_sign_to_nothing(years):
    for candles in years:
        r = np.diff(np.log(candles.close))
        z, size = r / r.std(), np.abs(r)
        assert np.mean(z**4) > 6
        assert 0.15 < correlation(size[:-1], size[1:]) < 0.45
        assert 0.03 < correlation(size[:-50], size[50:]) < 0.25
        assert abs(correlation(np.sign(r[:-1]), np.sign(r[1:]))) < 4 / np.sqrt(len(r))
        assert abs(correlation(np.sign(r[:-1]), size[1:])) < 0.02


def test_volume_follows_the_range_and_the_hour(years):
    for candles in years:
        spread = np.log(candles.high / candles.low)
        assert correlation(spread, candles.volume) > 0.5
        body = np.abs(np.log(candles.close / candles.open))
        assert 1.7 < spread.mean() / body.mean() < 2.3
        hour = candles.timestamp // 3_600_000 % 24
        by_hour = [candles.volume[hour == h].mean() for h in range(24)]
        assert 12 <= np.argmax(by_hour) <= 16
        assert max(by_hour) > 1.5 * min(by_hour)


@pytest.mark.parametrize("holding", [1, 12])
def test_a_bar_with_volume_foretells_nothing(years, holding):
    gains = []
    for candles in years:
        change = candles.close / candles.open - 1
        large = candles.volume > 3 * np.median(candles.volume)
        bar = np.flatnonzero(large & (change != 0))[:-holding]
        bar = bar[bar + holding < len(candles)]
        ahead = candles.close[bar + holding] / candles.open[bar + 1] - 1
        gains.append(np.sign(change[bar]) * ahead)
    assert abs(t_statistic(np.concatenate(gains))) < 3


@pytest.mark.parametrize("side", [+1, -1])
@pytest.mark.parametrize("barrier", [-0.002, -0.0005, 0.0005, 0.002])
def test_no_stop_or_target_inside_a_bar_earns_anything(years, side, barrier):
    gains = [barrier_gains(candles, side, barrier) for candles in years]
    assert abs(t_statistic(np.concatenate(gains))) < 3


def test_impossible_arguments_are_refused():
    with pytest.raises(UserError, match="lower the volatility"):
        garch_candles(3650, "5m", 1, 2.0)
