"""The whole gate: clean and real candles pass, one absurd price does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import inferred_timeframe, make_regular
from pipeline.market_data.quality.measures import outliers
from pipeline.market_data.quality.report import QualityLimits, check, in_short
from pipeline.market_data.raw import COLUMNS, RawCandles

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


@pytest.mark.parametrize(("name", "factor"), [("high", 10.0), ("low", 0.1), ("high", 1e27)])
def test_one_absurd_price_is_an_outlier_and_refused(name, factor):
    candles = walk()
    values = getattr(candles, name).copy()
    values[500] *= factor
    wrong = changed(candles, **{name: values})
    measured = outliers(wrong, HOUR_MS)
    assert (measured.bars, measured.worst_at) == (1, START + 500 * HOUR_MS)
    with pytest.raises(UserError, match=r"data\.quality\.outliers allows 0, found 1 \(the worst"):
        check(make_regular(wrong, "1h", "walk")[1], QualityLimits())


def test_what_is_beyond_limits_is_shown_as_limits_that_would_do():
    wrong = changed(walk(), volume=np.where(np.arange(24 * 40) % 7 == 0, 0.0, 100.0))
    report = replace(make_regular(wrong, "1h", "walk")[1], outliers=1234)
    assert report.zero_volume_share == pytest.approx(138 / 960)  # 0.14375
    outliers, volume = "outliers 1,234 (limit 0)", "zero_volume_share 0.144 (limit 0.05)"
    assert in_short(report, QualityLimits()) == f"{outliers}, 1 more"
    assert in_short(report, QualityLimits(), most=13) == f"{outliers}, {volume}"
    assert in_short(report, QualityLimits(outliers=1234, zero_volume_share=0.144)) == "ok"


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
