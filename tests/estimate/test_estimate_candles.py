"""The market's own candles where the store has them; nothing fetched, nothing written."""

import time
from pathlib import Path

import numpy as np
import pytest

from gpu_engine import DAY_MS
from pipeline.errors import UserError
from pipeline.estimate.candles import candles_at_hand
from pipeline.market_data.store.store import EMPTY, candle_path, locked, save
from pipeline.market_data.synthetic import synthetic_candles

FIRST = 1_672_531_200_000  # 2023-01-01
YEAR = ("data.since=2023-01-01", "data.until=2024-01-01")


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(folder, exchange, pair, timeframe, days, first=FIRST, seed=1):
    """Put ``days`` of invented candles into the store."""
    rows = synthetic_candles(days, timeframe, seed, first_ms=first)
    path = candle_path(Path(folder, "var/candles"), exchange, pair, timeframe)
    with locked(path):
        save(path, EMPTY.overlay(rows, [(first, first + days * DAY_MS)]), "test")
    return rows


def listing(folder):
    return sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))


def test_stored_candles_are_sampled_and_the_store_is_left_alone(in_folder, configured):
    rows = stored(in_folder, "binance", "BTC/USDT", "1h", 365)
    before = listing(in_folder)
    found = candles_at_hand(configured("market=btc_binance_1h", *YEAR))
    assert (found.source, found.days) == ("stored", 365)
    np.testing.assert_array_equal(found.candles.close[~found.candles.filled], rows.close)
    assert listing(in_folder) == before


def test_a_market_that_is_not_stored_gets_a_stand_in(in_folder, configured):
    found = candles_at_hand(configured("market=btc_binance_1h", *YEAR))
    assert (found.source, found.days) == ("synthetic stand-in", 365)
    assert len(found.candles) == 365 * 24
    assert listing(in_folder) == []


def test_too_few_stored_candles_get_a_stand_in_too(in_folder, configured):
    stored(in_folder, "binance", "BTC/USDT", "1h", 20)
    assert candles_at_hand(configured("market=btc_binance_1h", *YEAR)).source != "stored"


def test_a_damaged_month_is_left_out_and_left_alone(in_folder, configured):
    stored(in_folder, "binance", "BTC/USDT", "1h", 365)
    (file,) = in_folder.rglob("2023-01.parquet")
    file.write_bytes(b"torn")
    found = candles_at_hand(configured("market=btc_binance_1h", *YEAR))
    assert found.candles.timestamp[0] == FIRST + 31 * DAY_MS
    assert file.read_bytes() == b"torn"


def test_kraken_without_a_store_is_refused_with_the_ways_out(in_folder, configured):
    with pytest.raises(UserError) as refused:
        candles_at_hand(configured("market=btc_kraken_5m"))
    for words in ("newest 720 candles of 5m", "needs 157 days", "has 2.", "data.kraken=trades"):
        assert words in str(refused.value)


def test_kraken_from_its_trades_has_the_whole_year(in_folder, configured):
    found = candles_at_hand(configured("market=btc_kraken_1h", "data.kraken=trades"))
    assert (found.source, found.days) == ("synthetic stand-in", 365)


def test_what_the_store_kept_of_kraken_counts(in_folder, configured):
    today = int(time.time() * 1000) // DAY_MS * DAY_MS
    stored(in_folder, "kraken", "BTC/USDT", "1h", 200, first=today - 200 * DAY_MS)
    found = candles_at_hand(configured("market=btc_kraken_1h"))
    assert (found.source, found.days) == ("stored", 200)


def test_generated_candles_are_those_of_the_run_in_small(configured):
    found = candles_at_hand(configured("market=demo_null", "data.days=365"))
    assert (found.source, found.days) == ("generated", 365)
    assert len(found.candles) <= 30_000


def test_a_file_that_is_not_there_is_refused(configured):
    with pytest.raises(UserError, match=r"nowhere\.parquet"):
        candles_at_hand(
            configured("market=btc_binance_1h", "data=file", "data.path=nowhere.parquet")
        )


def test_candles_that_a_run_would_refuse_say_so(in_folder, configured):
    stored(in_folder, "binance", "BTC/USDT", "1h", 365)
    words = ("market=btc_binance_1h", *YEAR)
    assert candles_at_hand(configured(*words)).quality == "ok"
    strict = configured(*words, "data.quality.largest_volume_change=1")
    assert candles_at_hand(strict).quality.startswith("largest_volume_change ")
    stored(in_folder, "kraken", "BTC/USDT", "1h", 30, seed=2)  # a run holds them against these
    assert candles_at_hand(configured(*words)).quality.startswith("median_disagreement ")
