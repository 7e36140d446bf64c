"""What a notebook asks for: candles, a grid, a picture, a backtest, a verdict."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from gpu_engine import METRICS
from pipeline import lab
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.raw import RawCandles
from pipeline.market_data.store.store import StoredCandles, candle_path, locked, save
from pipeline.strategies.donchian_breakout import STRATEGY, DonchianBreakout
from pipeline.training.run import Reporter, train

RANGES = {
    "entry_channel": "20:60:20",
    "exit_channel": [10, 20],
    "stop_distance": "1:3:0.5",
    "volume_factor": 0,
}


@pytest.fixture(scope="module")
def results(candles):
    return lab.grid(candles, "donchian_breakout", **RANGES)


def same(one, other):
    names = ("timestamp", "open", "high", "low", "close", "volume", "filled")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def test_candles_of_a_frame_and_of_a_file_are_the_same(frame, candles, tmp_path):
    frame.rename_axis("timestamp").reset_index().to_parquet(tmp_path / "mine.parquet")
    assert same(lab.candles(tmp_path / "mine.parquet"), candles)
    assert same(lab.candles(frame.rename(columns=str.upper)), candles)
    whole = frame.reset_index(names="timestamp")
    milliseconds = whole.assign(timestamp=candles.timestamp[~candles.filled])
    assert same(lab.candles(milliseconds), candles)


def test_a_hole_is_filled(frame):
    whole, holed = lab.candles(frame), lab.candles(frame.drop(frame.index[100:103]))
    new = np.flatnonzero(holed.filled & ~whole.filled)
    assert len(new) == 3
    assert (holed.close[new] == holed.close[new[0] - 1]).all()


def test_candles_of_the_store(candles, tmp_path):
    path = candle_path(tmp_path, "binance", "BTC/USDT", "4h")
    names = ("timestamp", "open", "high", "low", "close", "volume")
    raw = RawCandles(*(getattr(candles, name)[~candles.filled] for name in names))
    span = (int(raw.timestamp[0]), int(raw.timestamp[-1]) + candles.step_ms)
    with locked(path):
        save(path, StoredCandles(raw, (span,)), "a test")
    assert same(lab.candles("btc_binance_4h", store=str(tmp_path)), candles)
    with pytest.raises(UserError, match="scripts/fetch market=eth_binance_4h"):
        lab.candles("eth_binance_4h", store=str(tmp_path))


def test_candles_that_are_none(frame):
    with pytest.raises(UserError, match="no column 'volume'"):
        lab.candles(frame.drop(columns="volume"))
    with pytest.raises(UserError, match="given: int"):
        lab.candles(3)
    for timeframe in (4, "", "7h"):
        with pytest.raises(UserError, match="is not a timeframe"):
            lab.candles(frame, timeframe)


def test_a_grid_has_a_row_a_combination(results):
    assert list(results.columns) == [*results.attrs["parameters"], *METRICS.names]
    assert len(results) == 3 * 2 * 1 * 5
    assert results["entry_channel"].dtype == np.int64
    assert results["stop_distance"].iloc[:5].tolist() == [1, 1.5, 2, 2.5, 3]
    assert results["net_profit"].dtype == np.float64
    assert results["sample_size"].dtype == np.int64


@pytest.mark.parametrize("backend", ["reference", "numpy", "numba"])
def test_a_row_is_the_backtest_of_its_combination(candles, results, backend):
    row = results.iloc[17]
    one = lab.backtest(
        candles, "donchian_breakout", backend=backend, **row[results.attrs["parameters"]]
    )
    assert len(one.trades) == row["sample_size"]
    assert one.metrics["win_rate"] == row["win_rate"]
    assert one.metrics["net_profit"] == pytest.approx(row["net_profit"], rel=1e-12)
    assert np.prod(1 + one.trades["return"]) - 1 == pytest.approx(row["net_profit"], rel=1e-9)
    assert one.equity.iloc[-1] - 1 == pytest.approx(row["net_profit"], rel=1e-9)


def test_trades_and_equity_have_utc_times(candles, results):
    one = lab.backtest(candles, "donchian_breakout", **results.loc[0, results.attrs["parameters"]])
    assert {str(one.trades[name].dt.tz) for name in ("entry_time", "exit_time")} == {"UTC"}
    assert (one.trades["exit_time"] >= one.trades["entry_time"]).all()
    assert set(one.trades["side"]) <= {"long", "short"}
    assert str(one.equity.index.tz) == "UTC"
    assert f"{len(one.trades)} trades" in one._repr_html_()


def test_costs_and_direction_count(candles, results):
    row = results.loc[0, results.attrs["parameters"]]
    free = lab.backtest(candles, "donchian_breakout", fee_rate=0.0, slippage=0.0, **row)
    paid = lab.backtest(candles, "donchian_breakout", **row)
    assert free.metrics["net_profit"] > paid.metrics["net_profit"]
    longs = lab.backtest(candles, "donchian_breakout", direction="long", **row)
    assert set(longs.trades["side"]) == {"long"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("direction", value) for value in ("Long", "up", 1, None)),
        *((cost, bad) for cost in ("fee_rate", "slippage") for bad in (-0.1, 1, 2, True, None)),
        *(("fee_rate", bad) for bad in ("0.1", math.nan, math.inf)),
        *(("backend", bad) for bad in ("gpu", None)),
    ],
)
@pytest.mark.parametrize("function", [lab.grid, lab.backtest])
def test_terms_that_cannot_be_are_refused(candles, function, name, value):
    one = {"entry_channel": 20, "exit_channel": 10, "volume_factor": 0, "stop_distance": 2}
    with pytest.raises(UserError, match=f"^{name} must be"):
        function(candles, "donchian_breakout", **{name: value}, **one)


def test_terms_of_a_command_give_its_figures(candles):
    one = {"entry_channel": 20, "exit_channel": 10, "volume_factor": 0, "stop_distance": 2}
    single = np.float64(0.002), np.float32(0.5), 0
    for fee_rate, slippage in itertools.pairwise(single):
        results = lab.grid(
            candles, "donchian_breakout", fee_rate=fee_rate, slippage=slippage, **one
        )
        trades = lab.backtest(
            candles, "donchian_breakout", fee_rate=float(fee_rate), slippage=float(slippage), **one
        ).trades
        assert results["net_profit"][0] == pytest.approx(np.prod(1 + trades["return"]) - 1)


@pytest.mark.parametrize("source", ["frame", "path", "series"])
@pytest.mark.parametrize("function", [lab.grid, lab.backtest, lab.train])
def test_what_is_no_candles_is_refused(frame, function, source):
    given = {"frame": frame, "path": "mine.parquet", "series": frame["close"]}[source]
    kind = type(given).__name__
    with pytest.raises(UserError, match=rf"given: {kind}\. .*lab\.candles"):
        function(
            given,
            "donchian_breakout",
            entry_channel=20,
            exit_channel=10,
            volume_factor=0,
            stop_distance=2,
        )


class Noted(DonchianBreakout):
    """A strategy of the notebook."""

    name = "NOTED"


@pytest.mark.parametrize("strategy", [STRATEGY, DonchianBreakout, Noted, Noted()])
def test_a_class_or_an_object_is_a_strategy(candles, results, strategy):
    mine = lab.grid(candles, strategy, **RANGES)
    pd.testing.assert_frame_equal(mine, results)


def test_a_file_is_a_strategy(candles, results, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from pipeline.strategies.donchian_breakout import DonchianBreakout\n"
        "class Mine(DonchianBreakout):\n    name = 'MINE'\nSTRATEGY = Mine()\n"
    )
    pd.testing.assert_frame_equal(lab.grid(candles, file, **RANGES), results)


class Broken(DonchianBreakout):
    """Returns no table."""

    def events(self, candles, loosest):
        """Prepare nothing."""
        return self

    def table(self, structural):
        """Return what is no table."""
        return structural


class Remembering(DonchianBreakout):
    """Moves its rows by the mean of the first candles that it saw, with all that came later."""

    name = "REMEMBERING"

    def __init__(self):
        self.mean = None

    def events(self, candles, loosest):
        """Keep the mean of the first call."""
        builder = super().events(candles, loosest)
        self.mean = candles.close.mean() if self.mean is None else self.mean
        builder._tradable = builder._tradable & (candles.close > self.mean)
        return builder


@pytest.mark.parametrize("strategy", [Remembering, Remembering()])
def test_a_backtest_of_what_looks_ahead_is_refused(candles, strategy):
    with pytest.raises(UserError, match=r"^REMEMBERING gives another result"):
        lab.backtest(
            candles, strategy, entry_channel=20, exit_channel=10, volume_factor=0, stop_distance=2
        )


def test_what_is_no_strategy_is_refused(candles):
    with pytest.raises(UserError, match=r"object: STRATEGY\.name"):
        lab.grid(candles, object())
    with pytest.raises(UserError, match="Broken: table"):
        lab.grid(candles, Broken)
    with pytest.raises(UserError, match="donchian_breakout"):
        lab.grid(candles, "donchian")


def test_values_are_held_against_the_declaration(candles):
    with pytest.raises(UserError, match=r"stop_distnce.*Did you mean 'stop_distance'"):
        lab.grid(candles, "donchian_breakout", stop_distnce=1)
    with pytest.raises(UserError, match=r"stop_distance.*above 0"):
        lab.grid(candles, "donchian_breakout", stop_distance=[-1, 1])
    with pytest.raises(UserError, match=r"one value of every parameter.*entry_channel"):
        lab.backtest(candles, "donchian_breakout", stop_distance=1)
    with pytest.raises(UserError, match="10,000,000"):
        lab.grid(candles, "donchian_breakout", entry_channel="1:9000:1", exit_channel="1:9000:1")


def test_arrays_and_ranges_are_values(candles):
    frame = lab.grid(
        candles,
        "donchian_breakout",
        entry_channel=range(20, 41, 20),
        exit_channel=np.array([10]),
        stop_distance=np.arange(1, 3),
        volume_factor=(0, 1),
    )
    assert len(frame) == 2 * 1 * 2 * 2


def test_a_filter_that_is_off_is_nan(candles):
    frame = lab.grid(
        candles,
        "liquidity_sweep",
        pierce_depth=0.001,
        rejection_candles=3,
        volume_spike_threshold=[1.5, 2],
        reversal_candle_size=0.5,
        key_level_lookback=20,
        stop_distance=1,
        target_multiple=2,
        max_spread_tolerance=[None, 50],
    )
    assert frame["max_spread_tolerance"].isna().tolist() == [True, False] * 2
    figure = lab.heatmap(frame, "max_spread_tolerance", "volume_spike_threshold")
    assert len(figure.data[0].x) == 2


def test_a_heatmap_is_the_metric_of_every_pair(results):
    figure = lab.heatmap(results, "entry_channel", "stop_distance", "sharpe_ratio", over="max")
    drawn = figure.data[0]
    assert list(drawn.x) == ["20", "40", "60"]
    assert list(drawn.y) == ["1", "1.5", "2", "2.5", "3"]
    cell = results.query("entry_channel == 40 and stop_distance == 1.5")["sharpe_ratio"]
    assert drawn.z[1][1] == cell.max()
    for words in (("entry", "stop_distance"), ("stop_distance", "stop_distance")):
        with pytest.raises(UserError, match=words[0]):
            lab.heatmap(results, *words)
    with pytest.raises(UserError, match="given: dict"):
        lab.heatmap(dict(results), "entry_channel", "stop_distance")
    with pytest.raises(UserError, match="median, max, min or mean"):
        lab.heatmap(results, "entry_channel", "stop_distance", over="best")


def test_a_verdict_is_that_of_a_training(candles, frame, tmp_path):
    verdict = lab.train(candles, "donchian_breakout", "seed=3", **RANGES)
    frame.rename_axis("timestamp").reset_index().to_parquet(tmp_path / "mine.parquet")
    words = [f"strategy.parameters.{name}={value}" for name, value in RANGES.items()]
    places = ["market=btc_binance_4h", "data=file", f"data.path={tmp_path}/mine.parquet"]
    chosen = ["strategy=donchian_breakout", "seed=3", *places, *words]
    expected = train(load(chosen, TrainConfig, "train"), Reporter())
    assert verdict.stage == expected.stage
    assert verdict.parameters == expected.parameters
    assert verdict.statistics["p_value"] == expected.statistics["p_value"]
    assert verdict.metrics["net_profit"] == expected.validation.metrics["net_profit"]
    assert len(verdict.windows) == len(expected.validation.windows)
    assert verdict.equity.iloc[-1] == np.prod(1 + expected.validation.daily)
    assert verdict.gates["name"].tolist() == [gate.name for gate in expected.gates]
    assert verdict.sentence in verdict._repr_html_().replace("&#x27;", "'")
    assert repr(verdict).startswith(verdict.sentence)
    assert verdict.why
    assert verdict.caveats


def test_a_verdict_on_invented_candles_says_so(candles):
    real = lab.train(candles, "donchian_breakout", "seed=3", **RANGES)
    invented = lab.train(candles, "donchian_breakout", "seed=3", synthetic=True, **RANGES)
    assert (real.stage, real.metrics) == (invented.stage, invented.metrics)
    assert (real.explanation.synthetic, invented.explanation.synthetic) == (False, True)
    assert invented.size == 0


@pytest.mark.parametrize("several", [[30, 20], (20, 30), np.array([20.0, 30.0]), range(20, 40, 10)])
def test_a_backtest_says_which_parameter_has_several_values(candles, several):
    values = {"exit_channel": 10, "volume_factor": 0, "stop_distance": 2}
    with pytest.raises(UserError, match="entry_channel must be one value"):
        lab.backtest(candles, "donchian_breakout", entry_channel=several, **values)


@pytest.mark.parametrize("market", ["demo", "demo_null"])
def test_a_generated_market_is_in_no_store(market):
    with pytest.raises(UserError, match=f"scripts/train market={market} "):
        lab.candles(market)


def test_a_training_takes_a_file_only(candles):
    with pytest.raises(UserError, match=r"my_strategy\.py"):
        lab.train(candles, Noted)


def test_a_training_refuses_in_a_sentence(candles):
    with pytest.raises(UserError, match="optimizer"):
        lab.train(candles, "donchian_breakout", "optimizer=guess")
    with pytest.raises(UserError, match="given: 3"):
        lab.train(candles, "donchian_breakout", 3)
    with pytest.raises(UserError, match="synthetic"):
        lab.train(candles, "donchian_breakout", synthetic="no")
    with pytest.raises(UserError, match="entry_chanel"):
        lab.train(candles, "donchian_breakout", entry_chanel=3)


@pytest.mark.parametrize("words", [("min_trades=100000",), ("objective=nothing.py",)])
def test_where_nothing_is_admissible_there_is_no_stage(candles, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing.py").write_text(
        "def score(metrics):\n    return metrics['net_profit'] * float('nan')\n"
    )
    few = ("optimizer=random", "optimizer.samples=20")
    verdict = lab.train(candles, "donchian_breakout", *few, *words)
    assert (verdict.stage, verdict.size, verdict.parameters) == (None, 0.0, None)
    assert verdict.trades.empty
    assert verdict.sentence in verdict._repr_html_()
