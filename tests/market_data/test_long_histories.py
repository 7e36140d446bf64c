"""All there is, and the last of a file: what is asked, what is kept, and what a second run asks."""

import numpy as np
import pytest

from pipeline.config import TrainConfig, load
from pipeline.config.history import EARLIEST_MS
from pipeline.market_data.sources import load_candles, within_history
from pipeline.market_data.store.inventory import QUALITY
from pipeline.market_data.store.month import BEGINNING
from pipeline.market_data.store.store import candle_path
from pipeline.market_data.store.store import load as load_store
from support.loopback import (
    CANDLE_START,
    LoopbackBinance,
    LoopbackKraken,
    LoopbackOkx,
    candle_series,
)

HOUR, DAY = 3_600_000, 86_400_000
COUNT = 24 * 100
ALL = ("market=btc_binance_1h", "data.history=all")


@pytest.fixture
def exchange():
    rows = candle_series(COUNT + 1, step=HOUR)
    with LoopbackBinance({"1h": rows}, CANDLE_START + COUNT * HOUR + 1) as server:
        yield server


def folder_of(tmp_path, exchange="binance"):
    return candle_path(tmp_path / "var/candles", exchange, "BTC/USDT", "1h")


def test_all_there_is_begins_with_the_first_candle(fetch, tmp_path, exchange):
    fetched = fetch(exchange, *ALL)
    assert fetched.status == 0
    assert "the exchange serves nothing before 2023-01-01 00:00 UTC: 2400 candles" in fetched.err
    assert "import=PATH" not in fetched.err
    stored = load_store(folder_of(tmp_path))
    assert stored.answered == ((EARLIEST_MS, CANDLE_START + COUNT * HOUR),)
    np.testing.assert_array_equal(stored.rows.timestamp, CANDLE_START + HOUR * np.arange(COUNT))
    names = sorted(file.name for file in folder_of(tmp_path).iterdir())
    assert names == ["2023-01.parquet", "2023-02.parquet", "2023-03.parquet", "2023-04.parquet",
                     BEGINNING, QUALITY]  # fmt: skip


def test_a_second_run_asks_for_nothing_again(fetch, tmp_path, exchange):
    fetch(exchange, *ALL)
    exchange.requests.clear()
    assert fetch(exchange, *ALL, "data.until=2023-04-01").status == 0
    assert exchange.requests == []
    assert fetch(exchange, *ALL).status == 0
    assert exchange.asked("/klines") == []


def test_a_beginning_that_was_changed_is_asked_for_again(fetch, tmp_path, exchange):
    fetch(exchange, *ALL)
    file = folder_of(tmp_path) / BEGINNING
    file.write_text(file.read_text().replace("1262304000000", "1162304000000"))
    assert load_store(folder_of(tmp_path)).answered[0][0] == CANDLE_START
    exchange.requests.clear()
    fetch(exchange, *ALL, "data.until=2023-04-01")
    assert len(exchange.asked("/klines")) == 3  # the first asks whether answers are of windows
    assert load_store(folder_of(tmp_path)).answered[0][0] == EARLIEST_MS


def test_an_exchange_that_serves_its_newest_alone_says_so(fetch, tmp_path, exchange):
    with LoopbackKraken(exchange.history, exchange.now) as kraken:
        fetched = fetch(kraken, "market=btc_kraken_1h", "data.history=all")
    assert fetched.status == 0
    assert "Kraken's candles are its newest 720" in fetched.err
    assert load_store(folder_of(tmp_path, "kraken")).answered[0][0] > CANDLE_START


def test_an_exchange_of_windows_is_asked_for_weeks_and_days_first(fetch, tmp_path):
    """OKX knows nothing of what follows an empty window, and there are 700 of them."""
    hours = candle_series(COUNT + 1, step=HOUR)
    weeks = candle_series(20, step=7 * DAY, start=CANDLE_START - 6 * DAY)
    history = {"1h": hours, "1d": candle_series(101, step=DAY), "1w": weeks}
    okx = ("market=okx:DOGE/USDT:1h", "data.history=all")
    with LoopbackOkx(history, CANDLE_START + COUNT * HOUR + 1) as server:
        fetched = fetch(server, *okx)
        assert fetched.status == 0, fetched.err
        assert len(server.requests) < 40
        stored = load_store(candle_path(tmp_path / "var/candles", "okx", "DOGE/USDT", "1h"))
        assert stored.answered == ((EARLIEST_MS, CANDLE_START + COUNT * HOUR),)
        np.testing.assert_array_equal(stored.rows.close, [row[4] for row in hours[:COUNT]])
        server.requests.clear()
        assert fetch(server, *okx, "data.until=2023-04-01").status == 0
        assert server.requests == []


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        (["data.history=2mo"], "2023-10-31T00", "2023-12-30T23"),
        (["data.history=10d", "data.until=2023-06-11"], "2023-06-01T00", "2023-06-10T23"),
        (["data.history=all"], "2023-01-01T00", "2023-12-30T23"),
    ],
)
def test_the_history_of_a_file_ends_with_its_last_candle(rows, words, first, last):
    config = load(
        ["market=btc_binance_1h", "data=file", "data.path=x.csv", *words], TrainConfig, "train"
    )
    kept = within_history(rows(range(364 * 24), step=HOUR), config.data, "1h").timestamp
    times = kept[[0, -1]].astype("datetime64[ms]").astype("datetime64[h]").astype(str)
    assert times.tolist() == [first, last]


@pytest.mark.parametrize(("length", "told"), [("4y", True), ("30d", False)])
def test_a_file_that_is_shorter_than_its_history_says_so(length, told, rows, tmp_path):
    file = tmp_path / "x.csv"
    raw = rows(range(100 * 24), step=HOUR)
    columns = np.column_stack([getattr(raw, name) for name in raw.COLUMNS])
    np.savetxt(file, columns, delimiter=",", header=",".join(raw.COLUMNS), comments="", fmt="%.6f")
    words = ["market=btc_binance_1h", "data=file", f"data.path={file}", f"data.history={length}"]
    config = load(
        [*words, *(f"data.quality.{n}=null" for n in ("outliers",))], TrainConfig, "train"
    )
    warnings = load_candles(config.market, config.data, lambda bars: None).warnings
    assert any(f"data.history={length}" in w for w in warnings) is told
