"""Each measure of the quality gate on candles with one planted fault."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_engine.records import DAY_MS
from pipeline.errors import UserError
from pipeline.market_data.disagreement import disagreement
from pipeline.market_data.files import read_file
from pipeline.market_data.grid import make_regular
from pipeline.market_data.outliers import outliers
from pipeline.market_data.quality import QualityLimits, check
from pipeline.market_data.raw import COLUMNS, RawCandles
from pipeline.market_data.spacing import inferred_timeframe
from pipeline.market_data.stale import longest_stale
from pipeline.market_data.volume_change import largest_volume_change

HOUR_MS = 3_600_000
START = 1_672_531_200_000  # 2023-01-01 UTC
SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def walk(n=24 * 40, seed=0):
    """A random walk of hourly candles, 60 % a year, volumes around 100."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.6 / np.sqrt(365 * 24), n)))
    opening = np.append(100.0, close[:-1])
    wick = 1.0 + rng.uniform(0.0005, 0.003, (2, n))
    high, low = np.maximum(opening, close) * wick[0], np.minimum(opening, close) / wick[1]
    time = START + HOUR_MS * np.arange(n)
    return RawCandles(time, opening, high, low, close, rng.lognormal(np.log(100), 0.5, n))


def changed(candles, **columns):
    return RawCandles(*(columns.get(name, getattr(candles, name)) for name in COLUMNS))


@given(st.integers(0, 10_000))
def test_a_clean_walk_passes(seed):
    candles, report = make_regular(walk(seed=seed), "1h", "walk")
    check(report, QualityLimits())
    assert (report.outliers, report.longest_stale_hours) == (0, 0.0)
    assert len(candles) == 24 * 40


def test_candles_that_repeat_are_stale():
    candles = walk()
    columns = {name: getattr(candles, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[101:115] = values[100]
    found = longest_stale(changed(candles, **columns))
    assert found == (14, START + 101 * HOUR_MS)
    assert longest_stale(candles) == (0, None)


@pytest.mark.parametrize(("name", "factor"), [("high", 10.0), ("low", 0.1), ("high", 1e298)])
def test_one_absurd_price_is_an_outlier_and_refused(name, factor):
    candles = walk()
    values = getattr(candles, name).copy()
    values[500] *= factor
    wrong = changed(candles, **{name: values})
    found = outliers(wrong, HOUR_MS)
    assert (found.bars, found.worst_at) == (1, START + 500 * HOUR_MS)
    with pytest.raises(UserError, match=r"data\.quality\.outliers allows 0, found 1 \(the worst"):
        check(make_regular(wrong, "1h", "walk")[1], QualityLimits())


def test_a_crash_that_stays_is_no_outlier():
    candles = walk()
    fall = np.where(np.arange(len(candles)) >= 500, 0.5, 1.0)
    prices = {n: getattr(candles, n) * fall for n in ("open", "high", "low", "close")}
    assert outliers(changed(candles, **prices), HOUR_MS).bars == 0


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_a_volume_in_another_unit_is_a_change(factor):
    candles = walk()
    later = candles.timestamp >= START + 20 * DAY_MS
    found = largest_volume_change(changed(candles, volume=candles.volume * factor**later))
    assert found.ratio == pytest.approx(1000.0, rel=0.3)
    assert abs(found.since - (START + 20 * DAY_MS)) <= 3 * DAY_MS  # a median of 7 days wavers
    assert largest_volume_change(candles).ratio < 1.5


def test_one_wild_day_is_no_change_of_level():
    candles = walk()
    wild = candles.timestamp // DAY_MS == START // DAY_MS + 20
    found = largest_volume_change(changed(candles, volume=np.where(wild, 1e6, candles.volume)))
    assert found.ratio < 1.5


def test_a_short_history_has_no_change_of_level():
    assert largest_volume_change(walk(24 * 13)) == (1.0, None)


def test_another_exchange_is_compared_where_both_traded():
    own = walk()
    other = changed(own, close=own.close * np.where(np.arange(len(own)) == 700, 1.5, 1.001))
    found = disagreement(own, {"kraken": other.take(np.arange(300, len(own)))})
    assert found.compared_with == "kraken"
    assert found.median == pytest.approx(np.log(1.001))
    assert found.largest == pytest.approx(np.log(1.5))
    assert found.largest_at == START + 700 * HOUR_MS


def test_without_a_common_time_there_is_nothing_to_compare():
    own = walk(24)
    later = changed(own, timestamp=own.timestamp + DAY_MS)
    assert disagreement(own, {"kraken": later}) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the candles of ../shared are not here")
@pytest.mark.parametrize(
    ("name", "worst"),
    [("binance_BTC-USDT_1h_2017-08_2024-04", 13.66), ("binance_BTC-USDT_5m_2023-01_2023-12", 5.39)],
)
def test_real_majors_pass_march_2020_included(name, worst):
    raw = read_file(SHARED / f"{name}.parquet")
    _, report = make_regular(raw, inferred_timeframe(raw.timestamp, name), name)
    check(report, QualityLimits())
    assert report.worst_deviation == pytest.approx(worst, abs=0.01)
