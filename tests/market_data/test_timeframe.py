import pytest

from pipeline.errors import UserError
from pipeline.market_data.timeframe import TIMEFRAMES, spacing_name, timeframe_ms, utc


@pytest.mark.parametrize(
    ("name", "minutes"),
    [("1m", 1), ("3m", 3), ("5m", 5), ("15m", 15), ("30m", 30), ("1h", 60), ("2h", 120),
     ("4h", 240), ("6h", 360), ("8h", 480), ("12h", 720), ("1d", 1440)],
)  # fmt: skip
def test_every_timeframe_has_its_length(name, minutes):
    assert timeframe_ms(name) == minutes * 60_000
    assert len(TIMEFRAMES) == 12


def test_unknown_timeframe_names_the_list_and_a_near_miss():
    with pytest.raises(
        UserError, match=r"'5min' is not a timeframe: .* 1m, 3m, 5m.*Did you mean '5m'"
    ):
        timeframe_ms("5min")


def test_spacing_is_named_where_it_has_a_name():
    assert spacing_name(3_600_000) == "1h candles"
    assert spacing_name(10_500) == "rows 10.5 s apart"


def test_times_read_as_utc_with_no_more_digits_than_needed():
    assert utc(1_672_531_200_000) == "2023-01-01 00:00 UTC"
    assert utc(1_672_531_217_000) == "2023-01-01 00:00:17 UTC"
    assert utc(1_672_531_217_250) == "2023-01-01 00:00:17.250000 UTC"
