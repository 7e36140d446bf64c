"""The real ccxt client against exchanges on the loopback (spec §1: only what the exchange has)."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.market_data import exchange as exchange_module
from pipeline.market_data.connection import Backoff, new_client
from pipeline.market_data.exchange import fetch_ccxt

START, STEP = 1_672_531_200_000, 300_000
QUICK = Backoff(attempts=3, first_s=0.001)


def fetch(server, store, since=START, until=START + 10_000 * STEP, symbol=None, **options):
    symbol = symbol or {"binance": "BTC/USDT", "kraken": "BTC/USD"}[server.name]
    return fetch_ccxt(
        server.name, symbol, "5m", since, until, store,
        client=server.client(), backoff=QUICK, **options,
    )  # fmt: skip


def grid(first, last):
    return START + STEP * np.arange(first, last)


def test_pages_follow_each_other_and_the_forming_candle_is_left_out(binance, tmp_path):
    fetched = fetch(binance, tmp_path)
    assert binance.requests == [START, START + 1_000 * STEP]
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_500))
    price = 100.0 + fetched.raw.timestamp // STEP % 1000
    np.testing.assert_array_equal(fetched.raw.open, price)
    np.testing.assert_array_equal(fetched.raw.close, price + 0.5)
    np.testing.assert_array_equal(fetched.raw.volume, 2.5)


def test_until_is_exclusive_and_borders_inside_a_candle_take_the_next_open(binance, tmp_path):
    fetched = fetch(binance, tmp_path, START + 1, START + 10 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(1, 10))
    assert fetched.warnings == ()


def test_a_stored_range_asks_the_exchange_nothing(binance, tmp_path):
    first = fetch(binance, tmp_path, until=START + 1_200 * STEP)
    binance.paths.clear()
    again = fetch(binance, tmp_path, until=START + 1_200 * STEP)
    assert binance.paths == []
    np.testing.assert_array_equal(again.raw.close, first.raw.close)


def test_only_the_new_end_is_fetched(binance, tmp_path):
    fetch(binance, tmp_path)
    binance.requests.clear()
    binance.now += 7 * STEP
    fetched = fetch(binance, tmp_path)
    assert binance.requests == [START + 1_500 * STEP]
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_507))


def test_only_the_earlier_start_is_fetched(binance, tmp_path):
    fetch(binance, tmp_path, START + 1_200 * STEP, START + 1_300 * STEP)
    binance.requests.clear()
    fetched = fetch(binance, tmp_path, START + 100 * STEP, START + 1_300 * STEP)
    assert binance.requests == [START + 100 * STEP, START + 1_100 * STEP]
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(100, 1_300))


def test_two_distant_ranges_leave_no_silent_hole(binance, tmp_path):
    fetch(binance, tmp_path, START, START + 10 * STEP)
    fetch(binance, tmp_path, START + 1_400 * STEP, START + 1_410 * STEP)
    fetched = fetch(binance, tmp_path, START, START + 1_410 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(0, 1_410))


def test_an_outage_of_the_exchange_is_asked_for_once(binance, tmp_path):
    binance.absent = set(grid(20, 50).tolist())
    fetched = fetch(binance, tmp_path, until=START + 100 * STEP)
    np.testing.assert_array_equal(fetched.raw.timestamp, np.r_[grid(0, 20), grid(50, 100)])
    binance.requests.clear()
    fetch(binance, tmp_path, START + 30 * STEP, START + 60 * STEP)
    assert binance.requests == []


def test_a_hole_between_pages_is_reported(binance, tmp_path):
    binance.absent = set(grid(1_000, 1_003).tolist())
    (warning,) = fetch(binance, tmp_path, until=START + 1_200 * STEP).warnings
    assert "no candles from 2023-01-04 11:20 UTC to 2023-01-04 11:35 UTC" in warning


def test_history_that_begins_later_is_reported_every_time_but_asked_once(binance, tmp_path):
    binance.first = START + 400 * STEP
    for _ in range(2):
        fetched = fetch(binance, tmp_path, until=START + 500 * STEP)
        np.testing.assert_array_equal(fetched.raw.timestamp, grid(400, 500))
        (warning,) = fetched.warnings
        assert "nothing before 2023-01-02 09:20 UTC: 100 candles, 0.3 days" in warning
    assert binance.requests == [START]


def test_kraken_serves_its_last_720_and_says_so(kraken, tmp_path):
    fetched = fetch(kraken, tmp_path)
    np.testing.assert_array_equal(fetched.raw.timestamp, grid(781, 1_500))  # 719 closed, 1 forming
    (warning,) = fetched.warnings
    assert "kraken BTC/USD 5m: asked from 2023-01-01 00:00 UTC" in warning
    assert "719 candles, 2.5 days" in warning
    assert "data=file" in warning
    assert len(kraken.requests) == 1


def test_kraken_rolls_forward_and_reports_the_hole_of_a_late_return(kraken, tmp_path):
    fetch(kraken, tmp_path, until=START + 1_500 * STEP)
    kraken.now += 1_000 * STEP
    fetched = fetch(kraken, tmp_path, START + 781 * STEP, START + 2_500 * STEP)
    np.testing.assert_array_equal(
        fetched.raw.timestamp, np.r_[grid(781, 1_500), grid(1_781, 2_500)]
    )
    (warning,) = fetched.warnings
    assert "no candles from 2023-01-06 05:00 UTC to 2023-01-07 04:25 UTC" in warning


def test_history_that_ends_early_is_reported(binance, tmp_path):
    binance.absent = set(grid(90, 2_000).tolist())
    (warning,) = fetch(binance, tmp_path, until=START + 100 * STEP).warnings
    assert (
        "asked until 2023-01-01 08:20 UTC, but the last candle opens at 2023-01-01 07:25" in warning
    )


def test_progress_counts_bars_of_the_asked_range(binance, tmp_path):
    fetch(binance, tmp_path, until=START + 300 * STEP)
    seen = []
    fetch(binance, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1_300, 1_500), (1_500, 1_500)]


@pytest.mark.parametrize("status", [429, 503])
def test_passing_failures_are_waited_out(binance, tmp_path, status):
    binance.failures = [status, status]
    assert len(fetch(binance, tmp_path, until=START + 10 * STEP).raw) == 10


def test_what_was_fetched_before_giving_up_is_kept(binance, tmp_path, monkeypatch):
    answer = binance.answer
    monkeypatch.setattr(
        binance,
        "answer",
        lambda path, query: (
            (503, {}) if query.get("startTime", "") > str(START) else answer(path, query)
        ),
    )
    with pytest.raises(UserError, match=r"binance BTC/USDT 5m: no answer in 3 attempts.*run again"):
        fetch(binance, tmp_path)
    monkeypatch.undo()
    binance.requests.clear()
    assert len(fetch(binance, tmp_path).raw) == 1_500
    assert binance.requests == [START + 1_000 * STEP]


def test_long_fetches_save_on_the_way(binance, tmp_path, monkeypatch):
    saved = []
    save = exchange_module.save
    monkeypatch.setattr(exchange_module, "PAGES_PER_SAVE", 1)
    monkeypatch.setattr(
        exchange_module, "save", lambda path, s: (saved.append(len(s.candles)), save(path, s))
    )
    fetch(binance, tmp_path)
    assert saved == [1_000, 1_500]


def test_unknown_symbol_is_refused_with_a_near_miss(binance, tmp_path):
    with pytest.raises(
        UserError, match=r"binance has no market 'BTC/USDC'.*Did you mean 'BTC/USDT'"
    ):
        fetch(binance, tmp_path, symbol="BTC/USDC")


def test_a_refusal_is_not_repeated(binance, tmp_path):
    binance.failures = [400] * 3
    with pytest.raises(UserError, match=r"binance BTC/USDT 5m: the exchange refused"):
        fetch(binance, tmp_path)
    assert len(binance.requests) == 1


def test_timeframe_that_the_exchange_lacks_names_those_it_has(kraken, tmp_path):
    with pytest.raises(
        UserError, match=r"kraken has no 2h candles; it has 1m, 5m, 15m, 30m, 1h, 4h"
    ):
        fetch_ccxt(
            "kraken", "BTC/USD", "2h", START, START + 10**8, tmp_path, client=kraken.client()
        )


def test_unknown_exchange_is_refused_with_a_near_miss():
    with pytest.raises(UserError, match="Did you mean 'binance'"):
        new_client("binanse")


def test_new_client_loads_spot_markets_only():
    assert new_client("binance").options["fetchMarkets"]["types"] == ["spot"]


@pytest.mark.parametrize(
    ("since", "until"), [(START, START), (START + 2_000 * STEP, START + 10**12)]
)
def test_a_range_without_a_closed_candle_is_refused(binance, tmp_path, since, until):
    with pytest.raises(UserError, match="binance BTC/USDT 5m: no closed candle from 2023-01-"):
        fetch(binance, tmp_path, since, until)
