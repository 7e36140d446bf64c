"""Months from the exchange's archive: what is asked, and what becomes of files that are bad."""

import re

import pytest

from pipeline.errors import UserError
from pipeline.market_data.exchange import month_archives
from pipeline.market_data.exchange.connection import Backoff
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.market_data.store.month import content_hash, read_record
from pipeline.market_data.store.store import candle_path, load
from support.loopback import CANDLE_START, ArchiveFault, Fault, LoopbackBinance, candle_series

STEP = 900_000
COUNT = 96 * 130  # to 2023-05-11
NOW = CANDLE_START + COUNT * STEP + 1
SINCE = CANDLE_START + 96 * STEP * 10  # 2023-01-11
HOLE = range(96 * 33, 96 * 34 + 7)
CANDLES = candle_series(COUNT + 1, step=STEP, absent=HOLE)


@pytest.fixture
def exchange(monkeypatch):
    with LoopbackBinance({"15m": CANDLES}, NOW) as server:
        monkeypatch.setenv(month_archives.VARIABLE, server.url)
        yield server


def fetched(server, folder, archive, since=SINCE, notes=None):
    request = CandleRequest("binance", "BTC/USDT", "15m", since, NOW, "ohlc", archive)
    return fetch_ccxt(
        request,
        folder,
        on_note=(notes if notes is not None else []).append,
        client=server.client(),
        backoff=Backoff(first_s=0.01),
    )


def stored(folder):
    return load(candle_path(folder, "binance", "BTC/USDT", "15m"))


def same(one, other):
    return (content_hash(one.rows), one.answered) == (content_hash(other.rows), other.answered)


@pytest.fixture(scope="module")
def by_pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with LoopbackBinance({"15m": CANDLES}, NOW) as server:
        fetched(server, folder, "never")
        assert server.archive.asked == []
    return stored(folder)


def test_whole_months_come_from_the_archive_and_the_rest_by_pages(exchange, tmp_path, by_pages):
    notes = []
    fetched(exchange, tmp_path, "auto", notes=notes)
    assert notes == []
    assert [name for name in exchange.archive.asked if name.endswith("zip")] == [
        f"BTCUSDT-15m-2023-{month}.zip" for month in ("02", "03", "04")
    ]
    assert same(stored(tmp_path), by_pages)
    folder = candle_path(tmp_path, "binance", "BTC/USDT", "15m")
    sources = [read_record(file).sources for file in sorted(folder.glob("*.parquet"))]
    assert sources[1:4] == [(f"archive BTCUSDT-15m-2023-{n}.zip",) for n in ("02", "03", "04")]
    assert sources[0] == sources[4] == ("binance through ccxt",)


def test_a_second_run_asks_for_nothing(exchange, tmp_path):
    fetched(exchange, tmp_path, "auto")
    exchange.requests.clear()
    exchange.archive.paths.clear()
    fetched(exchange, tmp_path, "auto")
    assert exchange.asked("/klines") == exchange.archive.asked == []


@pytest.mark.parametrize(
    ("faults", "asked", "said"),
    [
        ([ArchiveFault.WRONG_CHECKSUM], 4, None),
        ([ArchiveFault.WRONG_CHECKSUM] * 2, 4, "it is not what its checksum describes"),
        ([ArchiveFault.TRUNCATED_ZIP] * 2, 4, "2023-02.zip cannot be read"),
        ([Fault.UNAVAILABLE] * 2, 4, "status 503"),
        ([Fault.UNAVAILABLE], 4, None),
        ([Fault.RESET], 4, None),
        ([Fault.TRUNCATED] * 2, 4, "Its candles come by pages"),
        ([Fault.SLOW], 3, None),
        ([ArchiveFault.ABSENT], 3, None),
        ([ArchiveFault.FORBIDDEN], 1, "status 403"),
        ([Fault.UNAVAILABLE] * 4, 4, "the archive is asked no more"),
    ],
)
def test_a_bad_file_is_asked_for_once_more_and_comes_by_pages(
    exchange, tmp_path, by_pages, monkeypatch, faults, asked, said
):
    monkeypatch.setattr(month_archives, "PAUSE_S", 0.01)
    exchange.archive.script += faults
    notes = []
    fetched(exchange, tmp_path, "auto", notes=notes)
    assert len([name for name in exchange.archive.asked if name.endswith("zip")]) == asked
    assert same(stored(tmp_path), by_pages)
    if said is None:
        assert notes == []
    else:
        assert re.search(re.escape(said), " ".join(notes))


def test_an_archive_that_cannot_be_reached_costs_one_try(exchange, tmp_path, by_pages, monkeypatch):
    monkeypatch.setenv(month_archives.VARIABLE, "http://127.0.0.1:9")
    notes = []
    fetched(exchange, tmp_path, "auto", notes=notes)
    assert len(notes) == 1
    assert "http://127.0.0.1:9 cannot be used (Connection refused)" in notes[0]
    assert same(stored(tmp_path), by_pages)


def test_the_archive_alone_asks_no_exchange(exchange, tmp_path):
    exchange.requests.clear()
    warnings = fetched(exchange, tmp_path, "only").warnings
    assert exchange.requests == []
    assert stored(tmp_path).answered[0][0] == SINCE
    assert "data.archive=auto asks the exchange" in warnings[-1]


def test_all_there_is_asks_the_archive_for_no_month_before_the_first_candle(exchange, tmp_path):
    fetched(exchange, tmp_path, "auto", since=1_262_304_000_000)
    assert exchange.archive.asked[0] == "BTCUSDT-15m-2023-02.zip"
    assert len(exchange.asked("/klines")) == 5


def test_a_perpetual_has_a_folder_of_its_own(exchange, tmp_path):
    request = CandleRequest("binanceusdm", "BTC/USDT:USDT", "15m", SINCE, NOW, "ohlc", "only")
    raw = fetch_ccxt(request, tmp_path, client=exchange.client()).raw
    assert len(raw) == 96 * 110 - len(HOLE)
    assert "/data/futures/um/monthly/klines/BTCUSDT/15m/" in exchange.archive.paths[0]


def test_an_exchange_without_an_archive_says_so(tmp_path):
    request = CandleRequest("kraken", "BTC/USDT", "15m", SINCE, NOW, "ohlc", "only")
    with pytest.raises(UserError, match=r"Leave data\.archive=auto"):
        fetch_ccxt(request, tmp_path)


def test_a_file_that_is_too_large_is_not_read(exchange, tmp_path, by_pages, monkeypatch):
    monkeypatch.setattr(month_archives, "LARGEST", 10_000)
    notes = []
    fetched(exchange, tmp_path, "auto", notes=notes)
    assert "over 10,000 bytes" in notes[0]
    assert same(stored(tmp_path), by_pages)


def test_microseconds_of_newer_files_are_understood(tmp_path, monkeypatch):
    start = 1_735_689_600_000  # 2025-01-01
    candles = candle_series(96 * 70, step=STEP, start=start)
    with LoopbackBinance({"15m": candles}, start + 96 * 69 * STEP) as server:
        monkeypatch.setenv(month_archives.VARIABLE, server.url)
        request = CandleRequest(
            "binance", "BTC/USDT", "15m", start, start + 96 * 59 * STEP, "ohlc", "only"
        )
        raw = fetch_ccxt(request, tmp_path, client=server.client()).raw
    assert len(server.archive.asked) == 4
    assert raw.timestamp.tolist() == [row[0] for row in candles[: 96 * 59]]
    assert raw.volume.tolist() == [row[5] for row in candles[: 96 * 59]]
