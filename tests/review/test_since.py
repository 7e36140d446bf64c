"""Sentences on new days in their band, from figures written by hand."""

import numpy as np

from pipeline.results.records import ConfigurationEvent, furthest_look
from pipeline.review.explanation import latest_band, since
from pipeline.validation.sequential import live_band


def days(n, seed=0, mean=0.001, spread=0.01):
    return np.random.default_rng(seed).normal(mean, spread, n)


def event(kind="monitor", **figures):
    return ConfigurationEvent("one", kind, "MATURE", "MATURE", "", figures)


def look(oos, live):
    band = live_band(oos, live, 1, n_paths=300).figures()
    return event(first_day="2023-06-20", last_day="2023-09-17", live_band=band)


def test_the_last_look_counts_and_what_kept_no_band_does_not():
    first, last = look(days(200), days(10, 1)), look(days(200), days(20, 1))
    earlier = event(first_day="2023-06-20", last_day="2023-09-18")  # of an earlier version
    band = latest_band([first, last, earlier, event("execution", fill_rate=1.0)])
    assert (band["live_days"], band["last_day"]) == (20, "2023-09-17")
    assert latest_band([earlier]) is None
    assert list(since(None)) == []


def test_the_look_that_reaches_furthest_is_shown_whenever_it_was():
    """A later look of another store, or up to an earlier day, sees fewer days."""
    long, short, other = (
        event(first_day="2023-06-20", last_day=last, live_band={"live_days": n})
        for last, n in (("2023-09-17", 90), ("2023-07-19", 30), ("2023-09-17", 89))
    )
    assert latest_band([short, long])["live_days"] == 90
    assert latest_band([long, short])["live_days"] == 90
    assert latest_band([long, short, other])["live_days"] == 89  # of equal ones the newest
    assert furthest_look([event("execution", last_day="2023-12-31"), short, event()]) is short
    assert furthest_look([event("execution")]) is None


def test_the_day_of_an_alarm_is_a_date():
    band = latest_band([look(days(200), days(90, 1, mean=-0.01))])
    band |= {"alarm_day": 12}
    assert "ALARM on 2023-07-01, new day 12," in list(since(band))[-1]


def test_where_nothing_can_be_said_the_reason_is():
    (sentence,) = since(latest_band([look(days(20), days(90, 1))]))
    assert "20 days out of sample; 60 are needed" in sentence


def test_days_in_the_band_have_no_alarm():
    oos = days(300)
    sentences = list(since(latest_band([look(oos, oos[:90])])))
    assert len(sentences) == 2
    assert sentences[-1].startswith("Sequential test: no alarm")
