"""Kraken's trades through the real ccxt client: every candle whole, whatever happens on the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UnreachableError
from pipeline.market_data.exchange import trade_pages as module
from pipeline.market_data.exchange.connection import Backoff
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.raw import COLUMNS
from pipeline.market_data.resample import candles_of_trades
from support.loopback.faults import LIES, PASSING, Fault, Faults
from support.loopback.kraken import LoopbackKraken
from support.trades import BARS, END, START, STEP, trade_rows

NOW = END + 2 * 3_600_000
QUICK = Backoff(attempts=5, first_s=0.001, longest_s=0.01)


def expected(trades, start=START, end=END, step=STEP):
    time, price, volume = (np.array([row[i] for row in trades]) for i in range(3))
    inside = (time >= start * 10**6) & (time < end * 10**6)
    return candles_of_trades(time[inside], price[inside], volume[inside], step)


def served(trades, **options):
    return LoopbackKraken({}, NOW, trades, **options)


def fetch(server, store, since=START, until=END, timeframe="5m", **options):
    return fetch_ccxt(
        CandleRequest("kraken", "BTC/USDT", timeframe, since, until, "trades"), store,
        client=server.client(), backoff=QUICK, **options,
    )  # fmt: skip


def assert_same(raw, candles):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(raw, name), getattr(candles, name))


def distort(server, change):
    """Let ``change`` see every answer to a question for trades, counted from 0."""
    asked, rows_for = iter(range(100)), server.rows_for

    def distorted(path, query):
        rows = rows_for(path, query)
        return rows and rows._replace(answer=change(next(asked), rows.answer))

    server.rows_for = distorted


class StoppedError(Exception):
    pass


def stop_at_page(number):
    """Progress of a fetch that is stopped after so many pages, unless they were its last."""
    calls = iter(range(100))

    def on_progress(done, total):
        if next(calls) == number and done < total:
            raise StoppedError

    return on_progress


@pytest.fixture
def server():
    with served(trade_rows()) as exchange:
        yield exchange


def test_candles_of_days_that_kraken_no_longer_serves_as_candles(server, tmp_path):
    fetched = fetch(server, tmp_path)
    assert_same(fetched.raw, expected(server.trades))
    assert 0 < len(fetched.raw) < BARS - 50  # an interval without a trade has no candle
    # Pages overlap by a trade or so; the first must come twice, and that there is no other trade.
    assert len(server.asked("Trades")) == -(-len(server.trades) // 990) + 3
    assert int(server.asked("Trades")[0]["since"]) == START * 10**6 - 1


def test_what_is_stored_is_not_asked_for_again(server, tmp_path):
    fetch(server, tmp_path)
    server.requests.clear()
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))
    assert server.requests == []


def test_a_timeframe_that_kraken_has_no_candles_of(server, tmp_path):
    raw = fetch(server, tmp_path, timeframe="2h").raw
    assert_same(raw, expected(server.trades, step=7_200_000))


def test_trades_share_the_time_at_which_a_page_ends(tmp_path):
    trades = [(START * 10**6 + n // 700 * 10**9, 100.0 + n, 1.0, "b") for n in range(2_800)]
    trades.append(((START + 2 * STEP) * 10**6, 7.0, 1.0, "b"))
    with served(trades) as server:
        raw = fetch(server, tmp_path, until=START + 2 * STEP).raw
    assert raw.volume.tolist() == [2_800.0]
    assert (raw.open[0], raw.close[0]) == (100.0, 2_899.0)


def test_more_trades_at_one_time_than_a_page_holds_are_not_looped_on(tmp_path):
    trades = [(START * 10**6, 100.0, 1.0, "b")] * 2_100
    said = r"kraken BTC/USDT 5m: there may be more trades at 2023-01-31 00:00 UTC than the 1,000 of"
    with served(trades) as server, pytest.raises(UnreachableError, match=said):
        fetch(server, tmp_path)
    assert len(server.asked("Trades")) <= 2 * QUICK.attempts


@pytest.mark.parametrize(("burst", "passed"), [(1_000, True), (1_001, False)])
def test_a_burst_that_fills_an_answer_is_passed_over_if_the_ids_go_on(tmp_path, burst, passed):
    at = (START + 10 * STEP) * 10**6
    quiet = [(START * 10**6 + n * 10**9, 100.0, 1.0, "b") for n in range(500)]
    after = [(at + n * 10**11, 100.0, 1.0, "b") for n in range(1, 100)]
    with served([*quiet, *[(at, 101.0, 1.0, "b")] * burst, *after]) as server:
        if passed:
            assert_same(fetch(server, tmp_path).raw, expected(server.trades))
            return
        with pytest.raises(UnreachableError, match=r"2023-01-31 00:50 UTC .*data\.since after it"):
            fetch(server, tmp_path)
        raw = fetch(server, tmp_path, since=START + 11 * STEP).raw
        assert_same(raw, expected(server.trades, START + 11 * STEP))


def test_history_that_begins_later_is_said(tmp_path):
    first = START + 200 * STEP
    with served(trade_rows(first=first)) as server:
        fetched = fetch(server, tmp_path)
        assert_same(fetched.raw, expected(server.trades))
    (warning,) = fetched.warnings
    assert "the exchange serves nothing before 2023-01-31 16:40 UTC" in warning
    assert "data.kraken" not in warning


def test_intervals_after_the_last_trade_are_over_when_an_hour_has_passed(server, tmp_path):
    server.trades = server.trades[:2_000]
    last = server.trades[-1][0] // 10**6
    seen = []
    fetch(server, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (BARS, BARS)
    server.now = last + 3_600_000 + 2 * STEP
    fetch(server, tmp_path / "b", on_progress=lambda done, total: seen.append((done, total)))
    done, total = seen[-1]
    # Two intervals of quiet are an hour old; the last hour may yet turn out to have a trade.
    assert (total - done) * STEP == 3_600_000


@pytest.mark.parametrize("fault", [*PASSING, *LIES], ids=lambda fault: fault.name)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_answer_gone_wrong_changes_nothing(server, tmp_path, fault, at):
    script = iter(range(100))
    draw = server.faults.draw
    server.faults.draw = lambda question, has_rows, is_clock: (
        fault if has_rows and next(script) == at else draw(question, has_rows, is_clock)
    )
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


def test_one_answer_in_three_goes_wrong(tmp_path):
    kinds = [*PASSING, *LIES]
    with served(trade_rows(12_000), faults=Faults(3, 0.3, kinds), slow_s=0.01) as server:
        assert_same(fetch(server, tmp_path).raw, expected(server.trades))
        assert server.faults.injected.total() > 3


def test_an_exchange_that_always_serves_its_newest_trades_is_found_out(server, tmp_path):
    server.faults.draw = lambda question, has_rows, is_clock: (
        Fault.IGNORED_SINCE if has_rows else None
    )
    with pytest.raises(UnreachableError, match="ignores the start it is asked for"):
        fetch(server, tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))


def test_trades_that_are_skipped_again_and_again_are_missed(server, tmp_path):
    asked = iter(range(100))
    server.faults.draw = lambda question, has_rows, is_clock: (
        Fault.IGNORED_SINCE if has_rows and next(asked) > 1 else None
    )
    with pytest.raises(UnreachableError, match="the exchange skipped trades between two pages"):
        fetch(server, tmp_path)
    server.faults.draw = lambda *_: None
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


@pytest.mark.parametrize("at", [0, 1, 2, 4])
@pytest.mark.parametrize("kept", [0, 1])  # 1 of a later answer: what is known already
def test_an_answer_without_new_trades_is_not_the_end_of_them(server, tmp_path, at, kept):
    distort(server, lambda asked, rows: rows[:kept] if asked == at else rows)
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_answer_that_lost_its_first_trades_is_not_believed(server, tmp_path, at):
    distort(server, lambda asked, rows: rows[3:] if asked == at else rows)
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}, {3}, {2, 3, 4}])
def test_an_answer_that_lost_its_end_answers_no_further(server, tmp_path, lost):
    """`last` is kept, as if the trades were there; nor is any lost when the run ends right then."""
    page, asked = server.page, iter(range(100))

    def cut(path, rows):
        answer = page(path, rows)
        if path.endswith("Trades") and next(asked) in lost:
            del answer["result"]["XBTUSDT"][-100:]
        return answer

    server.page = cut
    with pytest.raises(StoppedError):
        fetch(server, tmp_path, on_progress=stop_at_page(3))
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


def test_trades_that_come_while_the_first_answer_is_checked_are_no_contradiction(server, tmp_path):
    distort(server, lambda asked, rows: rows[: 500 + asked])
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


@pytest.mark.parametrize(
    ("column", "value"),
    [*((0, price) for price in ("0", "-1", "nan", "inf", "1e400")), (1, "-1"), (1, "nan")],
)
def test_what_cannot_be_a_trade_is_named_and_not_stored(server, tmp_path, column, value):
    page = server.page

    def spoilt(path, rows):
        answer = page(path, rows)
        for row in answer["result"].get("XBTUSDT", [])[5:6]:
            row[column] = value
        return answer

    server.page = spoilt
    with pytest.raises(UnreachableError, match=rf"no trade has such .*'{value}'.*, 6\]"):
        fetch(server, tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))
    server.page = page
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))


def test_a_start_that_the_exchange_rounds_down_leaves_the_candle_before_whole(
    tmp_path, monkeypatch
):
    before = [(START * 10**6 - early, 1.0, 1.0, "b") for early in (60 * 10**9, 400_000)]
    with served([*before, *trade_rows()]) as server:
        rows_for = server.rows_for

        def rounding(path, query):
            return rows_for(path, query | {"since": int(query.get("since", 0)) // 10**6 * 10**6})

        monkeypatch.setattr(server, "rows_for", rounding)
        fetch(server, tmp_path, START - STEP, START)
        raw = fetch(server, tmp_path, START - STEP).raw
        assert_same(raw, expected(server.trades, START - STEP))
        assert raw.volume[0] == 2.0


def test_answers_without_ids_are_no_trades(server, tmp_path, monkeypatch):
    page = server.page

    def without_ids(path, rows):
        answer = page(path, rows)
        for row in answer["result"].get("XBTUSDT", []):
            del row[6:]
        return answer

    monkeypatch.setattr(server, "page", without_ids)
    with pytest.raises(UnreachableError, match="kraken answered without trades"):
        fetch(server, tmp_path)


def test_interrupted_at_every_page_and_gone_on(server, tmp_path):
    """Each run is stopped at its second page of candles: no trade is lost or counted twice."""

    runs = 0
    while True:
        runs += 1
        try:
            fetched = fetch(server, tmp_path, on_progress=stop_at_page(2))
            break
        except StoppedError:
            continue
    assert runs > 2
    assert_same(fetched.raw, expected(server.trades))


CHILD = """
import sys
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from support.loopback.clients import pointed
url, store, since, until = sys.argv[1:]
fetch_ccxt(CandleRequest("kraken", "BTC/USDT", "5m", int(since), int(until), "trades"), store,
           client=pointed("kraken", url, rateLimit=1),
           on_progress=lambda done, total: print(done, flush=True))
"""


def test_killed_and_gone_on(server, tmp_path):
    """SIGKILL after a page: what is asked again is the interval that was not over."""
    root = Path(__file__).resolve().parents[2]
    arguments = [server.url, str(tmp_path), str(START), str(END)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"},
    )
    with child:
        done = [int(child.stdout.readline()) for _ in range(3)][-1]
        child.send_signal(signal.SIGKILL)
    asked = len(server.asked("Trades"))
    assert_same(fetch(server, tmp_path).raw, expected(server.trades))
    again = int(server.asked("Trades")[asked]["since"])
    assert again + 1 >= (START + (done - 1) * STEP) * 10**6


def test_times_are_read_by_their_decimals():
    row = ["30243.40000", "0.34507674", 1688669597.82773, "b", "m", "", 61044952]
    assert module._trade(row) == (61044952, 1688669597827730000, 30243.4, 0.34507674)
