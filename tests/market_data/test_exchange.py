"""The real ccxt client against exchanges on the loopback: only what the exchange has."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.config import StoredConfig, TrainConfig, load
from pipeline.errors import UnreachableError, UserError
from pipeline.market_data.exchange import fetching as exchange_module
from pipeline.market_data.exchange.connection import Backoff
from pipeline.market_data.exchange.fetching import CandleRequest, _available_offline, fetch_ccxt
from support.loopback import LIES, Fault

START, STEP = 1_672_531_200_000, 300_000
QUICK = Backoff(attempts=3, first_s=0.001)


def fetch(server, store, since=START, until=START + 10_000 * STEP, symbol=None, **options):
    return fetch_ccxt(
        CandleRequest(server.name, symbol or server.symbol, "5m", since, until), store,
        client=server.client(), backoff=QUICK, **options,
    )  # fmt: skip


def grid(first, last):
    return START + STEP * np.arange(first, last)


def starts(server):
    """Bars from which candles were asked for."""
    if server.name == "binance":
        return [(int(query["startTime"]) - START) // STEP for query in server.asked("/klines")]
    return [(int(query["since"]) * 1000 - START) // STEP + 1 for query in server.asked("/OHLC")]


def lose(server, first, last):
    """Take candles out of the history, as an outage does."""
    server.history["5m"] = [
        row for row in server.history["5m"] if not first <= (row[0] - START) // STEP < last
    ]


def test_pages_follow_each_other_and_the_forming_candle_is_left_out(binance, tmp_path):
    raw = fetch(binance, tmp_path).raw
    assert starts(binance) == [0, 1_000]
    np.testing.assert_array_equal(raw.timestamp, grid(0, 1_500))
    rows = np.column_stack([raw.open, raw.high, raw.low, raw.close, raw.volume])
    np.testing.assert_array_equal(rows, [row[1:] for row in binance.history["5m"][:1_500]])


def test_until_is_exclusive_and_borders_inside_a_candle_take_the_next_open(binance, tmp_path):
    fetched = fetch(binance, tmp_path, START + 1, START + 10 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(1, 10))
    assert fetched.warnings == ()


def test_a_stored_range_asks_the_exchange_nothing(binance, tmp_path):
    first = fetch(binance, tmp_path, until=START + 1_200 * STEP)
    binance.requests.clear()
    again = fetch(binance, tmp_path, until=START + 1_200 * STEP)
    assert binance.requests == []
    np.testing.assert_array_equal(again.raw.close, first.raw.close)


def test_only_the_new_end_is_fetched(binance, tmp_path):
    fetch(binance, tmp_path)
    binance.requests.clear()
    binance.now += 7 * STEP
    fetched = fetch(binance, tmp_path)
    assert starts(binance) == [1_500]
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_507))


def test_only_the_earlier_start_is_fetched(binance, tmp_path):
    fetch(binance, tmp_path, START + 1_200 * STEP, START + 1_300 * STEP)
    binance.requests.clear()
    fetched = fetch(binance, tmp_path, START + 100 * STEP, START + 1_300 * STEP)
    assert starts(binance) == [100, 1_100]
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(100, 1_300))


def test_two_distant_ranges_leave_no_silent_hole(binance, tmp_path):
    fetch(binance, tmp_path, START, START + 10 * STEP)
    fetch(binance, tmp_path, START + 1_400 * STEP, START + 1_410 * STEP)
    fetched = fetch(binance, tmp_path, START, START + 1_410 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_410))


def test_an_outage_is_asked_for_until_two_answers_agree_and_then_never_again(binance, tmp_path):
    lose(binance, 20, 50)
    fetched = fetch(binance, tmp_path, until=START + 100 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, np.r_[grid(0, 20), grid(50, 100)])
    assert starts(binance) == [0, 0]
    fetch(binance, tmp_path, START + 30 * STEP, START + 60 * STEP)
    assert starts(binance) == [0, 0]


def test_a_hole_of_the_last_hour_is_asked_for_again_until_it_is_older(binance, tmp_path):
    """A candle may be shown late: after an hour two answers that agree prove a hole."""
    rows = {bar: binance.history["5m"][bar] for bar in (1_485, 1_495)}
    lose(binance, 1_485, 1_486)
    lose(binance, 1_495, 1_496)
    for _ in range(2):
        fetched = fetch(binance, tmp_path)
        assert fetched.warnings == ()
        bars = np.setdiff1d(grid(0, 1_500), [row[0] for row in rows.values()])
        np.testing.assert_array_equal(fetched.raw.timestamp, bars)
    binance.history["5m"] = sorted([*binance.history["5m"], *rows.values()])
    fetched = fetch(binance, tmp_path)
    assert rows[1_485][0] not in fetched.raw.timestamp
    assert fetched.raw.close[-5] == rows[1_495][4]


def test_a_hole_that_was_new_is_the_exchanges_own_an_hour_later(binance, tmp_path):
    lose(binance, 1_495, 1_496)
    fetch(binance, tmp_path, until=START + 1_500 * STEP)
    binance.now += 12 * STEP
    binance.requests.clear()
    for _ in range(2):
        fetched = fetch(binance, tmp_path, until=START + 1_500 * STEP)
        assert (fetched.warnings, starts(binance)) == ((), [1_494, 1_494])
        assert fetched.answered == ((START, START + 1_500 * STEP),)


def test_history_that_begins_later_is_reported_every_time_but_settled_once(binance, tmp_path):
    lose(binance, 0, 400)
    for _ in range(2):
        fetched = fetch(binance, tmp_path, until=START + 500 * STEP)
        np.testing.assert_array_equal(fetched.raw.timestamp, grid(400, 500))
        (warning,) = fetched.warnings
        assert "nothing before 2023-01-02 09:20 UTC: 100 candles, 0.3 days" in warning
    assert starts(binance) == [0, 0]


def test_kraken_serves_its_last_720_and_says_so_with_both_ways_out(kraken, tmp_path):
    fetched = fetch(kraken, tmp_path)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(781, 1_500))  # 719 closed, 1 forming
    (warning,) = fetched.warnings
    assert "kraken BTC/USDT 5m: asked from 2023-01-01 00:00 UTC" in warning
    assert "719 candles, 2.5 days" in warning
    assert "data.kraken=trades" in warning
    assert "import=PATH takes Kraken's OHLCVT archives" in warning
    assert starts(kraken) == [0, 0]


def test_what_kraken_does_not_serve_is_not_taken_for_answered(kraken, tmp_path):
    with pytest.raises(UserError, match=r"no closed candle from 2023-01-01 .*data.kraken=trades"):
        fetch(kraken, tmp_path, until=START + 700 * STEP)
    fetch(kraken, tmp_path)
    kraken.requests.clear()
    fetch(kraken, tmp_path)  # trades or an archive may have more by now
    assert starts(kraken) == [0, 0]


def test_kraken_rolls_forward_and_reports_the_hole_of_a_late_return(kraken, tmp_path):
    fetch(kraken, tmp_path)
    kraken.now += 1_000 * STEP
    fetched = fetch(kraken, tmp_path, START + 781 * STEP, START + 2_500 * STEP)
    np.testing.assert_array_equal(
        fetched.raw.timestamp, np.r_[grid(781, 1_500), grid(1_781, 2_500)]
    )
    (warning,) = fetched.warnings
    assert "no longer serves" in warning
    assert "from 2023-01-06 05:00 UTC to 2023-01-07 04:25 UTC" in warning


def test_history_that_ends_early_is_reported(binance, tmp_path):
    lose(binance, 90, 2_000)
    (warning,) = fetch(binance, tmp_path, until=START + 100 * STEP).warnings
    assert (
        "asked until 2023-01-01 08:20 UTC, but the last candle opens at 2023-01-01 07:25" in warning
    )


def test_progress_counts_bars_of_the_asked_range(binance, tmp_path):
    fetch(binance, tmp_path, until=START + 300 * STEP)
    calls = []
    fetch(binance, tmp_path, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(300, 1_500), (1_300, 1_500), (1_500, 1_500)]


# A ban ends the fetch: test_retry.py.
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.BANNED])
def test_whatever_happens_to_an_answer_the_candles_are_the_same(binance, tmp_path, fault):
    binance.fail(*[fault] * (1 if fault in LIES else 2))
    raw = fetch(binance, tmp_path).raw
    np.testing.assert_array_equal(raw.timestamp, grid(0, 1_500))
    np.testing.assert_array_equal(raw.volume, [row[5] for row in binance.history["5m"][:1_500]])


def test_what_was_fetched_before_giving_up_is_kept(binance, tmp_path):
    first_page = [None] * 3  # exchangeInfo, time, klines
    binance.fail(*first_page, *[Fault.UNAVAILABLE] * 3)
    with pytest.raises(
        UnreachableError, match=r"binance BTC/USDT 5m: no answer in 3 attempts.*run again"
    ):
        fetch(binance, tmp_path)
    binance.requests.clear()
    assert len(fetch(binance, tmp_path).raw) == 1_500
    assert starts(binance) == [1_000]


def test_long_fetches_save_on_the_way(binance, tmp_path, monkeypatch):
    saved = []
    save = exchange_module.save
    monkeypatch.setattr(
        exchange_module, "AS_CANDLES", exchange_module.AS_CANDLES._replace(pages_per_save=1)
    )
    monkeypatch.setattr(
        exchange_module,
        "save",
        lambda path, s, *rest: (saved.append(len(s.rows)), save(path, s, *rest)),
    )
    fetch(binance, tmp_path)
    assert saved == [1_000, 1_500]


def test_unknown_symbol_is_refused_with_a_near_miss(binance, tmp_path):
    with pytest.raises(
        UserError, match=r"binance has no market 'BTC/USDC'.*Did you mean 'BTC/USDT'"
    ):
        fetch(binance, tmp_path, symbol="BTC/USDC")


def test_timeframe_that_the_exchange_lacks_names_those_it_has(kraken, tmp_path):
    with pytest.raises(
        UserError, match=r"kraken has no 2h candles; it has 1m, 5m, 15m, 30m, 1h, 4h"
    ):
        fetch_ccxt(
            CandleRequest("kraken", "BTC/USDT", "2h", START, START + 10**8),
            tmp_path,
            client=kraken.client(),
        )


@pytest.mark.parametrize(
    ("since", "until"), [(START, START), (START + 2_000 * STEP, START + 10**12)]
)
def test_a_range_without_a_closed_candle_is_refused(binance, tmp_path, since, until):
    with pytest.raises(UserError, match="binance BTC/USDT 5m: no closed candle from 2023-01-"):
        fetch(binance, tmp_path, since, until)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_pages_that_never_advance_are_said_and_not_looped_on(request, exchange, tmp_path):
    server = request.getfixturevalue(exchange)
    server.page = lambda path, rows, page=server.page: page(path, server.rows("5m")[:100])
    with pytest.raises(UnreachableError, match="its pages do not advance"):
        fetch(server, tmp_path, since=START + 500 * STEP)
    assert starts(server) == [500] * QUICK.attempts


def test_a_page_that_ends_just_before_the_next_one_is_no_end(binance, tmp_path):
    """Always the first 1,000: the second page ends where the candle before the start would be."""
    binance.page = lambda path, rows, page=binance.page: page(path, binance.rows("5m")[:1_000])
    with pytest.raises(UnreachableError, match="its pages do not advance"):
        fetch(binance, tmp_path)
    del binance.page
    assert len(fetch(binance, tmp_path).raw) == 1_500
    assert starts(binance) == [0, *[1_000] * QUICK.attempts, 1_000]


def test_the_candle_before_the_start_alone_says_that_there_is_no_other(binance, tmp_path):
    fetch(binance, tmp_path, until=START + 1_500 * STEP)
    binance.page = lambda path, rows, page=binance.page: page(path, binance.rows("5m")[1_499:1_500])
    assert len(fetch(binance, tmp_path, until=START + 1_501 * STEP).raw) == 1_500


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, bad) for column in (1, 2, 3, 4) for bad in (0.0, -1.0)),
        (0, START + 50 * STEP + 7_000),  # off the grid
        (2, 1.0),  # a high below the low
        (5, -1.0),
    ],
)
def test_a_row_that_cannot_be_a_candle_is_named_and_not_stored(binance, tmp_path, column, value):
    row = binance.history["5m"][50]
    binance.history["5m"][50] = [*row[:column], value, *row[column + 1 :]]
    with pytest.raises(UnreachableError, match=rf"cannot be a candle: \[.*{value}"):
        fetch(binance, tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))
    binance.history["5m"][50] = row
    assert len(fetch(binance, tmp_path).raw) == 1_500


def test_a_candle_without_volume_is_one(binance, tmp_path):
    binance.history["5m"][50][5] = 0.0
    assert fetch(binance, tmp_path, until=START + 60 * STEP).raw.volume[50] == 0.0


def test_an_empty_object_is_no_answer(binance, tmp_path):
    binance.page = lambda *_: {}
    with pytest.raises(UnreachableError, match=r"binance answered with nothing: \{\}"):
        fetch(binance, tmp_path)


def test_a_start_that_is_always_ignored_is_said_and_left_open(binance, tmp_path):
    server = binance
    server.page = lambda path, rows, page=server.page: page(path, server.rows("5m")[-1_000:])
    fetched = fetch(server, tmp_path)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(501, 1_500))
    (warning,) = fetched.warnings
    assert "serves nothing before 2023-01-02 17:45 UTC: 999 candles, 3.5 days" in warning
    del server.page
    assert len(fetch(server, tmp_path).raw) == 1_500


def test_a_clock_ahead_does_not_close_the_forming_candle(binance, tmp_path):
    binance.fail(Fault.CLOCK_OFF)
    np.testing.assert_array_equal(fetch(binance, tmp_path).raw.timestamp, grid(0, 1_500))


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
@pytest.mark.parametrize("answer", [None, "abc", []])
def test_a_clock_that_tells_no_time_is_asked_again(request, exchange, tmp_path, answer):
    server = request.getfixturevalue(exchange)
    name, whole = {"binance": "serverTime", "kraken": "unixtime"}[exchange], server.clock
    answers = iter([{name: answer}, {}, whole(server.now)])
    server.clock = lambda now: next(answers)
    fetch(server, tmp_path, since=START + 1_000 * STEP, until=START + 1_100 * STEP)
    assert next(answers, None) is None


def test_a_clock_far_ahead_of_ours_is_not_believed(binance, tmp_path):
    """Two hours: more than the age at which a newest candle is believed to have closed."""
    binance.clock_error_ms = 7_200_000
    binance.fail(None, Fault.CLOCK_OFF)
    client = binance.client()
    client.milliseconds = lambda: binance.now
    notes = []
    fetched = fetch_ccxt(
        CandleRequest("binance", "BTC/USDT", "5m", START, START + 2_000 * STEP), tmp_path,
        client=client, backoff=QUICK, on_note=notes.append,
    )  # fmt: skip
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_500))
    (note,) = notes
    assert "the exchange's clock is 2.0 h ahead of this machine's" in note


def test_a_clock_behind_leaves_the_newest_for_later(binance, tmp_path):
    binance.clock_error_ms = -2 * STEP
    binance.fail(Fault.CLOCK_OFF)
    np.testing.assert_array_equal(fetch(binance, tmp_path).raw.timestamp, grid(0, 1_498))
    np.testing.assert_array_equal(fetch(binance, tmp_path).raw.timestamp, grid(0, 1_500))


def test_answers_that_never_agree_are_not_believed(binance, tmp_path):
    binance.fail(*[Fault.MISSING_RANGE] * 3)
    with pytest.raises(UnreachableError, match="answers the same question differently each time"):
        fetch(binance, tmp_path, until=START + 900 * STEP)


def test_damage_is_told_before_an_exchange_that_does_not_answer(binance, tmp_path):
    fetch(binance, tmp_path, until=START + 1_000 * STEP)
    (file,) = tmp_path.rglob("2023-01.parquet")
    file.write_bytes(b"PAR1")
    binance.faults.script += [Fault.RESET] * 100
    notes = []
    with pytest.raises(UnreachableError, match=r"the last: .* \(Connection reset by peer\)\. What"):
        fetch(binance, tmp_path, on_note=notes.append)
    assert "2023-01.parquet is damaged" in notes[0]


def test_what_the_store_has_is_said_where_the_exchange_does_not_answer(binance, tmp_path):
    fetch(binance, tmp_path, until=START + 12 * STEP)
    binance.faults.script += [Fault.RESET] * 100
    with pytest.raises(
        UnreachableError, match=r"store has 2023-01-01 00:00 UTC to 2023-01-01 01:00 UTC: data="
    ):
        fetch(binance, tmp_path)


def test_a_time_to_come_is_no_older_history(binance, tmp_path):
    year = 366 * 86_400_000
    with pytest.raises(UserError, match=r"no closed candle from .*\. Now it is 20\d\d-"):
        fetch(binance, tmp_path, since=START + 50 * year, until=START + 51 * year)


def test_a_silent_exchange_names_the_longest_spans_of_the_store_alone():
    day = 86_400_000
    spans = [(0, day), (2 * day, 9 * day), (10 * day, 12 * day), (20 * day, 24 * day)]
    said = _available_offline(SimpleNamespace(answered=spans))
    named = [
        f"1970-01-{first:02} 00:00 UTC to 1970-01-{end:02} 00:00 UTC"
        for first, end in ((3, 10), (11, 13), (21, 25))
    ]
    assert said.startswith(f" The store has {', '.join(named)}, and 1 shorter: ")
    assert "shorter" not in _available_offline(SimpleNamespace(answered=spans[:3]))
    words = [w for w in said.replace("DATE", "2022-01-01", 1).split() if "=" in w]
    words[-1] = "data.until=2023-01-01"
    m = "market=btc_binance_1h"
    assert load(words, StoredConfig, "stored").data == load([m, *words], TrainConfig, "train").data
    assert _available_offline(SimpleNamespace(answered=[])) == ""
