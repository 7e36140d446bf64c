"""`engine` refuses what does not fit the market, and answers empty cases."""

from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import (
    METRICS,
    REASONS,
    TRADE,
    Batch,
    Costs,
    EventTable,
    ExitSettings,
    RiskLimits,
    Tables,
    Window,
    engine,
    numba_kernels,
)
from support.backends import named
from support.backtest import FREE, NO_BREAKERS, Signal, make_candles, make_table
from support.random_market import random_market

CANDLES = make_candles([(100, 101, 99, 100)] * 30)
TABLE = make_table([Signal(3, features=(1.0, 2.0)), Signal(6, features=(2.0, 1.0))])
BATCH = Batch(np.zeros(2, np.int32), np.ones((2, 2)), np.zeros(2, np.int32), 3)
WHOLE = Window(0, 30)


def load(tables=(TABLE,), backend="numpy"):
    exits = ExitSettings(stop_distance=np.ones(3), target_multiple=np.array([1.0, 2.0, 3.0]))
    return engine.load(
        CANDLES, Tables(tuple(tables), (+1, -1)), exits, FREE, NO_BREAKERS, named(backend)
    )


@pytest.mark.parametrize("column", ["setup_bar", "side", "atr"])
def test_columns_of_a_table_have_one_length(column):
    short = replace(TABLE, **{column: getattr(TABLE, column)[:1]})
    with pytest.raises(ValueError, match=r"event table 1: .*every column 2 rows"):
        load([TABLE, short])


def test_a_table_has_a_feature_a_threshold():
    narrow = replace(TABLE, features=TABLE.features[:, :1])
    with pytest.raises(ValueError, match=r"shape \(2, 2\) .*got features \(2, 1\)"):
        load([narrow])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": np.ones((2, 3))}, r"thresholds of shape \(2, 2\).*got \(2, 3\) and 2"),
        ({"thresholds": np.ones((1, 2))}, r"batch of 2 units .*got \(1, 2\) and 2"),
        ({"first_exit": np.zeros(1, np.int32)}, r"as many first exits; got \(2, 2\) and 1"),
        ({"table": np.array([0, 1], np.int32)}, r"a table outside 0 \.\. 0"),
        ({"table": np.array([0, -1], np.int32)}, r"a table outside 0 \.\. 0"),
        ({"first_exit": np.array([0, 1], np.int32)}, r"an exit setting outside 0 \.\. 2"),
        ({"first_exit": np.array([0, -1], np.int32)}, r"an exit setting outside 0 \.\. 2"),
        ({"exits_per_unit": 4}, r"an exit setting outside 0 \.\. 2"),
    ],
)
def test_a_batch_fits_its_market(changes, message):
    batch = replace(BATCH, **changes)
    for ask in (engine.evaluate, engine.daily_returns):
        windows = [WHOLE] if ask is engine.evaluate else WHOLE
        with pytest.raises(ValueError, match=message):
            ask(load(), batch, windows)


def test_numbers_of_other_dtypes_are_the_same_numbers(backend):
    """Nothing here needs more than 24 bits, so that float32 holds it exactly."""
    drawn = random_market(np.random.default_rng(7), 300)
    prices = {n: getattr(drawn.candles, n).astype("f4") for n in ("open", "high", "low", "close")}
    tables = tuple(
        EventTable(**{n: _other(c) for n, c in table.columns().items()})
        for table in drawn.tables.tables
    )
    same = drawn._replace(
        candles=replace(drawn.candles, **prices),
        tables=replace(drawn.tables, tables=tables),
        exits=ExitSettings(**{n: _other(c) for n, c in drawn.exits.columns().items()}),
        batch=Batch(*map(_other, vars(drawn.batch).values())),
    )
    answers = [
        engine.evaluate(world.load(backend), world.batch, drawn.windows) for world in (drawn, same)
    ]
    assert answers[0]["sample_size"].sum() > 100
    assert answers[0].tobytes() == answers[1].tobytes()


def _other(column):
    """The same numbers in the other width."""
    if not isinstance(column, np.ndarray):
        return column
    return column.astype(np.float32 if column.dtype.kind == "f" else np.int64)


@pytest.mark.parametrize(("start", "end"), [(-1, 10), (0, 31), (10, 10), (11, 10)])
def test_a_window_is_inside_the_history(start, end):
    with pytest.raises(ValueError, match=rf"window \[{start}, {end}\) is not inside \[0, 30\)"):
        engine.evaluate(load(), BATCH, [WHOLE, Window(start, end)])


def test_trades_are_of_one_combination():
    with pytest.raises(ValueError, match="trades are of one combination; the batch has 6"):
        engine.trades(load(), BATCH, WHOLE)


def test_no_combinations_no_metrics(backend):
    nobody = Batch(np.zeros(0, np.int32), np.ones((0, 2)), np.zeros(0, np.int32), 3)
    market = load(backend=backend)
    assert engine.evaluate(market, nobody, [WHOLE]).shape == (1, 0)
    assert engine.daily_returns(market, nobody, WHOLE).shape == (0, 2)


def test_no_windows_no_metrics(backend):
    metrics = engine.evaluate(load(backend=backend), BATCH, [])
    assert (metrics.shape, metrics.dtype) == ((0, 6), METRICS)


def test_a_table_without_rows_trades_nothing(backend):
    empty = TABLE.at(np.zeros(0, np.int64))
    market = load([empty], backend)
    assert engine.evaluate(market, BATCH, [WHOLE])["sample_size"].tolist() == [[0] * 6]
    one = replace(BATCH, table=BATCH.table[:1], thresholds=np.ones((1, 2)), exits_per_unit=1)
    trades = engine.trades(market, replace(one, first_exit=BATCH.first_exit[:1]), WHOLE)
    assert (trades.shape, trades.dtype) == ((0,), TRADE)


def test_results_are_in_unit_major_order(backend):
    """Combination u * exits + x: units differ in threshold, exits in target."""
    bars = [(100, 101, 99, 100)] * 30
    for bar, high in ((5, 102), (12, 104), (20, 106)):
        bars[bar] = (100, high, 99, 100)
    exits = ExitSettings(
        stop_distance=np.ones(3), target_multiple=np.array([1.0, 2.0, 3.0])
    )  # targets 102, 104, 106
    table = make_table([Signal(0, features=(1.0,)), Signal(8, features=(2.0,))])
    market = engine.load(
        make_candles(bars), Tables((table,), (+1,)), exits, FREE, NO_BREAKERS,
        named(backend),
    )  # fmt: skip
    batch = Batch(np.zeros(2, np.int32), np.array([[2.0], [1.0]]), np.zeros(2, np.int32), 3)
    metrics = engine.evaluate(market, batch, [WHOLE, Window(0, 10)])
    # The second signal alone (it enters at 9), then both: in at 1, out at 5, in again at 9.
    assert metrics["sample_size"].tolist() == [[1, 1, 1, 2, 1, 1], [1, 1, 1, 2, 1, 1]]
    assert metrics["net_profit"][0] == pytest.approx(
        [0.02, 0.04, 0.06, 1.02**2 - 1, 0.04, 0.06], abs=1e-15
    )


def test_without_a_backend_the_best_is_taken():
    tables, exits = (
        Tables((TABLE,), (+1, -1)),
        ExitSettings(stop_distance=np.ones(1), target_multiple=np.ones(1)),
    )
    market = engine.load(CANDLES, tables, exits, FREE, NO_BREAKERS)
    assert market.backend.name == "numba"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"signal_bar": [-1, 5]}, "0 <= setup_bar <= signal_bar"),
        ({"setup_bar": [0, 6]}, "0 <= setup_bar <= signal_bar"),
        ({"setup_bar": [-1, 5]}, "0 <= setup_bar"),
        ({"side": [1, 0]}, "side of 1 or -1"),
        ({"exit_signal_bar": [-1, 5]}, "must be -1 or after signal_bar 5; got 5"),
        ({"exit_signal_bar": [-2, 7]}, "must be -1 or after signal_bar 2; got -2"),
        ({"signal_bar": [5, 4], "setup_bar": [0, 0]}, "event table 1: rows must be sorted"),
        ({"signal_bar": [5, 5], "setup_bar": [3, 2]}, "rows must be sorted"),
        ({"signal_bar": [5, 5], "setup_bar": [3, 3], "side": [-1, 1]}, "rows must be sorted"),
    ],
)
def test_rows_that_kernels_would_misread_are_refused(columns, message):
    """Compiled code does not look whether a bar exists."""
    fine = {"setup_bar": [0, 3], "signal_bar": [2, 5], "side": [1, 1], "exit_signal_bar": [-1, 9]}
    dtypes = dict.fromkeys(fine, np.int32) | {"side": np.int8}
    both = [
        EventTable(
            **{name: np.array(values, dtypes[name]) for name, values in rows.items()},
            atr=np.ones(2),
            features=np.zeros((2, 0)),
        )
        for rows in (fine, fine | columns)
    ]
    candles = make_candles([(1, 1, 1, 1)] * 10)
    engine.load(candles, Tables((both[0],), ()), ExitSettings(), FREE, NO_BREAKERS)
    with pytest.raises(ValueError, match=message):
        engine.load(candles, Tables(tuple(both), ()), ExitSettings(), FREE, NO_BREAKERS)


def test_a_batch_without_exits_is_refused():
    with pytest.raises(ValueError, match="exits_per_unit must be at least 1; got 0"):
        engine.evaluate(load(), replace(BATCH, exits_per_unit=0), [WHOLE])


def test_numbers_of_bars_beyond_int32_are_longer_than_any_history(backend):
    table = replace(TABLE, exit_signal_bar=np.full(2, np.iinfo(np.int32).max, np.int32))
    exits = ExitSettings(holding_bars=np.array([1e12]))
    market = engine.load(
        CANDLES, Tables((table,), (+1, -1)), exits, FREE, NO_BREAKERS, named(backend)
    )
    first = np.zeros(1, np.int32)
    (trade,) = engine.trades(market, Batch(first, np.array([[1.0, 2.0]]), first, 1), WHOLE)
    assert (trade["exit_bar"], REASONS[trade["reason"]]) == (29, "end")


def test_whole_numbers_among_costs_and_limits_compile_nothing_anew():
    """They would compile every kernel for types of their own: 13 s."""
    exits = ExitSettings(stop_distance=np.ones(1), target_multiple=np.ones(1))

    def compiled(costs, risk):
        engine.load(CANDLES, Tables((TABLE,), (+1, -1)), exits, costs, risk, named("numba"))
        return numba_kernels.outcomes_kernel.signatures

    before = list(compiled(Costs(0.0, 0.0), RiskLimits(1.0, 1.0, None)))
    assert list(compiled(Costs(0, 0), RiskLimits(1, 1, 2))) == before
