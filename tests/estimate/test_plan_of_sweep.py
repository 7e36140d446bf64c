"""The table of a sweep's dry run."""

import io
import re

import pytest
from rich.console import Console as Terminal

from pipeline.cli.console import Console
from pipeline.estimate.estimate import Estimate
from pipeline.sweeps.plan import plan
from pipeline.validation.wording import duration


@pytest.fixture
def printed(tmp_path, monkeypatch, configured):
    """What `plan` prints for some markets in an empty folder, where it leaves nothing."""
    monkeypatch.chdir(tmp_path)

    def show(slots, **markets):
        out, err = (Terminal(file=io.StringIO(), width=110) for _ in range(2))
        configs = {name: configured(*overrides) for name, overrides in markets.items()}
        plan(Console(out, err), configs, slots)
        assert list(tmp_path.iterdir()) == []
        return " ".join(out.file.getvalue().split())

    return show


def test_each_market_has_a_row_and_a_sentence(printed):
    text = printed(1, here=["market=demo_null"], there=["market=btc_binance_1h"])
    assert re.search(
        r"│ here │ 105,120 │ 8 │ 1,814,400 │ [\d,]+ │ [\d.]+ │ \d+ x 8 │ generated │", text
    )
    assert re.search(r"│ there │ 8,760 │ 8 │ 1,814,400 │ .* │ synthetic stand-in │", text)
    assert re.search(r"here: about \d+ trades a window, \d+ in all: \w+", text)
    assert "2 markets, 3,628,800 evaluations: about " in text
    assert "6 rows (0.032 MB) in the database, 10 MB of artifacts." in text


def test_a_market_that_would_be_refused_says_so_and_the_others_are_planned(printed):
    text = printed(2, good=["market=demo_null"], bad=["market=btc_kraken_5m"])
    assert "bad cannot be trained: kraken:BTC/USDT:5m: kraken serves its newest 720" in text
    assert "1 market, 1,814,400 evaluations: about " in text
    assert "with 2 slots" in text


def test_all_refused_leaves_no_totals(printed):
    text = printed(1, bad=["market=btc_kraken_5m"])
    assert "evaluations" not in text
    assert "nothing was fetched, trained or stored" in text


@pytest.mark.parametrize(
    ("slots", "shown"), [(1, "about 60 s"), (2, "about 40 s"), (3, "about 40 s")]
)
def test_no_schedule_beats_the_longest_market_nor_the_sum_over_the_slots(
    monkeypatch, printed, only, slots, shown
):
    seconds = iter((40.0, 10.0, 10.0))

    def known(config, rates):
        return Estimate("m", 1, 1, 2, 3, 10**6, next(seconds), 77.0, 1.0, 1.0, "note", "stored", 0)

    monkeypatch.setattr("pipeline.sweeps.plan.estimate", known)
    monkeypatch.setattr("pipeline.sweeps.plan.measure_speed", lambda config: only())
    text = printed(slots, **{name: ["market=demo"] for name in "abc"})
    assert shown in text
    assert f"{slots} MB of memory" in text
    assert "up to 99 surrogates of each of 2 kinds, up to 77 s." in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h"), (172_799, "48.0 h")),
        *((172_800, "2.0 days"), (25_587.6 * 3600, "1,066.2 days")),
    ],
)
def test_durations_have_the_unit_that_a_person_would_take(seconds, words):
    assert duration(seconds) == words
