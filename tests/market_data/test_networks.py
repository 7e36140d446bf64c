"""Proxies, certificates, and answers that will not change: each said in one sentence."""

import ccxt
import pytest

from pipeline.config.data import Network, is_proxy
from pipeline.errors import UnreachableError, UserError
from pipeline.market_data.exchange import connection as connection_module
from pipeline.market_data.exchange.connection import Backoff, Connection, new_client
from pipeline.market_data.exchange.network import AS_USUAL, CA_VARIABLES, new_session
from support.loopback import (
    CANDLE_START,
    Authority,
    LoopbackBinance,
    LoopbackProxy,
    candle_series,
    pointed,
)

HOST, SECRET = "api.binance.com", ("me", "p@ss/word")
WRITTEN = "me:p%40ss%2Fword@"
NOW = CANDLE_START + 6 * 300_000


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """No wait happens, and the variables of this machine count for nothing."""
    monkeypatch.setattr(connection_module.time, "sleep", lambda _: None)
    for name in (*CA_VARIABLES, "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def exchange(authority):
    """Binance as the net has it: HTTPS, under its own name."""
    with LoopbackBinance(
        {"5m": candle_series(9)}, NOW, tls=authority.context(HOST, "localhost")
    ) as server:
        yield server


def asked_by(client, network=Network(), **backoff):  # noqa: B008
    notes = []
    connection = Connection(
        client, "BTC/USDT", "5m", Backoff(**backoff), notes.append, network=network
    )
    return connection, notes


def through(network, **backoff):
    """The product's own client on the way of ``network``: no address is rewritten."""
    return asked_by(new_client("binance", network), network, **backoff)


@pytest.mark.parametrize("kind", ["http", "socks"])
@pytest.mark.parametrize("password", [None, SECRET])
def test_a_proxy_of_either_kind_leads_to_the_exchange(exchange, authority, kind, password):
    with LoopbackProxy({HOST: exchange.port}, password) as proxy:
        address = getattr(proxy, kind)
        if password:
            address = address.replace("://", f"://{WRITTEN}")
        connection, _ = through(Network(address, str(authority.path)))
        assert connection.now() == NOW
        assert proxy.asked == [HOST]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("bundle", CA_VARIABLES)
def test_the_environment_says_it_too(exchange, authority, monkeypatch, name, bundle):
    with LoopbackProxy({HOST: exchange.port}) as proxy:
        monkeypatch.setenv(name, proxy.http)
        monkeypatch.setenv(bundle, str(authority.path))
        assert through(Network())[0].now() == NOW
        assert proxy.asked == [HOST]


def test_keys_come_before_the_environment(exchange, authority, monkeypatch):
    with LoopbackProxy({HOST: exchange.port}) as proxy, LoopbackProxy({}) as other:
        monkeypatch.setenv("HTTPS_PROXY", other.http)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        assert through(Network(proxy.http, str(authority.path)))[0].now() == NOW
        assert other.asked == []


def test_plain_http_goes_through_a_proxy_but_for_what_is_left_out(monkeypatch):
    with (
        LoopbackBinance({"5m": candle_series(2)}, NOW) as server,
        LoopbackProxy({"127.0.0.1": server.port}) as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.http)
        assert asked_by(server.client())[0].now() == NOW
        assert proxy.asked == ["127.0.0.1"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert asked_by(server.client())[0].now() == NOW
        monkeypatch.delenv("NO_PROXY")
        direct = pointed("binance", server.url)
        direct.session = new_session(Network("direct"))
        assert asked_by(direct, Network("direct"))[0].now() == NOW
        assert proxy.asked == ["127.0.0.1"]


def refusal(connection):
    with pytest.raises(UnreachableError) as error:
        connection.now()
    assert "p@ss" not in str(error.value)
    assert "p%40ss" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", ["http", "socks"])
@pytest.mark.parametrize("written", ["", "me:wrong@"])
def test_a_proxy_that_wants_a_password_is_asked_once(exchange, kind, written):
    with LoopbackProxy({HOST: exchange.port}, SECRET) as proxy:
        address = getattr(proxy, kind)
        connection, notes = through(Network(address.replace("://", f"://{written}")))
        sentence = refusal(connection)
    assert f"the proxy {address} (data.proxy) asks for a password" in sentence
    assert notes == []


@pytest.mark.parametrize("kind", ["http", "socks"])
def test_a_proxy_that_refuses_is_asked_once(exchange, kind):
    with LoopbackProxy({HOST: exchange.port}, allows=False) as proxy:
        connection, notes = through(Network(getattr(proxy, kind)))
        assert "refuses to connect to the exchange" in refusal(connection)
    assert notes == []


@pytest.mark.parametrize("kind", ["http", "socks"])
def test_a_proxy_that_is_away_is_named_and_asked_again(kind):
    with LoopbackProxy({}) as proxy:
        address = getattr(proxy, kind)
    connection, notes = through(Network(address.replace("://", f"://{WRITTEN}")), attempts=3)
    sentence = refusal(connection)
    assert f"the proxy {address} (data.proxy) gives no connection (Connection refused)" in sentence
    assert len(notes) == 2
    assert "p%40ss" not in "".join(notes)


@pytest.mark.parametrize("kind", ["http", "socks"])
def test_a_proxy_that_cannot_reach_the_exchange_is_asked_again(exchange, authority, kind):
    with LoopbackProxy({}) as proxy:
        network = Network(getattr(proxy, kind), str(authority.path))
        connection, notes = through(network, attempts=3)
        assert "gives no connection" in refusal(connection)
    assert len(notes) == 2


@pytest.mark.parametrize("address", ["socks://127.0.0.1:1", "socks6://127.0.0.1:1"])
def test_a_kind_of_proxy_that_nobody_knows(monkeypatch, address):
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(UserError, match=rf"The proxy {address} \(ALL_PROXY\) is of no kind"):
        through(Network())[0].now()


@pytest.mark.parametrize(
    ("hosts", "days", "words"),
    [
        ((HOST,), (-1, 30), "data.ca=FILE.pem"),
        (("example.com",), (-1, 30), "data.ca=FILE.pem"),
        ((HOST,), (-9, -1), "Check the clock of this machine"),
        ((HOST,), (1, 9), "Check the clock of this machine"),
    ],
)
def test_a_certificate_that_is_not_accepted(tmp_path, hosts, days, words):
    authority = Authority(tmp_path)
    known = None if words.startswith("data.ca") and hosts == (HOST,) else str(authority.path)
    with (
        LoopbackBinance({"5m": []}, NOW, tls=authority.context(*hosts, days=days)) as server,
        LoopbackProxy({HOST: server.port}) as proxy,
    ):
        connection, notes = through(Network(proxy.http, known))
        sentence = refusal(connection)
    assert f"the certificate of {HOST} is not accepted" in sentence
    assert words in sentence
    assert notes == []


def test_authorities_that_cannot_be_read(tmp_path, monkeypatch):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "nowhere.pem"):
        with pytest.raises(UserError, match=f"data.ca={path} cannot be used"):
            new_client("binance", Network(ca=str(path)))
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(UserError, match=f"SSL_CERT_FILE={path} cannot be used"):
            new_client("binance")


#: What exchanges say, what it is, and what ccxt 4.5.90 takes it for.
PASSING = (
    ("kraken", 200, {"error": ["EService:Timeout"]}),
    ("kraken", 200, {"error": ["EService:Deadline elapsed"]}),
    ("kraken", 200, {"error": ["EService:Unavailable"]}),
    ("kraken", 200, {"error": ["EService:Busy"]}),
    ("kraken", 200, {"error": ["EService: Throttled: 1700000000"]}),
    ("kraken", 200, {"error": ["EGeneral:Internal error"]}),
    ("kraken", 200, {"error": ["EAPI:Rate limit exceeded"]}),
    ("binance", 400, {"code": -1000, "msg": "An unknown error occurred"}),
    ("binance", 400, {"code": -1001, "msg": "Internal error; unable to process your request."}),
    ("binance", 400, {"code": -1006, "msg": "An unexpected response was received."}),
    ("binance", 400, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
    ("binance", 503, {"code": -1008, "msg": "Server is currently overloaded."}),
    ("binance", 500, {"code": -9999, "msg": "a code that nobody knows"}),
    ("okx", 200, {"code": "50001", "msg": "Service temporarily unavailable.", "data": []}),
    ("okx", 200, {"code": "50004", "msg": "API endpoint request timeout.", "data": []}),
    ("okx", 429, {"code": "50011", "msg": "Requests too frequent.", "data": []}),
    ("okx", 200, {"code": "50013", "msg": "System is busy, please try again later.", "data": []}),
    ("okx", 500, {"code": "50026", "msg": "System error, please try again later.", "data": []}),
    ("bybit", 200, {"retCode": 10000, "retMsg": "Server Timeout"}),
    ("bybit", 200, {"retCode": 10006, "retMsg": "Too many visits. Exceeded the API Rate Limit."}),
    ("bybit", 200, {"retCode": 10016, "retMsg": "Server error."}),
    ("bybit", 200, {"retCode": 10018, "retMsg": "Exceeded the IP Rate Limit."}),
    ("bitget", 400, {"code": "40015", "msg": "System is abnormal, please try again later"}),
)
FINAL = (
    ("binance", 451, {"code": 0, "msg": "Service unavailable from a restricted location"}),
    ("binance", 403, "no"),
    ("okx", 403, {"code": "1", "msg": "denied", "data": []}),
    ("bybit", 403, "no"),
    ("kraken", 404, "no"),
    ("okx", 405, "no"),
    ("binance", 410, "no"),
    ("bybit", 511, "no"),
    ("kraken", 407, "no"),
)
REFUSALS = (
    ("kraken", 200, {"error": ["EQuery:Unknown asset pair"]}),
    ("kraken", 200, {"error": ["EGeneral:Invalid arguments"]}),
    ("binance", 400, {"code": -1120, "msg": "Invalid interval."}),
    ("okx", 200, {"code": "51000", "msg": "Parameter bar error", "data": []}),
    ("bybit", 200, {"retCode": 10001, "retMsg": "params error: invalid interval"}),
)


def answered(exchange, *replies):
    """Ask ``exchange`` for something, which answers so; the failures that were noted."""
    with LoopbackBinance({"5m": []}, NOW) as server:
        for reply in replies:
            server.reply(*reply)
        client = pointed(exchange, server.url, rateLimit=1)
        connection, notes = asked_by(client)
        asked = connection.ask(lambda: client.fetch("http" + server.url[4:] + "/anything"))
    return asked, notes


@pytest.mark.parametrize(("exchange", "status", "body"), PASSING)
def test_what_an_exchange_calls_transient_is_asked_again(exchange, status, body):
    truth = {"error": [], "code": "00000" if exchange == "bitget" else "0", "retCode": 0}
    asked, notes = answered(exchange, (status, body), (200, truth))
    assert asked == truth
    assert len(notes) == 1


@pytest.mark.parametrize(("exchange", "status", "body"), FINAL)
def test_what_will_not_pass_ends_at_once(exchange, status, body):
    with pytest.raises(UnreachableError) as error:
        answered(exchange, (status, body))
    if status in (403, 451):
        assert "data.proxy=" in str(error.value)


@pytest.mark.parametrize(("exchange", "status", "body"), REFUSALS)
def test_a_refusal_is_none_of_these(exchange, status, body):
    with pytest.raises(UserError, match="the exchange refused") as error:
        answered(exchange, (status, body))
    assert error.value.status == 2


def test_an_answer_that_ccxt_knows_better_keeps_its_name():
    with pytest.raises(UserError, match="refused the symbol"):
        answered("binance", (400, {"code": -1121, "msg": "Invalid symbol."}))
    with pytest.raises(UnreachableError, match="banned this address"):
        answered("binance", (418, {"code": -1003, "msg": "banned until 1700000000000."}))
    assert issubclass(ccxt.BadSymbol, ccxt.ExchangeError)


def test_a_fetch_by_the_command_leaves_no_trace_of_the_proxy(here, exchange, authority, tmp_path):
    with LoopbackProxy({HOST: exchange.port}, SECRET) as proxy:
        fetched = here(
            "market=btc_binance_5m",
            "data.since=2023-01-01",
            f"data.proxy={proxy.socks.replace('://', f'://{WRITTEN}')}",
            f"data.ca={authority.path}",
            command="fetch",
        )
    assert fetched.status == 0, fetched.err
    assert set(proxy.asked) == {HOST}
    assert "p%40ss" not in fetched.out + fetched.err
    for path in (tmp_path / "var/candles").rglob("*.*"):
        assert b"p%40ss" not in path.read_bytes()


@pytest.mark.parametrize(
    "given", ["127.0.0.1:1080", "ftp://h:1", "socks5h://me:secret@host", "me:secret@h:1"]
)
def test_an_address_that_is_none_is_refused_without_its_password(here, given):
    refused = here("market=btc_binance_5m", f"data.proxy='{given}'", command="fetch")
    assert refused.status == 2
    assert "data.proxy must be an address such as http://HOST:PORT" in refused.err
    assert "secret" not in refused.err


@pytest.mark.parametrize(
    "address",
    ["http://me:pw@[::1:1", "http://me:p#x@127.0.0.1:1", "http://127.0.0.1:99999", "http://h:port"],
)
def test_an_address_that_is_none_is_named_wherever_it_is(address, monkeypatch):
    assert not is_proxy(address)
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(UserError, match="HTTPS_PROXY is no address") as refusal:
        new_session(AS_USUAL).get("https://127.0.0.1:9/")
    assert "pw" not in str(refusal.value)
