"""Every strategy keeps the contract; one that breaks it in one way is told so by that check."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gpu_engine import ExitSettings
from pipeline.strategies.base import of_kind
from pipeline.strategies.donchian_breakout import DonchianBreakout
from pipeline.strategies.registry import BUILT_IN, load_strategy, locate
from pipeline.studies import contract
from pipeline.studies.coarse_candles import coarse_candles
from pipeline.studies.contract import CHECKS, backends_agree
from support.backends import CUDA, CUDA_ON_HOST, named
from support.documents import ROOT

checks = pytest.mark.parametrize("check", CHECKS)
strategies = pytest.mark.parametrize("word", BUILT_IN)
SEEDED = [check for check in CHECKS if check is not contract.declaration_is_legal]


@checks
@strategies
def test_every_strategy_of_the_program(word, check):
    assert list(check(load_strategy(word))) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("check", SEEDED)
@strategies
def test_every_strategy_of_the_program_in_depth(word, check, seed):
    assert list(check(load_strategy(word), seed)) == []


@pytest.mark.parametrize("backend", [CUDA_ON_HOST, CUDA])
@strategies
def test_the_kernels_agree_with_the_reference(word, backend):
    backends = (named("reference"), named(backend))
    assert list(backends_agree(load_strategy(word), 1, backends)) == []


@strategies
def test_the_candles_of_the_suite_hold_signals_of_both_sides(word):
    """What the agreement above is worth."""
    strategy = load_strategy(word)
    space = contract._space(strategy)
    builder = strategy.events(contract._candles(0), space.loosest())
    tables = [builder.table(setting) for setting in contract.settings_of(space)]
    sides = np.concatenate([table.side for table in tables])
    assert np.count_nonzero(sides > 0) > 20
    assert np.count_nonzero(sides < 0) > 20


@checks
def test_a_file_of_the_users_own(tmp_path, check):
    source = (ROOT / "pipeline/strategies/donchian_breakout.py").read_text("utf-8")
    path = tmp_path / "my_channel.py"
    path.write_text(source.replace("DONCHIAN_BREAKOUT", "MY_CHANNEL_V1"), "utf-8")
    strategy = load_strategy(*locate(str(path)))
    assert strategy.name == "MY_CHANNEL_V1"
    assert list(check(strategy)) == []


class Broken(DonchianBreakout):
    """A strategy whose tables, or the candles they come from, are changed."""

    def __init__(self, table=lambda builder, structural: builder.table(structural)):
        self._table = table

    def events(self, candles, loosest):
        builder, table = super().events(candles, loosest), self._table
        builder.candles, builder.loosest = candles, loosest

        class Builder:
            def table(self, structural):
                return table(builder, structural)

        return Builder()


def unordered(builder, structural):
    table = builder.table(structural)
    return table.at(np.arange(len(table))[::-1])


def ahead(builder, structural):
    table = builder.table(structural)
    later = np.minimum(table.signal_bar + 1, len(builder.candles) - 1)
    return replace(table, features=builder.candles.close[later][:, np.newaxis])


def counting(builder, structural):
    builder.calls = getattr(builder, "calls", 0) + 1
    table = builder.table(structural)
    return table.at(slice(builder.calls % 2, None))


def greedy(builder, structural):
    table = builder.table(structural)
    return table.at(slice(int(2 * builder.loosest["volume_factor"]), None))


def bullish(builder, structural):
    table = builder.table(structural)
    return table.at((table.side > 0) | (table.signal_bar % 2 == 0))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (unordered, contract.tables_are_in_order),
        (ahead, contract.past_is_kept),
        (counting, contract.builders_keep_nothing),
        (greedy, contract.loosest_changes_no_row),
        (bullish, contract.sides_mirror),
    ],
)
def test_what_breaks_the_contract_is_told(change, check):
    assert list(check(Broken())) == []
    faults = list(check(Broken(change)))
    assert faults
    assert all(len(fault.splitlines()) == 1 for fault in faults)


def test_a_declaration_without_a_grid_is_told():
    class NoGrid(DonchianBreakout):
        parameters = (replace(DonchianBreakout.parameters[0], grid=()),)

    assert len(list(contract.declaration_is_legal(NoGrid()))) > 0


def test_backends_that_differ_are_told(monkeypatch):
    """One of them pays other costs."""

    class Dearer(contract.Evaluator):
        def __init__(self, candles, space, costs, risk, backend):
            fee = 0.002 if backend.name == "numpy" else 0.001
            super().__init__(candles, space, replace(costs, fee_rate=fee), risk, backend)

    monkeypatch.setattr(contract, "Evaluator", Dearer)
    backends = (named("reference"), named("numpy"))
    assert len(list(backends_agree(load_strategy("donchian_breakout"), 0, backends))) > 0


def test_the_engine_names_no_strategy():
    """No word, stored name or parameter of one that is not an exit of every strategy's."""
    exits = set(vars(ExitSettings()))
    loaded = [load_strategy(word) for word in BUILT_IN]
    names = {*BUILT_IN, *(strategy.name for strategy in loaded)}
    names |= {p.name for s in loaded for p in s.parameters} - exits
    assert {p.exit for s in loaded for p in of_kind(s, "exit")} <= exits
    assert len(names) > 20
    word = re.compile(rf"\b({'|'.join(map(re.escape, names))}|sweeps?|donchian)\b", re.IGNORECASE)
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "gpu_engine").rglob("*"))
        if path.suffix in (".py", ".cu", ".cuh", ".json")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if word.search(line)
    ]
    assert lines == []


def test_random_candles_have_equal_prices():
    candles = coarse_candles(np.random.default_rng(0), 500)
    assert len(np.unique(candles.close)) < 100


@checks
def test_a_filter_that_may_be_off(check):
    source = (ROOT / "pipeline/strategies/template.py").read_text("utf-8")
    nullable = source.replace("grid=(0, 1, 1.5, 2)", "nullable=True, grid=(None, 1, 1.5, 2)")
    assert nullable != source
    strategy = load_strategy("my_channel", nullable.replace("MY_STRATEGY", "MY_CHANNEL"))
    assert list(check(strategy)) == []


@checks
def test_a_table_is_asked_with_the_structural_parameters_alone(check):
    names = {p.name for p in of_kind(DonchianBreakout(), "structural")}
    asked = []

    def noting(builder, structural):
        asked.append(set(structural))
        return builder.table(structural)

    list(check(Broken(noting)))
    assert all(keys == names for keys in asked)


@pytest.mark.parametrize("apart", [0.0, 0.25])
def test_a_mean_as_a_level_mirrors_to_the_rounding(apart):
    """The moving average of docs/your-own-strategy.md; apart, it lies higher for both sides."""
    block = (ROOT / "docs/your-own-strategy.md").read_text("utf-8").split("```\nends = ")[1]
    code = "ends = " + block.split("```")[0]

    def to_the_mean(builder, structural):
        table, values = builder.table(structural), {"np": np, "candles": builder.candles}
        exec(code, values)
        return replace(table, target_level=values["mean"][table.signal_bar] + apart)

    tables = len(contract.settings_of(contract._space(Broken())))
    assert len(list(contract.sides_mirror(Broken(to_the_mean)))) == (tables if apart else 0)
