"""`scripts/export`: files for freqtrade, trades as CSV, the document as JSON."""

import csv
import json

import numpy as np
import pytest

from gpu_engine import REASONS
from pipeline import export
from pipeline.bots.exporting import traded_exchange
from pipeline.bots.plan import Plan
from pipeline.config import StorageOnly, load
from pipeline.config.data import ExchangeConfig, MarketConfig
from pipeline.errors import UserError
from pipeline.review.stored import read_record
from support.runs import ask
from support.stored import command, resealed, sql


@pytest.fixture
def identity(fading):
    return fading.result["configuration_id"]


def exported(fading, *words):
    return command(export, fading.folder, *words)


def plan_of(fading, folder="bot"):
    (path,) = (fading.folder / folder).glob("*.plan.json")
    return Plan.from_json(path.read_text())


def to_freqtrade(fading, *words, to="bot"):
    return exported(fading, "freqtrade", "latest", "--to", to, "--longs-alone", *words)


def test_it_writes_a_strategy_its_plan_and_settings(fading, identity):
    finished = to_freqtrade(fading)
    assert (finished.status, finished.err) == (0, "")
    names = [f"bot/{identity}.{end}" for end in ("plan.json", "config.json", "py")]
    assert finished.out.splitlines() == [
        *names,
        "VALIDATION: it trades 0.5 of a full position.",
    ]
    plan = plan_of(fading)
    assert (plan.exchange, plan.pair, plan.timeframe) == ("binance", "BTC/USDT", "15m")
    assert plan.parameters == fading.result["parameters"]
    assert (plan.size, plan.risk["direction"], plan.costs["slippage"]) == (0.5, "long", 0.0005)
    settings = json.loads((fading.folder / f"bot/{identity}.config.json").read_text())
    assert settings["exchange"]["pair_whitelist"] == ["BTC/USDT"]
    assert (settings["dry_run"], settings["trading_mode"]) == (True, "spot")


@pytest.mark.parametrize(
    ("stage", "active", "forced", "size"),
    [
        ("VALIDATION", True, False, 0.5),
        ("PAPER", False, False, 0.0),
        ("DECAY", True, False, 0.0),
        ("PAPER", True, True, 0.0),
        ("PAPER", False, True, 0.0),
    ],
)
def test_the_size_is_the_stages_by_force_or_not(fading, identity, stage, active, forced, size):
    def switch(repository):
        repository.configurations.set_active(identity, True, "a test", forced=forced)
        if not active:
            repository.configurations.set_active(identity, False, "a test")

    ask(fading.folder, switch)
    resealed(fading, "UPDATE trained_configurations SET lifecycle_stage = :stage", stage=stage)
    assert to_freqtrade(fading).status == 0
    plan = plan_of(fading)
    assert plan.size == size
    said = (fading.folder / f"bot/{identity}.py").read_text()
    assert ("This file enters nothing" in said) == (size == 0.0)


def test_an_edited_row_is_refused(fading):
    sql(fading, "UPDATE trained_configurations SET lifecycle_stage = 'MATURE'")
    finished = to_freqtrade(fading)
    assert finished.status == 1
    assert "lifecycle_stage" in finished.err
    assert not (fading.folder / "bot").exists()


def test_what_cannot_be_exported_says_so_and_writes_nothing(fading, identity, tmp_path):
    refused = {
        ("freqtrade", "latest", "--to", "bot"): "--longs-alone exports the longs",
        ("freqtrade", "latest"): "scripts/export freqtrade latest --to FOLDER",
        ("trades", "latest", "--to", "gone/t.csv"): "cannot be written: No such file or directory",
        ("freqtrade", f"{identity[:-1]}x", "--to", "bot"): f"Did you mean '{identity}'?",
        ("freqtrad", "latest", "--to", "bot"): "Did you mean 'freqtrade'?",
        (): "given: nothing",
    }
    for words, sentence in refused.items():
        finished = exported(fading, *words)
        assert (finished.status, finished.out) == (2, "")
        assert sentence in finished.err
    assert not (fading.folder / "bot").exists()


def test_a_file_that_is_there_is_left(fading, identity):
    assert to_freqtrade(fading).status == 0
    plan = fading.folder / f"bot/{identity}.plan.json"
    plan.write_text("mine")
    again = to_freqtrade(fading)
    assert (again.status, plan.read_text()) == (2, "mine")
    assert "is there already: remove it, or name another folder." in again.err


def test_a_folder_that_cannot_be_made_is_refused(fading):
    (fading.folder / "taken").write_text("")
    finished = to_freqtrade(fading, to="taken/bot")
    assert (finished.status, finished.out) == (2, "")
    assert "cannot be written to: Not a directory" in finished.err


@pytest.mark.parametrize(
    ("exchange_id", "settle", "timeframe", "sentence"),
    [
        ("poloniex", None, "1h", "freqtrade does not trade on poloniex"),
        ("kraken", "USDT", "1h", "freqtrade trades no contracts on kraken, only on binance"),
        ("binance", None, "3m", None),
        ("kraken", None, "2h", "kraken serves no candles of 2h"),
        (None, None, "1h", "is on no exchange"),
    ],
)
def test_a_market_that_freqtrade_cannot_trade(exchange_id, settle, timeframe, sentence):
    name = exchange_id or "synthetic"
    exchange = ExchangeConfig(
        name=name, ccxt_id=exchange_id, fee_rate=0.001, slippage=0.0005, history_candles=None
    )
    market = MarketConfig(
        base="BTC", quote="USDT", settle=settle, timeframe=timeframe, exchange=exchange
    )
    if sentence is None:
        assert traded_exchange("ID", market) == exchange_id
        return
    with pytest.raises(UserError, match=sentence):
        traded_exchange("ID", market)


def test_periods_that_a_bot_cannot_see_are_refused(fading):
    change = "UPDATE trained_configurations SET parameters = json_set(parameters, :path, 6000)"
    resealed(fading, change, path="$.key_level_lookback")
    finished = to_freqtrade(fading)
    assert (finished.status, finished.out) == (2, "")
    assert "need more than 4,999 candles behind them" in finished.err


def test_trades_are_those_of_the_record(fading):
    finished = exported(fading, "trades", "latest", "--to", "trades.csv")
    assert finished.status == 0
    (configuration,) = fading.configurations
    config = load([f"storage.artifacts={fading.folder}/var/artifacts"], StorageOnly, "stored")
    trades = read_record(config.storage, configuration).trades
    with (fading.folder / "trades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert finished.out == f"trades.csv: {len(trades)} trades\n"
    first = np.datetime64(configuration.provenance["first_candle"][:19], "ms")
    for row, trade in zip(rows, trades, strict=True):
        assert float(row["net_return"]) == trade["ret"]
        assert float(row["entry"]) == trade["entry"]
        assert row["reason"] == REASONS[trade["reason"]]
        assert row["side"] == ("long" if trade["side"] > 0 else "short")
        opened = first + np.timedelta64(int(trade["entry_bar"]) * 15, "m")
        assert np.datetime64(row["entry_time"].removesuffix("Z")) == opened
        assert int(row["bars"]) == trade["exit_bar"] - trade["entry_bar"] + 1
        lost = -trade["side"] * (trade["exit"] - trade["entry"]) / trade["entry"]
        assert float(row["mae"]) >= max(lost, 0.0)
        assert float(row["mfe"]) >= max(-lost, 0.0)


def test_json_is_the_document(fading, identity):
    document = json.loads(exported(fading, "json", "latest").out)
    assert (document["id"], document["status"]) == (identity, "VALIDATION")
    assert document["risk_allocation"]["current_allocation"] == 0.5
    assert document["pattern_health"]["months_since_discovery"] > 0
