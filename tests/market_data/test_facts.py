"""What an exchange says of a market: read from ccxt's entry, kept in the store, compared."""

import json

import pytest

from pipeline.config import CostsConfig, TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.exchange.connection import Backoff, Connection
from pipeline.market_data.exchange.facts import MarketFacts, facts_of, sentence, stored_facts
from pipeline.market_data.exchange.fetching import CandleRequest, fetch_ccxt
from pipeline.training.assumptions import assumptions
from support.loopback import CANDLE_START, LoopbackKraken, LoopbackOkx, candle_series

HOUR, COUNT = 3_600_000, 240
NOW = CANDLE_START + COUNT * HOUR + 1
REQUEST = CandleRequest("okx", "DOGE/USDT:USDT", "1h", CANDLE_START, NOW)


@pytest.fixture
def okx():
    with LoopbackOkx({"1h": candle_series(COUNT + 1, HOUR)}, NOW) as server:
        yield server


@pytest.fixture
def facts(okx, tmp_path):
    fetch_ccxt(REQUEST, tmp_path, client=okx.client())
    return stored_facts(tmp_path, "okx", "DOGE/USDT:USDT")


def test_they_are_kept_in_the_folder_of_the_market(facts, tmp_path):
    assert facts == MarketFacts(
        contract="linear perpetual", taker=0.0005, maker=0.0002, price_step=0.00001,
        amount_step=0.001, least_amount=10, least_cost=None, contract_size=0.01, active=True,
        listed="2020-09-13T12:26:40+00:00", asked=facts.asked,
    )  # fmt: skip
    assert facts.listed_ms == 1_600_000_000_000
    assert json.loads((tmp_path / "okx/DOGE_USDT_USDT/market.json").read_text())["taker"] == 0.0005


def test_spot_has_no_contract(okx):
    client = okx.client()
    client.load_markets()
    facts = facts_of(client, "DOGE/USDT")
    assert (facts.contract, facts.contract_size, facts.taker) == ("spot", None, 0.0015)


def test_steps_of_decimal_places_are_steps(okx):
    client = okx.client()
    client.load_markets()
    client.precisionMode = 2  # ccxt.DECIMAL_PLACES
    client.markets["DOGE/USDT"]["precision"] = {"price": 5, "amount": 0}
    facts = facts_of(client, "DOGE/USDT")
    assert (facts.price_step, facts.amount_step) == (pytest.approx(0.00001), 1.0)


def test_what_was_never_asked_or_is_damaged_is_none(tmp_path):
    assert stored_facts(tmp_path, "okx", "DOGE/USDT") is None
    (tmp_path / "okx/DOGE_USDT").mkdir(parents=True)
    for text in ("{", "[]", '{"taker": 1}'):
        (tmp_path / "okx/DOGE_USDT/market.json").write_text(text)
        assert stored_facts(tmp_path, "okx", "DOGE/USDT") is None


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"swap": True, "linear": False, "inverse": True}, "inverse perpetual"),
        ({"swap": False, "future": True, "expiry": 1}, "dated future"),
        ({"swap": False, "option": True, "expiry": 1}, "option"),
    ],
)
def test_another_kind_of_contract_is_refused(okx, entry, kind):
    client = okx.client()
    client.load_markets()
    client.markets["DOGE/USDT:USDT"] |= entry
    connection = Connection(client, "DOGE/USDT:USDT", "1h", Backoff(), lambda _: None)
    with pytest.raises(UserError, match=kind):
        connection.check_market()


def test_kraken_states_its_own_fees():
    with LoopbackKraken({"5m": candle_series(3)}, NOW) as server:
        client = server.client()
        client.load_markets()
        assert facts_of(client, "BTC/USDT").contract == "spot"


def said(word, facts, **costs):
    config = load([f"market={word}"], TrainConfig, "train")
    values = config.costs.model_dump() | costs
    return list(assumptions(config.market, CostsConfig(**values), facts))


def test_fees_that_differ_are_named_with_the_words_to_type(facts):
    word, own = "okx:DOGE/USDT:USDT:30m", {"slippage": 0.001}
    assert said(word, facts, **own) == []
    other = facts.__class__(**vars(facts) | {"taker": 0.0008, "maker": 0.0001})
    (note,) = said(word, other, **own)
    assert "costs.fee_rate=0.0008 costs.maker_fee=0.0001" in note
    assert said(word, other, fee_rate=0.0003, maker_fee=0.0, **own) == []
    (inactive,) = said(word, facts.__class__(**vars(facts) | {"active": False}), **own)
    assert "not traded now" in inactive


def test_what_is_assumed_is_said_until_it_is_given(facts):
    (slippage,) = said("okx:DOGE/USDT:USDT:30m", facts)
    assert "costs.slippage" in slippage
    slippage, fee = said("okx:DOGE/USDT:USDT:30m", None)
    assert "was not asked" in fee
    slippage, fee = said("p2b:BTC/USDT:1h", None)
    assert "costs.fee_rate" in fee
    assert said("p2b:BTC/USDT:1h", None, fee_rate=0.002, slippage=0.0) == []


def test_a_market_with_a_file_assumes_nothing(facts):
    assert said("btc_binance_5m", None) == []
    assert said("demo", None) == []


def test_a_sentence_names_what_is_known(facts):
    text = sentence("okx", "DOGE/USDT:USDT", vars(facts))
    assert "linear perpetual, taker fee 0.0005, maker fee 0.0002" in text
    assert "least cost" not in text
