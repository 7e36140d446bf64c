"""Waiting an exchange out: how long, how often, and when not at all."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import ccxt
import pytest

from pipeline.errors import UnreachableError, UserError
from pipeline.market_data.exchange import connection as connection_module
from pipeline.market_data.exchange.connection import Backoff, Connection, load_markets, new_client
from support.loopback import PASSING, Fault


@pytest.fixture
def slept(monkeypatch):
    """Seconds of every wait, none of which happens."""
    seconds = []
    monkeypatch.setattr(connection_module.time, "sleep", seconds.append)
    return seconds


class Client:
    """Fails in the given ways, then answers; ``headers`` come with every failure."""

    id = "binance"

    def __init__(self, *failures, headers=None):
        self.failures, self.headers, self.asked = list(failures), headers, 0

    def __call__(self):
        self.asked += 1
        if self.failures:
            self.last_response_headers = self.headers
            raise self.failures.pop(0)
        return "answer"


def asking(client, note=lambda _: None, **settings):
    return Connection(client, "BTC/USDT", "5m", Backoff(**settings), note).ask(client)


def test_waits_double_up_to_the_longest_and_are_shortened_by_up_to_half(slept):
    client = Client(*[ccxt.ExchangeNotAvailable("503")] * 5)
    assert asking(client, first_s=1, longest_s=6) == "answer"
    for waited, longest in zip(slept, [1, 2, 4, 6, 6], strict=True):
        assert longest / 2 <= waited <= longest


def test_a_longer_retry_after_is_waited_for_in_full(slept):
    asking(Client(ccxt.RateLimitExceeded("429"), headers={"Retry-After": "17"}))
    assert slept == [17.0]


def test_retry_after_may_be_a_date(slept):
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    asking(Client(ccxt.RateLimitExceeded("429"), headers={"Retry-After": moment}))
    assert slept[0] == pytest.approx(40, abs=2)


@pytest.mark.parametrize("value", ["soon", "-3", ""])
def test_a_retry_after_that_nobody_can_read_is_none(slept, value):
    asking(Client(ccxt.RateLimitExceeded("429"), headers={"Retry-After": value}))
    assert 0.5 <= slept[0] <= 1.0


def test_a_wait_beyond_patience_is_said_instead_of_waited(slept):
    client = Client(ccxt.RateLimitExceeded("429"), headers={"Retry-After": "4000"})
    with pytest.raises(UnreachableError, match="asks to wait 4000 s"):
        asking(client)
    assert (slept, client.asked) == ([], 1)


def test_every_wait_is_told(slept):
    notes = []
    asking(Client(ccxt.RequestTimeout("slow")), note=notes.append)
    assert notes == [f"binance BTC/USDT 5m: slow; attempt 2 of 6 in {slept[0]:.1f} s"]


@pytest.mark.parametrize(
    ("message", "headers", "until"),
    [
        ("binance 418 I'm a Teapot", None, "for a time that it does not say"),
        ("binance 429 banned until 1672531200000.", None, "until 2023-01-01 00:00 UTC"),
        ("kraken EGeneral:Temporary lockout", {}, "for a time that it does not say"),
    ],
)
def test_a_ban_stops_at_once_and_says_until_when(slept, message, headers, until):
    client = Client(ccxt.DDoSProtection(message), headers=headers)
    with pytest.raises(UnreachableError, match=f"banned this address {until}"):
        asking(client)
    assert (slept, client.asked) == ([], 1)


def test_a_refusal_is_not_repeated(slept):
    client = Client(ccxt.BadRequest("-1120 Invalid interval"))
    with pytest.raises(UserError, match=r"binance BTC/USDT 5m: the exchange refused: -1120"):
        asking(client)
    assert (slept, client.asked) == ([], 1)


def test_a_refused_symbol_is_named(slept):
    with pytest.raises(UserError, match=r"binance BTC/USDT 5m: the exchange refused the symbol"):
        asking(Client(ccxt.BadSymbol("-1121 Invalid symbol")))


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_the_real_client_gives_a_ban_with_its_end(request, slept, exchange):
    server = request.getfixturevalue(exchange)
    server.retry_after = 7200
    server.fail(Fault.BANNED)
    before = time.time()
    with pytest.raises(UnreachableError) as error:
        connection(server).now()
    moment = str(error.value).split("until ")[1].split(" UTC")[0]
    end = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    assert end == pytest.approx(before + 7200, abs=60)
    assert (len(server.requests), slept) == (1, [])


def test_the_real_client_passes_retry_after_on(binance, slept):
    binance.retry_after = 9
    binance.fail(Fault.TOO_MANY, Fault.RESET)
    assert connection(binance).now() == binance.now
    assert slept[0] == 9.0
    assert slept[1] <= 2.0  # a lost connection has no headers


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_markets_survive_what_passes_by(request, slept, exchange, fault):
    server = request.getfixturevalue(exchange)
    server.fail(fault)
    connection(server).check_market()
    assert server.faults.injected == {fault: 1}


def test_text_instead_of_json_is_no_empty_answer(kraken):
    kraken.fail(None, None, Fault.INVALID_JSON)  # Assets, AssetPairs, OHLC
    with pytest.raises(ccxt.BadResponse, match="kraken answered with invalid JSON"):
        kraken.client().fetch_ohlcv("BTC/USDT", "5m")


def connection(server):
    return Connection(server.client(), server.symbol, "5m", Backoff(), lambda _: None)


def test_unknown_exchange_is_refused_with_a_near_miss():
    with pytest.raises(UserError, match="Did you mean 'binance'"):
        new_client("binanse")


@pytest.mark.parametrize(
    ("exchange", "symbol", "kinds"),
    [
        ("binance", "BTC/USDT", ["spot"]),
        ("binance", "BTC/USDT:USDT", ["linear"]),
        ("okx", "BTC/USDT:USDT", ["swap"]),
        ("binanceusdm", "BTC/USDT:USDT", ["linear"]),
    ],
)
def test_only_markets_of_the_kind_of_a_symbol_are_loaded(exchange, symbol, kinds, monkeypatch):
    client = new_client(exchange)
    monkeypatch.setattr(client, "load_markets", dict)
    assert load_markets(client, symbol) == {}
    assert client.options["fetchMarkets"]["types"] == kinds
