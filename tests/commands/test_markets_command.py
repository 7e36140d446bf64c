"""`scripts/markets`: exchanges of ccxt, and the markets of one on the loopback."""

import json
from functools import partial

import pytest

from pipeline import markets
from pipeline.cli.command import run_plain
from pipeline.market_data.exchange import listing
from pipeline.market_data.exchange.connection import Backoff
from support.loopback import (
    CANDLE_START,
    Fault,
    LoopbackKraken,
    LoopbackOkx,
    candle_series,
)
from support.loopback.okx import instrument

DAY, COUNT = 86_400_000, 100
NOW = CANDLE_START + COUNT * DAY + 1


class Several(LoopbackOkx):
    """Two coins, a perpetual contract, an inverse one, and a name that no word has."""

    instruments = (
        instrument("DOGE"),
        instrument("DOGE", "SWAP"),
        instrument("BTC", listed=""),
        instrument("BTC", "SWAP", uly="BTC-USD", ctType="inverse", settleCcy="BTC"),
        instrument("A-B"),
    )


@pytest.fixture
def okx(monkeypatch):
    with Several({"1d": candle_series(COUNT + 1, DAY)}, NOW) as server:
        monkeypatch.setattr(listing, "new_client", lambda *_: server.client())
        yield server


@pytest.fixture
def listed(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as end:
            run_plain(lambda: markets.main(words))
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


def test_the_markets_that_can_be_trained_are_listed(okx, listed):
    status, out, _ = listed("okx", "--json")
    found = json.loads(out)
    assert status == 0
    rows = {row["symbol"]: row for row in found["markets"]}
    assert sorted(rows) == ["BTC/USDT", "DOGE/USDT", "DOGE/USDT:USDT"]
    assert rows["DOGE/USDT:USDT"]["contract"] == "linear perpetual"
    assert (rows["DOGE/USDT"]["taker"], rows["DOGE/USDT:USDT"]["taker"]) == (0.0015, 0.0005)
    assert rows["DOGE/USDT"]["first"] == "2020-09-13"
    assert (found["others"], "8h" in found["timeframes"]) == (2, False)


def test_a_listing_that_is_not_stated_and_a_window_that_is_empty_are_unknown(okx, listed):
    _, out, _ = listed("okx", "BTC/*", "--json")
    assert [row["first"] for row in json.loads(out)["markets"]] == [None]
    assert len(okx.asked("candles")) == 1
    assert "unknown" in listed("okx", "BTC/*")[1]


@pytest.mark.parametrize(
    ("pattern", "symbols"),
    [
        ("DOGE/*", ["DOGE/USDT", "DOGE/USDT:USDT"]),
        ("doge", ["DOGE/USDT", "DOGE/USDT:USDT"]),
        ("*:USDT", ["DOGE/USDT:USDT"]),
        ("*/USDT", ["BTC/USDT", "DOGE/USDT"]),
        ("ETH/*", []),
    ],
)
def test_a_pattern_leaves_some_out(okx, listed, pattern, symbols):
    _, out, _ = listed("okx", pattern, "--json")
    assert [row["symbol"] for row in json.loads(out)["markets"]] == symbols


def test_a_person_reads_the_word_to_type(okx, listed):
    status, out, _ = listed("okx", "DOGE/*")
    assert status == 0
    assert "0.15 %" in out
    assert "market=okx:DOGE/USDT:1h" in out


def test_the_newest_candles_whatever_is_asked_do_not_tell_the_first(monkeypatch, listed):
    with LoopbackKraken({"1d": candle_series(COUNT + 1, DAY)}, NOW) as kraken:
        client = kraken.client()
        monkeypatch.setattr(client, "milliseconds", lambda: NOW)
        monkeypatch.setattr(listing, "new_client", lambda *_: client)
        _, out, _ = listed("kraken", "BTC", "--json")
    assert [row["first"] for row in json.loads(out)["markets"]] == [None]


def test_the_exchanges_are_listed_without_asking_anybody(listed):
    status, out, _ = listed("--json")
    rows = {row["name"]: row for row in json.loads(out)["exchanges"]}
    assert status == 0
    assert len(rows) > 80
    assert (rows["okx"]["spot_fee"], rows["okx"]["perpetual_fee"]) == (0.0015, 0.0005)
    assert rows["okx"]["funding"]
    assert not rows["binanceusdm"]["spot"]
    assert "bit2c" not in rows


def test_the_way_to_the_exchange_is_that_of_the_keys(okx, listed, monkeypatch):
    ways = []
    monkeypatch.setattr(listing, "new_client", lambda _, way: ways.append(way) or okx.client())
    assert listed("okx", "DOGE/*", "data.proxy=direct", "--json")[0] == 0
    assert [way.proxy for way in ways] == ["direct"]


def test_an_exchange_that_does_not_answer_is_said(okx, listed, monkeypatch):
    monkeypatch.setattr(listing, "Backoff", partial(Backoff, attempts=2, first_s=0.001))
    okx.fail(Fault.UNAVAILABLE, Fault.UNAVAILABLE)
    status, _, err = listed("okx")
    assert status == 1
    assert "okx: no answer in 2 attempts" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("okex",), "Did you mean 'okx'"),
        (("a", "b", "c"), "a pattern"),
        (("okx", "optimizer=grid"), "a pattern"),
        (("okx", "data.proxy=here"), "must be an address"),
    ],
)
def test_a_mistake_is_a_sentence(listed, words, said):
    status, _, err = listed(*words)
    assert status == 2
    assert said in err
