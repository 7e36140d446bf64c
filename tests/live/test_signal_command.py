"""`scripts/signal`: what a configuration holds and does next is what a backtest does then."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gpu_engine import REASONS, Window
from pipeline import paper, signal
from pipeline.config import StorageConfig, StoredConfig, load
from pipeline.errors import UserError
from pipeline.live.trader import trader_of
from pipeline.market_data.files.reading import read_file
from pipeline.market_data.grid import make_regular
from pipeline.results.document.signal_models import Signal
from pipeline.review import stored
from support.runs import ask
from support.stored import command, fading_candles, sql, write

STEP = timedelta(minutes=15)


@pytest.fixture
def grown(fading):
    """The same file, 90 days later."""
    write(fading.folder / "candles.parquet", fading_candles())
    return fading


def signals(folder, *arguments):
    finished = command(signal, folder, "--json", *arguments)
    assert "Traceback" not in finished.err
    return finished.status, json.loads(finished.out)["signals"] if finished.out else []


def backtest(finished):
    """The trader of a stored configuration, its candles, and its trades on them."""
    identity = finished.result["configuration_id"]
    storage = StorageConfig.model_construct(
        url="", artifacts=str(finished.folder / "var/artifacts"), patience=0.0
    )

    def read(repository):
        configuration = repository.configurations.read(identity)
        return trader_of(repository, storage, configuration)

    trader = ask(finished.folder, read)
    rows = read_file(finished.folder / "candles.parquet")
    candles, _ = make_regular(rows, "15m", "candles")
    series = trader.series(candles)
    evaluator = trader.evaluator(series.candles)
    window = Window(series.start, len(series.candles))
    return trader, series, evaluator.trades(trader.point, window)


def opened(candles, bar):
    return datetime.fromtimestamp(int(candles.timestamp[bar]) / 1000, UTC)


def test_signals_at_the_turns_of_a_backtest(grown):
    """Before an entry it enters, within a trade it holds, after the exit it is flat."""
    trader, series, trades = backtest(grown)
    trade = trades[len(trades) // 2]
    entry, leave = int(trade["entry_bar"]), int(trade["exit_bar"])
    assert leave > entry + 1
    for bar in (entry - 1, entry, leave - 1, leave):
        at = opened(series.candles, bar) + STEP
        status, (one,) = signals(grown.folder, trader.id, "--as-of", at.isoformat())
        told = Signal.model_validate_json(json.dumps(one))
        assert status == 0
        assert told.candle.closed == at == told.at
        if bar == entry - 1:
            assert told.action == "enter"
            assert told.entries[0].side == ("long" if trade["side"] > 0 else "short")
        elif bar < leave:
            assert told.action == "hold"
            assert told.position.entered == opened(series.candles, entry)
            assert told.position.entry == trade["entry"]
            assert (told.position.stop, told.position.target) == (trade["stop"], trade["target"])
        else:
            assert told.position is None
        if bar == entry - 1:
            for late, action in ((60, "enter"), (61, "wait")):  # as long as `called` allows
                then = (at + timedelta(seconds=late)).isoformat()
                _, (one,) = signals(grown.folder, trader.id, "--as-of", then)
                assert (one["action"], len(one["entries"]) > 0) == (action, action == "enter")
        assert told.size == trader.configuration.position_size
        assert told.notional == told.size * trader.simulation.risk.exposure
    assert REASONS[trade["reason"]] in ("stop", "target", "stop_gap", "target_gap")


def test_stale_candles_are_refused(grown):
    status, (one,) = signals(grown.folder, "latest")
    assert status == 1
    assert one["refusal"].startswith("stale: ")
    assert (one["action"], one["position"], one["entries"], one["size"]) == (None, None, [], 0.0)


@pytest.mark.parametrize("module", [signal, paper])
def test_nothing_is_switched_on_is_nothing_to_do_and_no_mistake(grown, module):
    finished = command(module, grown.folder, *(["--once"] if module is paper else []))
    assert (finished.status, finished.out) == (0, "")
    assert f"scripts/{module.__name__.rpartition('.')[2]} ID" in finished.err
    if module is signal:
        assert signals(grown.folder) == (0, [])


def test_what_is_switched_on_and_cannot_be_read_is_no_nothing(grown):
    identity = grown.result["configuration_id"]
    ask(grown.folder, lambda r: r.configurations.set_active(identity, True, "dry run", forced=True))
    sql(grown, "UPDATE trained_configurations SET gates = '['")
    finished = command(signal, grown.folder)
    assert (finished.status, finished.out) == (1, "")
    assert finished.err.startswith(f"{identity} is switched on and cannot be read: ")
    assert "No configuration is switched on" not in finished.err


def test_other_candles_are_those_that_are_named(fading, tmp_path):
    later = tmp_path / "later.parquet"
    write(later, fading_candles())
    rows = read_file(later)
    at = datetime.fromtimestamp(int(rows.timestamp[-1]) / 1000, UTC) + STEP
    when = ("--as-of", at.isoformat())
    status, (stale,) = signals(fading.folder, "latest", *when)
    assert (status, stale["refusal"].split(":")[0]) == (1, "stale")
    named = ("latest", "data=file", f"data.path={later}")
    status, (one,) = signals(fading.folder, *named, *when)
    assert (status, datetime.fromisoformat(one["candle"]["closed"])) == (0, at)
    write(fading.folder / "candles.parquet", fading_candles())
    _, (own,) = signals(fading.folder, "latest", *when)
    assert one | {"trained_on": None} == own | {"trained_on": None}
    status, (gone,) = signals(fading.folder, "latest", "data=file", "data.path=gone.parquet", *when)
    assert status == 1
    assert "gone.parquet" in gone["refusal"]


def test_other_candles_are_of_one_market(grown, monkeypatch):
    file = ("data=file", "data.path=candles.parquet")
    unnamed = command(signal, grown.folder, *file)
    assert (unnamed.status, unnamed.out) == (2, "")
    assert "name the configurations it is for." in unnamed.err

    def named(repository):
        (one,) = repository.configurations.find()
        other = replace(one, id="other", timeframe="4h")
        kinds = {found.id: found for found in (one, other)}
        monkeypatch.setattr(stored, "find", lambda _, identity: kinds[identity])
        data = load(file, StoredConfig, "stored").data
        return stored.find_named(repository, ["other", one.id], data)

    with pytest.raises(UserError, match="take one market at a time"):
        ask(grown.folder, named)


@pytest.mark.parametrize("time", ["yesterday", "2023-13-01"])
def test_a_time_that_is_none(grown, time):
    finished = command(signal, grown.folder, "latest", "--as-of", time)
    assert finished.status == 2
    assert time in finished.err
