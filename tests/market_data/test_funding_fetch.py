"""Funding through the real ccxt client: the store gets what the exchange has, whatever happens."""

import numpy as np
import pytest

from pipeline.errors import UnreachableError, UserError
from pipeline.market_data.exchange.connection import Backoff
from pipeline.market_data.exchange.funding import fetch_funding
from pipeline.market_data.raw import RawFunding
from pipeline.market_data.store.store import candle_path, load_rows
from support.loopback import Fault, Faults, LoopbackBinanceFutures, payments
from support.loopback.archives import ArchiveFault

START, INTERVAL = 1_672_531_200_000, 28_800_000
COUNT = 2_500
QUICK = Backoff(attempts=4, first_s=0.001)


@pytest.fixture
def rows():
    return payments(COUNT, START)


@pytest.fixture
def exchange(rows):
    with LoopbackBinanceFutures({}, START + (COUNT + 100) * INTERVAL, rows) as server:
        yield server


def fetch(server, store, first=0, last=COUNT):
    span = START + first * INTERVAL, START + last * INTERVAL
    return fetch_funding(
        server.name, server.symbol, span, store, client=server.client(), backoff=QUICK
    )


def check(raw, rows):
    np.testing.assert_array_equal(raw.timestamp, [row[0] for row in rows])
    np.testing.assert_array_equal(raw.rate, [row[1] for row in rows])


def test_a_history_comes_page_by_page_and_is_asked_for_once(exchange, rows, tmp_path):
    check(fetch(exchange, tmp_path), rows)
    assert len(exchange.asked("/fundingRate")) == 3
    exchange.requests.clear()
    check(fetch(exchange, tmp_path, 10, 1_200), rows[10:1_200])
    assert exchange.requests == []
    stored = load_rows(candle_path(tmp_path, "binanceusdm", "BTC/USDT:USDT", "funding"), RawFunding)
    assert stored.answered == ((START, START + COUNT * INTERVAL),)
    assert sorted(f.name for f in tmp_path.rglob("*.parquet"))[:2] == [
        "2023-01.parquet", "2023-02.parquet",
    ]  # fmt: skip


def test_what_is_not_yet_paid_is_asked_for_again(exchange, rows, tmp_path):
    exchange.now = START + 100 * INTERVAL - 60_000
    check(fetch(exchange, tmp_path), rows[:100])
    exchange.now = START + 120 * INTERVAL + 7_200_000
    check(fetch(exchange, tmp_path), rows[:121])


def test_a_payment_that_the_exchange_never_had_is_asked_for_twice_and_no_more(
    exchange, rows, tmp_path
):
    exchange.funding = rows[:300] + rows[306:]
    check(fetch(exchange, tmp_path), rows[:300] + rows[306:])
    exchange.requests.clear()
    fetch(exchange, tmp_path)
    assert exchange.requests == []


@pytest.mark.parametrize("seed", range(3))
def test_faults_change_nothing(rows, tmp_path, seed):
    kinds = (
        Fault.UNAVAILABLE, Fault.INVALID_JSON, Fault.TRUNCATED, Fault.RESET, Fault.MISSING_RANGE,
        Fault.DUPLICATED, Fault.OUT_OF_ORDER,
    )  # fmt: skip
    faults = Faults(seed, 0.3, kinds)
    with LoopbackBinanceFutures({}, START + 3_000 * INTERVAL, rows, faults=faults) as server:
        raw = fetch_funding(
            server.name, server.symbol, (START, START + COUNT * INTERVAL), tmp_path,
            client=server.client(), backoff=Backoff(attempts=40, first_s=0.001, longest_s=0.002),
        )  # fmt: skip
    check(raw, rows)


def test_what_came_before_a_failure_is_kept(exchange, rows, tmp_path):
    fetch(exchange, tmp_path, 0, 1_000)
    exchange.fail(*[Fault.UNAVAILABLE] * 20)
    with pytest.raises(UnreachableError, match="kept"):
        fetch(exchange, tmp_path)
    exchange.faults.script.clear()
    exchange.requests.clear()
    check(fetch(exchange, tmp_path), rows)
    assert int(exchange.asked("/fundingRate")[0]["startTime"]) >= START + 1_000 * INTERVAL


class NewestFirst(LoopbackBinanceFutures):
    """Gives the newest payments of a span where there are more than fit."""

    most = 100

    def rows_for(self, path, query):
        rows = super().rows_for(path, query)
        if path != "/fapi/v1/fundingRate":
            return rows
        since, until = int(query["startTime"]), int(query["endTime"])
        inside = [row for row in self.funding if since <= row[0] <= until]
        return rows._replace(answer=inside[-self.most :])


def test_an_exchange_that_gives_the_newest_first(tmp_path, monkeypatch):
    hourly = [[START + 3_600_000 * k, round(1e-5 * k, 8)] for k in range(1_000)]
    from pipeline.market_data.exchange import funding

    monkeypatch.setattr(funding, "PAGES", {})
    with NewestFirst({}, START + 2_000 * 3_600_000, hourly) as server:
        raw = fetch_funding(
            server.name, server.symbol, (START, START + 1_000 * 3_600_000), tmp_path,
            client=server.client(), backoff=QUICK,
        )  # fmt: skip
    check(raw, hourly)


class Stingy(NewestFirst):
    """Gives fewer than it is asked for, and has none before its listing."""

    most = 50


def test_an_exchange_that_gives_fewer_than_it_is_asked_for(rows, tmp_path):
    with Stingy({}, START + 3_000 * INTERVAL, rows[30:400]) as server:
        check(fetch(server, tmp_path, 0, 400), rows[30:400])
        path = candle_path(tmp_path, "binanceusdm", "BTC/USDT:USDT", "funding")
        assert load_rows(path, RawFunding).answered == ((START, START + 400 * INTERVAL),)


class DeafToEnds(LoopbackBinanceFutures):
    """Gives its newest payments, whatever span it is asked for."""

    def rows_for(self, path, query):
        rows = super().rows_for(path, query)
        return rows._replace(answer=self.funding[-100:]) if path.endswith("Rate") else rows


def test_an_exchange_that_ignores_the_span_answers_for_what_it_gives_alone(rows, tmp_path):
    with DeafToEnds({}, START + 3_000 * INTERVAL, rows[:500]) as server:
        check(fetch(server, tmp_path, 0, 300), [])
        stored = load_rows(
            candle_path(tmp_path, "binanceusdm", "BTC/USDT:USDT", "funding"), RawFunding
        )
        assert stored.answered == ()


def test_another_symbol_is_refused(exchange, tmp_path):
    with pytest.raises(UserError, match="no market 'BTC/USDX:USDX'"):
        fetch_funding(
            "binanceusdm", "BTC/USDX:USDX", (START, START + INTERVAL), tmp_path,
            client=exchange.client(), backoff=QUICK,
        )  # fmt: skip


def test_a_payment_of_just_now_is_taken_and_asked_for_again(exchange, rows, tmp_path):
    exchange.now = START + 100 * INTERVAL + 600_000
    check(fetch(exchange, tmp_path), rows[:101])
    path = candle_path(tmp_path, "binanceusdm", "BTC/USDT:USDT", "funding")
    assert load_rows(path, RawFunding).answered == ((START, exchange.now - 3_600_000),)


@pytest.fixture
def archive(exchange, monkeypatch):
    monkeypatch.setenv("CANDLE_ARCHIVE", exchange.url)
    return exchange.archive


def fetch_months(server, store, first, last):
    span = START + first * INTERVAL, START + last * INTERVAL
    return fetch_funding(
        server.name, server.symbol, span, store, archive="only", client=server.client(),
        backoff=QUICK,
    )  # fmt: skip


def test_months_of_the_archive_alone_hold_the_same(exchange, archive, rows, tmp_path):
    check(fetch_months(exchange, tmp_path, 10, 250), rows[10:250])
    assert exchange.asked("/fundingRate") == []
    assert archive.asked[:2] == [
        "BTCUSDT-fundingRate-2023-01.zip", "BTCUSDT-fundingRate-2023-01.zip.CHECKSUM",
    ]  # fmt: skip
    archive.paths.clear()
    check(fetch_months(exchange, tmp_path, 0, 268), rows[:268])
    assert archive.paths == []


def test_a_month_that_is_not_what_its_checksum_says_is_not_taken(exchange, archive, rows, tmp_path):
    archive.script += [ArchiveFault.WRONG_CHECKSUM] * 2
    check(fetch_months(exchange, tmp_path, 0, 268), rows[93:268])
