"""Local times: the hour that a clock shows twice, and the one that it never shows."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.market_data.files.choice import Request
from pipeline.market_data.files.market_files import read_market_files
from pipeline.market_data.raw import COLUMNS
from support.candle_files import random_candles, table

HOUR = 3_600_000
AUTUMN, SPRING = "2023-10-28", "2023-03-25"  # Europe's clocks change on the next day
ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney"]


@pytest.fixture(params=["import", "data.path"])
def door(request):
    return request.param


def candles(start, step, bars=None):
    first = int(pd.Timestamp(start, tz="UTC").timestamp()) * 1_000
    return random_candles(1, bars or 3 * 24 * HOUR // step, step, first, present=1.0)


def write_local(path, raw, zone, form="%Y-%m-%d %H:%M:%S"):
    times = pd.to_datetime(raw.timestamp, unit="ms", utc=True).tz_convert(zone)
    table(raw).assign(timestamp=times.strftime(form)).to_csv(path, index=False)
    return path


def read(path, door, zone=None, timeframe="5m"):
    request = Request(path, "binance", "BTC/USDT", timeframe, door, zone=zone)
    return read_market_files(request).raw


def assert_same(raw, expected):
    order = np.argsort(raw.timestamp)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name)[order], getattr(expected, name))


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("timeframe", "step"), [("5m", HOUR // 12), ("1h", HOUR)])
@pytest.mark.parametrize("start", [AUTUMN, SPRING])
def test_a_zone_that_is_told_is_exact(tmp_path, start, timeframe, step, newest_first, form, door):
    raw = candles(start, step)
    written = raw.take(np.arange(len(raw))[::-1]) if newest_first else raw
    path = write_local(tmp_path / "x.csv", written, "Europe/Berlin", form)
    assert_same(read(path, door, "Europe/Berlin", timeframe), raw)


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_in_every_zone_is_exact_and_refused_without_it(tmp_path, zone, door):
    raw = candles("2023-01-01", HOUR, bars=365 * 24)
    path = write_local(tmp_path / "x.csv", raw, zone)
    assert_same(read(path, door, zone, "1h"), raw)
    with pytest.raises(UserError, match=r"the hour from .* times look local and have no offset"):
        read(path, door, timeframe="1h")


@pytest.mark.parametrize(("start", "what"), [(AUTUMN, "twice"), (SPRING, "missing")])
def test_without_a_zone_the_hour_and_the_words_are_named(tmp_path, start, what, door):
    raw = candles(start, HOUR // 12)
    path = write_local(tmp_path / "x.csv", raw, "Europe/Berlin")
    key = "timezone" if door == "import" else r"data\.timezone"
    day = "2023-10-29" if start == AUTUMN else "2023-03-26"
    message = rf"hour from {day} 02:00 is .*{what}.*say where it is from: {key}=ZONE"
    with pytest.raises(UserError, match=message):
        read(path, door)
    if start == SPRING:  # an exchange may be away in just that hour
        assert len(read(path, door, "UTC")) == len(raw)


def test_times_in_utc_pass_even_over_the_change(tmp_path, door):
    for start in (AUTUMN, SPRING):
        raw = candles(start, HOUR // 12)
        path = write_local(tmp_path / f"{start}.csv", raw, "UTC")
        assert_same(read(path, door), raw)


def test_a_lone_hour_of_the_two_is_refused(tmp_path, door):
    raw = candles(AUTUMN, HOUR // 12)
    change = int(pd.Timestamp("2023-10-29 01:00", tz="UTC").timestamp()) * 1_000
    raw = raw.take((raw.timestamp < change) | (raw.timestamp >= change + HOUR))
    path = write_local(tmp_path / "x.csv", raw, "Europe/Berlin")
    with pytest.raises(UserError, match=r"hour of 2023-10-29 02:00 was there twice in Europe/Be"):
        read(path, door, "Europe/Berlin")


def test_a_long_candle_in_the_doubled_hour_is_told_by_the_others(tmp_path, door):
    raw = candles("2023-10-01", 4 * HOUR, bars=300)
    path = write_local(tmp_path / "x.csv", raw, "Europe/Berlin")
    assert_same(read(path, door, "Europe/Berlin", "4h"), raw)


def test_a_time_that_never_was(tmp_path, door):
    path = write_local(tmp_path / "x.csv", candles(SPRING, HOUR // 12), "UTC")
    with pytest.raises(UserError, match=r"2023-03-26 02:00 never was in Europe/Berlin"):
        read(path, door, "Europe/Berlin")


def test_offsets_need_no_zone(tmp_path, door):
    raw = candles(AUTUMN, HOUR // 12)
    path = write_local(tmp_path / "x.csv", raw, "Europe/Berlin", "%Y-%m-%dT%H:%M:%S%z")
    assert_same(read(path, door), raw)
    assert_same(read(path, door, "America/New_York"), raw)


def test_local_times_in_parquet(tmp_path, door):
    raw = candles(AUTUMN, HOUR // 12)
    times = pd.to_datetime(raw.timestamp, unit="ms", utc=True).tz_convert("Europe/Berlin")
    path = tmp_path / "x.parquet"
    table(raw).assign(timestamp=times.tz_localize(None)).to_parquet(path)
    with pytest.raises(UserError, match=r"hour from 2023-10-29 02:00 is there twice"):
        read(path, door)
    assert_same(read(path, door, "Europe/Berlin"), raw)
