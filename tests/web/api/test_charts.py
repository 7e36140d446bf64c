"""Candles and levels that the Studio draws, of generated and of stored candles."""

import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient

from pipeline.errors import ConflictError, UserError
from pipeline.market_data.raw import came
from pipeline.market_data.store.store import EMPTY, candle_path, save
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.report.loading import load_candles_again
from pipeline.report.performance import excursions
from pipeline.results.artifacts.artifact_set import read_artifacts
from pipeline.web.api.app import create_app
from pipeline.web.service.candles import CandleService
from support.runs import run_here
from support.serving import service_over
from support.sweeping import TINY

DAY, HOUR, FIRST = 86_400_000, 3_600_000, 1_672_531_200_000
DAYS = 90


def load_here(service, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return load_candles_again(service.repository, only(service))


def only(service):
    (configuration,) = service.repository.configurations.find()
    return configuration


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A service over a configuration of stored candles, and its folder."""
    folder = tmp_path_factory.mktemp("charts")
    path = candle_path(folder / "var/candles", "binance", "BTC/USDT", "1h")
    raw = synthetic_candles(DAYS, "1h", 3, first_ms=FIRST)
    save(path, EMPTY.overlay(raw, [(FIRST, FIRST + DAYS * DAY)]), "a test")
    words = [word for word in TINY if "synthetic" not in word and "days" not in word]
    span = ("data.since=2023-01-01", "data.until=2023-04-01")
    trail = "strategy=supply_shock"
    finished = run_here(
        folder, "market=btc_binance_1h", trail, *span, *words, "optimizer.samples=40"
    )
    assert finished.status == 0, finished.err
    with service_over(folder) as service:
        yield service, folder


def test_generated_candles_are_joined_and_many_are_kept_until_the_page_is_left(
    trained_service, monkeypatch
):
    charts, configuration = trained_service.charts, only(trained_service)
    whole = load_candles_again(trained_service.repository, configuration)
    start, end = charts.span(configuration)
    made = charts.candles(configuration, (start, end), 300)
    assert made.level == DAY
    assert made.sticks.candles.high.tolist() == whole.high.reshape(-1, 24).max(axis=1).tolist()
    assert made.sticks.bars.sum() == (~whole.filled).sum()
    near = charts.candles(configuration, (start + 30 * HOUR, start + 40 * HOUR), 300)
    assert near.level == HOUR
    assert near.sticks.candles.close.tolist() == whole.close[30:40].tolist()
    charts.leave(configuration.id)
    monkeypatch.setattr("pipeline.web.service.charts.KEPT", len(whole) - 1)
    charts.leave("another")
    assert charts._held is not None
    charts.leave(configuration.id)
    assert charts._held is None


def test_candles_of_another_exchange_that_came_later_take_nothing_from_it(stored, monkeypatch):
    """A training refuses candles that others contradict; what was trained has its own."""
    service, folder = stored
    before = load_here(service, folder, monkeypatch)
    raw = synthetic_candles(30, "1h", 4, first_ms=FIRST)
    other = candle_path(folder / "var/candles", "kraken", "BTC/USDT", "1h")
    save(other, EMPTY.overlay(raw, [(FIRST, FIRST + 30 * DAY)]), "a test")
    assert load_here(service, folder, monkeypatch).sha256 == before.sha256
    shutil.rmtree(other)


def test_stored_candles_are_read_and_not_kept(stored, monkeypatch):
    service, folder = stored
    monkeypatch.chdir(folder)
    charts, configuration = service.charts, only(service)
    whole = load_candles_again(service.repository, configuration)
    start, end = charts.span(configuration)
    made = charts.candles(configuration, (start, end), 200)
    assert made.level == 12 * HOUR
    assert made.sticks.candles.low.tolist() == whole.low.reshape(-1, 12).min(axis=1).tolist()
    assert charts.candles(configuration, (start + HOUR, start + 4 * HOUR), 9).level == HOUR
    assert charts._held is None


def test_a_stop_that_trails_is_told_bar_by_bar(stored, monkeypatch):
    service, folder = stored
    monkeypatch.chdir(folder)
    configuration = only(service)
    record = read_artifacts(folder / "var/artifacts", configuration.id)
    told = [service.charts.levels(configuration, record.windows, t) for t in record.trades]
    assert told
    for trade, levels in zip(record.trades, told, strict=True):
        assert levels.stop[0] == pytest.approx(trade["stop"], rel=1e-9)
        assert len(levels.stop) == trade["exit_bar"] - trade["entry_bar"] + 1
    other = record.trades[:1].copy()
    other["stop"] *= 1.001  # of other candles, or of other rules
    assert service.charts.levels(configuration, record.windows, other[0]) is None


def test_the_swept_level_lies_between_the_extreme_and_the_close_before(trained_service, tmp_path):
    configuration = only(trained_service)
    record = read_artifacts(tmp_path / "var/artifacts", configuration.id)
    candles = load_candles_again(trained_service.repository, configuration)
    for trade in record.trades:
        levels = trained_service.charts.levels(configuration, record.windows, trade)
        level, bar, side = levels.about["swept level"], trade["setup_bar"], trade["side"]
        extreme = candles.low[bar] if side > 0 else candles.high[bar]
        assert side * extreme < side * level < side * candles.close[bar - 1]
        assert np.isclose(candles.low if side > 0 else candles.high, level).any()  # a swing point


def test_candles_that_are_gone_are_named(stored, monkeypatch, tmp_path):
    service, _ = stored
    monkeypatch.chdir(tmp_path)
    configuration = only(service)
    with pytest.raises(UserError, match="scripts/fetch"):
        service.charts.candles(configuration, service.charts.span(configuration), 9)


def test_excursions_are_those_of_all_candles_at_once(stored, monkeypatch):
    service, folder = stored
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pipeline.web.service.charts.CHUNK", 50)  # several reads
    configuration = only(service)
    trades = read_artifacts(folder / "var/artifacts", configuration.id).trades
    whole = load_candles_again(service.repository, configuration)
    ran = service.charts.excursions(configuration, trades)
    expected = excursions(came(whole), trades, int(whole.timestamp[0]), HOUR)
    assert ran.adverse.tolist() == expected.adverse.tolist()
    assert ran.favourable.tolist() == expected.favourable.tolist()
    assert (ran.adverse > 0.0).any()
    other = trades.copy()
    other["entry"] *= 1.001
    with pytest.raises(UserError, match="not those that it was trained on"):
        service.charts.excursions(configuration, other)


def test_the_table_of_trades_says_how_far_they_ran_when_asked(stored, monkeypatch, tmp_path):
    service, folder = stored
    monkeypatch.chdir(folder)
    identity = only(service).id
    with TestClient(create_app(service), base_url="http://127.0.0.1:8080") as client:
        address = f"/api/configurations/{identity}/trades"
        plain, asked = client.get(address), client.get(address, params={"excursions": "true"})
        trades = read_artifacts(folder / "var/artifacts", identity).trades
        ran = service.charts.excursions(only(service), trades)
        assert [row["mae"] for row in plain.json()["trades"]] == [None] * len(trades)
        assert [row["mae"] for row in asked.json()["trades"]] == ran.adverse.tolist()
        assert [row["mfe"] for row in asked.json()["trades"]] == ran.favourable.tolist()
        assert plain.headers["etag"] != asked.headers["etag"]
        bars = trades["exit_bar"] - trades["entry_bar"] + 1
        assert [row["bars"] for row in plain.json()["trades"]] == bars.tolist()
        monkeypatch.chdir(tmp_path)
        gone = client.get(address, params={"excursions": "true"})
        assert (gone.status_code, client.get(address).status_code) == (409, 200)


def test_a_stored_market_is_drawn_without_any_configuration(stored, monkeypatch):
    service, folder = stored
    candles = CandleService(folder / "var/candles")
    market = candles.market("binance:BTC/USDT:1h")
    whole = load_here(service, folder, monkeypatch)
    near = candles.chart(market, (FIRST + 5 * HOUR, FIRST + 9 * HOUR), 10)
    assert (near.level, near.sticks.candles.close.tolist()) == (HOUR, whole.close[5:9].tolist())
    far = candles.chart(market, (FIRST, FIRST + DAYS * DAY), 100)
    assert (far.level, far.sticks.candles.high[0]) == (DAY, whole.high[:24].max())


def test_days_that_were_read_are_read_anew_once_their_file_is_another(stored, tmp_path):
    _, folder = stored
    copy = shutil.copytree(folder / "var/candles", tmp_path / "candles")
    candles = CandleService(copy)
    market, span = candles.market("binance:BTC/USDT:1h"), (FIRST, FIRST + DAYS * DAY)
    assert candles.chart(market, span, 100).level == DAY
    month = min(copy.glob("binance/BTC_USDT/1h/20*.parquet"))
    content = bytearray(month.read_bytes())
    content[len(content) // 3] ^= 0xFF
    month.write_bytes(content)
    with pytest.raises(ConflictError, match=f"{month.stem} are damaged"):
        candles.chart(market, span, 100)
