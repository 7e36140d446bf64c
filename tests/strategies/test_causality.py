"""A strategy that looks ahead is refused by its training, and none that does not is."""

import re
from contextlib import chdir
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.causality import refuse_look_ahead, settings_of
from pipeline.config import TrainConfig, load
from pipeline.errors import UserError
from pipeline.market_data.sources import load_candles
from pipeline.search import make_space, single_point
from pipeline.strategies.registry import BUILT_IN, load_strategy, locate
from pipeline.training.run import Reporter, train
from support.causal_builders import drawn_strategies
from support.leaks import CAUSAL, LEAKS, text

HOURS = ("market=demo_null", "market.timeframe=1h", "data.days=200")


@pytest.fixture(scope="module")
def candles():
    config = load(HOURS, TrainConfig, "train")
    return load_candles(config.market, config.data, lambda done: None).candles


def training(folder, source, *overrides, note=lambda text: None):
    """Train with a strategy of that source, in a file of its own."""
    (folder / "mine.py").write_text(source)
    with chdir(folder):
        config = load(
            (*HOURS, "strategy=mine.py", "min_trades=3", *overrides), TrainConfig, "train"
        )
        return train(config, Reporter(note=note))


def test_what_cannot_be_searched_is_noted(tmp_path):
    notes = []
    words = "optimizer=random", "space=continuous"
    trained = training(tmp_path, text("keep[:] = False"), *words, note=notes.append)
    assert trained.parameters is None
    for start in ("space=continuous: ", "MOVE has no signal"):
        assert sum(note.startswith(start) for note in notes) == 1
    notes.clear()
    training(tmp_path, text(""), note=notes.append)
    assert not [n for n in notes if "continuous" in n or "signal" in n]


def some_by_default(names, count):
    """The names, those after the first few with the slow tests."""
    late = [pytest.param(name, marks=pytest.mark.slow) for name in [*names][count:]]
    return [*[*names][:count], *late]


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_refused_before_the_search(leak, candles):
    strategy = load_strategy("mine", text(LEAKS[leak]))
    space = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=False)
    with pytest.raises(UserError, match=r"^MOVE (looks ahead|gives another result)"):
        refuse_look_ahead(space, candles)


@pytest.mark.parametrize("case", some_by_default(CAUSAL, 3))
def test_what_only_looks_like_a_leak_is_trained(case, tmp_path):
    assert "search" in training(tmp_path, text(CAUSAL[case])).timings


@pytest.mark.parametrize("space", ["grid", "continuous"])
def test_a_leak_is_refused_whatever_is_searched(space, tmp_path):
    leak = text(LEAKS["roll(-1)"]).replace('"Mean."', '"Mean.", low=10, high=40')
    with pytest.raises(UserError, match=r"^MOVE looks ahead"):
        training(tmp_path, leak, "optimizer=random", "optimizer.samples=10", f"space={space}")


def test_a_leak_of_the_winners_alone_is_refused_after_the_search(tmp_path, candles):
    """A continuous space has settings that nobody checks before: those it chooses are checked."""
    leak = text("side = np.where(window in (33, 34), np.where(ahead(close) > close, 1, -1), side)")
    (tmp_path / "space.py").write_text(leak := leak.replace('"Mean."', '"Mean.", low=10, high=40'))
    strategy = load_strategy(*locate(str(tmp_path / "space.py")))
    space = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=True)
    assert {33.0, 34.0}.isdisjoint(setting["window"] for setting in settings_of(space))
    refuse_look_ahead(space, candles)
    with pytest.raises(UserError, match=r"^MOVE looks ahead: .*\(window=3[34]\)"):
        training(tmp_path, leak, "optimizer=random", "optimizer.samples=100", "space=continuous")


WITHOUT_STRUCTURE = (
    text("")
    .replace('        Parameter("window", "structural", "bars"', "        # (")
    .replace('int(structural["window"])', "20")
    .replace('"Move."', '"Move.", low=1.5, high=2.5')
)


@pytest.mark.parametrize("space", ["grid", "continuous"])
def test_a_strategy_without_a_structural_parameter_is_trained(space, tmp_path):
    words = "optimizer=random", "optimizer.samples=10", f"space={space}"
    assert list(training(tmp_path, WITHOUT_STRUCTURE, *words).parameters) == [
        "strength",
        "stop_distance",
        "target_multiple",
    ]
    leak = WITHOUT_STRUCTURE.replace("leave = ", "feature = ahead(feature)\n        leave = ")
    with pytest.raises(UserError, match=r"^MOVE looks ahead"):
        training(tmp_path, leak, *words)


KERNEL = """
import numba

@numba.njit
def doubled(values):
    return 2.0 * values

class Move:"""


def test_a_kernel_of_numba_is_trained_and_is_not_kept_on_disk(tmp_path):
    pytest.importorskip("numba")
    source = text("feature = doubled(feature) / 2.0").replace("\nclass Move:", KERNEL)
    assert training(tmp_path, source).parameters == training(tmp_path, text("")).parameters
    with pytest.raises(UserError, match=r"^mine.py, line \d+: .* leave out cache=True\.$"):
        training(tmp_path, source.replace("numba.njit", "numba.njit(cache=True)"))


def test_the_refusal_names_column_bar_values_and_setting(tmp_path):
    with pytest.raises(UserError) as refusal:
        training(tmp_path, text(LEAKS["only the stop"]))
    said = str(refusal.value)
    assert re.search(r"at bar [\d,]+ \(2023-\d\d-\d\d \d\d:00 UTC\) \(window=\d\d\)", said)
    known, blind = re.search(
        r"the stop_level of the \w+ signal is (\S+) when .* and (\S+) when", said
    ).groups()
    assert float(known) != float(blind)


CHANCE = ("a random feature", "random rows", "a count of calls", "a mean kept from the first call")


@pytest.mark.parametrize("leak", CHANCE)
def test_chance_and_memory_are_told_from_the_future(leak, tmp_path):
    with pytest.raises(UserError, match=r"^MOVE gives another result for the same candles"):
        training(tmp_path, text(LEAKS[leak]))


#: ``keep`` read more out of ``loosest``, whose only limit is ``strength``, at least 1.5 or 2.
MISUSES = (
    'keep &= feature >= loosest["strength"] + 0.3',
    'keep &= feature >= 2 * loosest["strength"]',
    'keep &= (feature < 1.7) | (loosest["strength"] < 1.6)',
    'feature = feature + 0.01 * loosest["strength"]',
)
USES = ("", 'keep &= feature >= loosest["strength"]', 'keep &= feature > loosest["strength"] - 1')


def of_loosest(tmp_path, use, grid="(1.5, 2.0)"):
    """Write a strategy that has ``loosest`` at hand where its rows are chosen."""
    source = text(use.replace("loosest", "self.loosest")).replace("(1.5, 2.0)", grid)
    source = source.replace("return Moves(candles)", "return Moves(candles, loosest)")
    head = "def __init__(self, candles"
    assert head in source
    source = source.replace(f"{head}):", f"{head}, loosest):\n        self.loosest = loosest")
    (tmp_path / "mine.py").write_text(source)
    return load_strategy(*locate(str(tmp_path / "mine.py")))


@pytest.mark.parametrize("grid", ["(1.5, 2.0)", pytest.param("(1.5,)", marks=pytest.mark.slow)])
@pytest.mark.parametrize("use", [*MISUSES, *USES])
def test_loosest_may_leave_out_only_what_no_combination_takes(use, grid, tmp_path, candles):
    """Whatever is searched: the declared grid, or one combination, as a backtest has it."""
    strategy = of_loosest(tmp_path, use, grid)
    whole = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=False)
    for space in (whole, single_point(strategy, strategy.example)):
        if use in USES:
            refuse_look_ahead(space, candles)
            continue
        with pytest.raises(UserError, match=r"mine\.py: .* at bar \d.*loosest strength=1\.5"):
            refuse_look_ahead(space, candles)


def test_a_rare_leak_that_the_search_chose_is_refused(tmp_path):
    """One bar of 96 knows the future, and thresholds let the search trade that bar alone."""
    session = """
        minute = candles.timestamp // 60_000 % 1440
        side = np.where(minute == 795, np.where(ahead(close, 16) > close, 1, -1), side)
        feature = minute.astype(float)
        keep[:] = True
        """
    old = 'Parameter("strength", "threshold", "ATR", (1.5, 2.0), "Move.", sense=+1, minimum=-1e9),'
    first, last = (
        f'Parameter("{name}", "threshold", "min", {grid}, "Session.", sense={sense}),'
        for name, grid, sense in (("first", (0, 780, 795), 1), ("last", (795, 1440), -1))
    )
    one, both = "feature[rows, None]", "np.column_stack([feature[rows]] * 2)"
    source = text(session).replace(old, first + last).replace(one, both)
    with pytest.raises(UserError, match="looks ahead"):
        training(tmp_path, source, "market.timeframe=15m")


def test_an_exit_signal_that_the_search_chose_is_refused(tmp_path):
    """Trades of one bar of 96 leave at a pivot that is known later; thresholds choose that bar."""
    session = """
        minute = candles.timestamp // 60_000 % 1440
        high = pd.Series(candles.high)
        pivot = np.flatnonzero(high >= high.rolling(9, center=True).max())
        side, feature, keep[:] = np.ones(n), minute.astype(float), True
        """
    old = 'Parameter("strength", "threshold", "ATR", (1.5, 2.0), "Move.", sense=+1, minimum=-1e9),'
    first, last = (
        f'Parameter("{name}", "threshold", "min", {grid}, "Session.", sense={sense}),'
        for name, grid, sense in (("first", (0, 780, 795), 1), ("last", (795, 1440), -1))
    )
    own = """
        peaks = np.append(pivot, -1)[np.searchsorted(pivot, rows, "right")]
        exits = np.where(minute[rows] == 795, peaks, exits).astype(np.int32)
        return EventTable("""
    source = text(session).replace(old, first + last).replace("        return EventTable(", own[1:])
    source = source.replace("feature[rows, None]", "np.column_stack([feature[rows]] * 2)")
    source = source.replace('"ATR", (1.0, 2.0)', '"ATR", (5.0, 10.0)')
    with pytest.raises(UserError, match=r"looks ahead.*exit_signal_bar"):
        training(tmp_path, source, "market.timeframe=15m")


@pytest.mark.parametrize("bars", [200, pytest.param(4800, marks=pytest.mark.slow)])
def test_a_long_warm_up_hides_no_leak(bars):
    """One bar of eight knows the next one, behind a mean of so many bars."""
    config = load(("market=demo_null", "data.days=200"), TrainConfig, "train")
    candles = load_candles(config.market, config.data, lambda done: None).candles
    for seed in range(6):
        leak = f"""
            chosen = (candles.timestamp // candles.step_ms * 2654435761 + {seed * 40503} >> 7) % 8
            feature = feature + np.where(chosen == 0, ahead(close) / close - 1, 0.0)
            keep &= ~np.isnan(series.rolling({bars}).mean().to_numpy())
            """
        strategy = load_strategy("mine", text(leak))
        space = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=False)
        with pytest.raises(UserError, match="looks ahead"):
            refuse_look_ahead(space, candles)


def test_what_an_imported_module_remembers_is_forgotten(tmp_path, monkeypatch):
    helper = """
    from my_deeper_features import CACHE

    def centred(close, start, np):
        if start not in CACHE or len(CACHE[start]) < len(close):
            CACHE[start] = np.convolve(close, np.ones(9) / 9, mode="same")
        return CACHE[start][: len(close)]
    """
    (tmp_path / "my_deeper_features.py").write_text("CACHE = {}\n")
    (tmp_path / "my_features.py").write_text(dedent(helper))
    monkeypatch.syspath_prepend(tmp_path)
    leak = "feature = np.abs(close - centred(close, int(candles.timestamp[0]), np)) / atr + 1"
    pandas = "import pandas as pd\n"
    source = text(leak).replace(pandas, f"{pandas}from my_features import centred\n")
    with pytest.raises(UserError, match="feature"):
        training(tmp_path, source)


def test_candles_cannot_be_written_to(tmp_path):
    with pytest.raises(
        UserError, match=r"mine.py, line \d+: what it is handed cannot be written to"
    ):
        training(tmp_path, text("close[0] = 1.0"))


@pytest.mark.parametrize("continuous", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BUILT_IN)
def test_none_of_our_strategies_is_refused(name, continuous, candles):
    strategy = load_strategy(name)
    space = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous)
    refuse_look_ahead(space, candles)


@pytest.mark.parametrize("draws", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_causal_strategy_is_not_refused(draws, candles):
    @settings(max_examples=draws, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
    @given(strategy=drawn_strategies)
    def check(strategy):
        refuse_drawn(strategy, candles)

    check()


def refuse_drawn(strategy, candles):
    space = make_space(strategy, {p.name: p for p in strategy.parameters}, continuous=False)
    refuse_look_ahead(space, candles.cut(0, 2500))
