"""`data.history`: a length of the calendar that ends at `data.until`, or all there is."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.config import CheckConfig, FetchConfig, TrainConfig, load, validate
from pipeline.config.history import EARLIEST, EARLIEST_MS, start_of
from pipeline.errors import UserError

MARKET = "market=btc_binance_1h"
DAY_MS = 86_400_000
NEW_YEAR_MS = 1_704_067_200_000  # 2024-01-01


def data(*words):
    return load([MARKET, *words], TrainConfig, "train").data


@pytest.mark.parametrize(
    ("length", "until", "start"),
    [
        ("4y", "2024-05-06", "2020-05-06"),
        ("1y", "2024-02-29", "2023-02-28"),
        ("18mo", "2024-01-31", "2022-07-31"),
        ("1mo", "2023-03-31", "2023-02-28"),
        ("2mo", "2024-01-15", "2023-11-15"),
        ("26w", "2024-01-01", "2023-07-03"),
        ("90d", "2023-04-01", "2023-01-01"),
        ("all", "2024-01-01", "2010-01-01"),
    ],
)
def test_a_length_ends_at_a_moment(length, until, start):
    end = datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert start_of(length, end) == datetime.fromisoformat(start).replace(tzinfo=UTC)


def test_the_time_of_day_stays():
    assert start_of("1mo", datetime(2024, 3, 5, 7, 30, tzinfo=UTC)).hour == 7


@pytest.mark.parametrize(
    ("words", "days"),
    [
        (["data.history=4y", "data.until=2024-01-01"], 1461),
        (["data.history=300d"], 300),
        (["data.until=2024-01-01"], 365),
        (["data.history=all"], None),
        (["data.since=2023-01-01"], None),
    ],
)
def test_the_days_of_a_history(words, days):
    found = data("validation=train_test_split", *words)
    assert found.days == days


def test_a_span_ends_now_or_at_until():
    now = NEW_YEAR_MS + 5 * DAY_MS
    assert data("data.history=365d").span_ms(now) == (now - 365 * DAY_MS, now)
    ended = data("data.history=1y", "data.until=2024-01-01").span_ms(now)
    assert ended == (NEW_YEAR_MS - 365 * DAY_MS, NEW_YEAR_MS)
    assert data("data.history=all").span_ms(now) == (EARLIEST_MS, now)
    assert data("data.since=2024-01-01").span_ms(now) == (NEW_YEAR_MS, now)


@pytest.mark.parametrize(
    "wrong", ["4", "4years", "0y", "y", "-1y", "101y", "40000d", "1.5y", "ALL"]
)
def test_what_is_no_length_is_refused(wrong):
    with pytest.raises(UserError, match=r"data\.history"):
        data(f"data.history={wrong}")


def test_history_and_since_contradict_each_other_and_the_advice_works():
    words = ["data.history=2y", "data.since=2023-01-01"]
    with pytest.raises(UserError, match=r"data\.history=2y data\.since=null"):
        data(*words)
    assert data(*words, "data.since=null").history == "2y"


def test_too_short_a_history_is_refused_before_anything_is_fetched():
    with pytest.raises(UserError, match="the history has 90"):
        data("data.history=90d", "validation=walk_forward")


def test_an_end_in_the_future_is_refused_and_the_last_day_is_named():
    today = datetime.now(UTC)
    later = [f"data.until={today + timedelta(days=1):%Y-%m-%d}", "data.since=2020-01-01"]
    for schema, name in ((TrainConfig, "train"), (CheckConfig, "train"), (FetchConfig, "fetch")):
        with pytest.raises(UserError, match=rf"until of {today:%Y-%m-%d} or earlier"):
            load([MARKET, *later], schema, name)
    until = data(f"data.until={today:%Y-%m-%d}", "data.since=2020-01-01").until
    assert until <= today
    stored = load([MARKET], TrainConfig, "train").model_dump()
    stored["data"] |= {"until": datetime(2092, 1, 1, tzinfo=UTC), "since": EARLIEST}
    assert validate(stored, TrainConfig).data.until.year == 2092, "what was stored is read"


def test_without_it_the_configuration_is_what_it_was():
    assert "history" not in data().model_dump()
    assert data("data.history=2y").model_dump()["history"] == "2y"
