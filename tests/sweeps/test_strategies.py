"""`scripts/sweep strategies=[...]`: one manifest, one table, one correction over all trainings."""

import re

import pytest

from pipeline.config import TrainConfig, load
from pipeline.config.catalogue import select_strategies
from pipeline.strategies import donchian_breakout
from pipeline.strategies.registry import BUILT_IN
from pipeline.sweep import compose
from pipeline.sweeps.manifest import SweepRequest
from pipeline.validation.multiple_testing import adjusted
from pipeline.validation.stages import deciding_p
from support.runs import ROOT
from support.sweeping import TINY, sweep_here, tables

MARKETS = ("btc_binance_1h", "eth_binance_1h")
OWN_FILE = ROOT / "pipeline" / "strategies" / "donchian_breakout.py"
LABELS = [f"{market} {name}" for market in MARKETS for name in ("liquidity_sweep", "mine")]


@pytest.fixture
def own(tmp_path):
    """A strategy of one's own, a copy of a built-in one under another name."""
    text = OWN_FILE.read_text("utf-8")
    (tmp_path / "mine.py").write_text(
        text.replace(donchian_breakout.STRATEGY.name, "MINE"), "utf-8"
    )
    return tmp_path / "mine.py"


@pytest.fixture
def swept(own, tmp_path):
    words = (f"markets={','.join(MARKETS)}", "strategies=liquidity_sweep,mine.py", *TINY)
    return lambda *more: sweep_here(tmp_path, *words, *more)


def test_every_strategy_is_searched_on_every_market(swept, tmp_path):
    finished = swept()
    assert finished.status == 0, finished.err
    (sweep,), markets, jobs, configurations, _ = tables(tmp_path)
    assert (sweep["strategy"], sweep["config"]["markets"]) == ("liquidity_sweep, mine", LABELS)
    assert [(row["market"], row["status"]) for row in markets] == [(n, "done") for n in LABELS]
    stored = {row["id"]: row for row in configurations}
    names = [stored[row["configuration_id"]]["strategy"] for row in markets]
    assert names == ["LIQUIDITY_SWEEP_V3", "MINE"] * 2
    earlier = [row["statistics"]["earlier_searches"]["count"] for row in configurations]
    assert earlier == [0] * 4, "the sweep corrects for its own"
    assert {job["config"]["strategy"].get("text") is None for job in jobs} == {True, False}
    assert re.search(r"^4 trainings: ", finished.out, re.MULTILINE)

    p_values = [deciding_p(stored[row["configuration_id"]]["statistics"]) for row in markets]
    q_values = adjusted(p_values, "bh")
    assert [row["fdr_q_value"] for row in markets] == pytest.approx(q_values.tolist())
    assert [(pool["strategy"], pool["markets"]) for pool in sweep["pooled"]] == [
        ("LIQUIDITY_SWEEP_V3", 2),
        ("MINE", 2),
    ]


@pytest.mark.slow
def test_what_is_edited_alone_is_searched_again(swept, own, tmp_path):
    swept()
    before = {row["market"]: row for row in tables(tmp_path)[1]}
    assert "by this command and this code" in swept().err
    own.write_text(own.read_text("utf-8") + "\n# edited\n", "utf-8")
    assert swept().status == 0
    (newest, _), markets, *_ = tables(tmp_path)
    after = {r["market"]: r for r in markets if r["sweep_id"] == newest["id"]}
    assert {name: row["status"] for name, row in after.items()} == {
        label: "done" if label.endswith("mine") else "skipped" for label in LABELS
    }
    for label in LABELS:
        same = after[label]["configuration_id"] == before[label]["configuration_id"]
        assert same is label.endswith("liquidity_sweep")


def test_workers_need_no_file(swept, own, tmp_path):
    finished = swept("executor=processes")
    assert finished.status == 0, finished.err
    assert {row["status"] for row in tables(tmp_path)[1]} == {"done"}


def test_one_strategy_is_a_sweep_as_before(own, tmp_path):
    """It has the markets' names and, said either way, one key."""
    words = ("markets=btc_binance_1h", *TINY)
    for chosen in ("strategies=supply_shock", "strategy=supply_shock"):
        finished = sweep_here(tmp_path, *words, chosen)
        assert finished.status == 0, finished.err
    sweeps, markets, *_ = tables(tmp_path)
    assert len(sweeps) == 1
    assert [row["market"] for row in markets] == ["btc_binance_1h"]


def test_surrogates_are_counted_for_all_tests():
    configs = compose(["demo", "demo_null"], [], select_strategies(["all"]))
    tests = len(configs)
    assert tests == 2 * len(select_strategies(["all"]))
    counts = {
        c.validation.most_surrogates for c in SweepRequest(configs, ()).judged_together.values()
    }
    assert counts == {max(99, 20 * tests - 1)}


def test_a_member_is_composed_as_a_training_of_it_would_be():
    configs = compose(["demo"], ["seed=3"], ["liquidity_sweep", "donchian_breakout"])
    words = ["market=demo", "strategy=donchian_breakout", "seed=3"]
    assert configs["demo donchian_breakout"] == load(words, TrainConfig, "train")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("strategies=all", "strategy=donchian_breakout"), "contradict each other"),
        (("strategies=donchian_breakout,other.py",), "strategy=other.py is no file"),
        (("strategies=donchian,liquidity_sweep",), "strategy=donchian is not a choice"),
        (("strategies=mine.py,folder/mine.py",), "mine.py and folder/mine.py have the same name"),
        (("strategies=mine.py,twin.py",), "mine and twin both say name = 'MINE'"),
        (
            ("strategies=mine.py,liquidity_sweep", "strategy.parameters.pierce_depth.grid=[0.001]"),
            "demo mine: ",
        ),
    ],
)
def test_what_cannot_be_swept_is_a_sentence(own, tmp_path, words, sentence):
    (tmp_path / "twin.py").write_text(own.read_text("utf-8"), "utf-8")
    finished = sweep_here(tmp_path, "markets=demo", *words)
    assert finished.status == 2
    assert sentence in finished.err
    assert "Traceback" not in finished.err


def test_what_all_alone_names_stops_no_other(own, tmp_path, monkeypatch):
    monkeypatch.setenv("STRATEGY_PATH", "")
    folder = tmp_path / "folder"
    (folder / "again").mkdir(parents=True)
    text = own.read_text("utf-8")
    (folder / "good.py").write_text(text.replace("MINE", "GOOD"), "utf-8")
    (folder / "broken.py").write_text("def broken(:\n", "utf-8")
    for name in ("twice", "again/twice"):
        (folder / f"{name}.py").write_text(text.replace("MINE", "TWICE"), "utf-8")
    for name in ("brother", "sister"):
        (folder / f"{name}.py").write_text(text.replace("MINE", "SAME"), "utf-8")
    words = ("markets=btc_binance_1h", f"strategy_path={folder},{folder / 'again'}", *TINY)
    finished = sweep_here(tmp_path, *words, "strategies=all")
    assert finished.status == 1
    (_,), markets, *_ = tables(tmp_path)
    searched = {row["market"].partition(" ")[2]: row["status"] for row in markets}
    assert searched == dict.fromkeys((*BUILT_IN, "good"), "done")
    for word, why in (
        ("broken", "broken.py, line 1"),
        ("twice", "rename one of them"),
        ("brother", "sister says name = 'SAME' too"),
        ("sister", "brother says name = 'SAME' too"),
    ):
        for told in (finished.err, finished.out):
            assert re.search(rf"^strategies=all leaves out {word}: .*{why}", told, re.MULTILINE)

    by_name = sweep_here(tmp_path, *words, "strategies=all,broken")
    assert by_name.status == 2
    assert "broken.py, line 1" in by_name.err


def test_a_plan_has_a_row_for_each(own, tmp_path):
    words = ("markets=demo,demo_null", "strategies=mine.py,donchian_breakout", "data.days=200")
    finished = sweep_here(tmp_path, *words, "--dry-run")
    assert finished.status == 0, finished.err
    for label in ("demo mine", "demo_null mine", "demo donchian_breakout"):
        assert f" {label} " in finished.out
    assert "4 trainings, " in finished.out
    assert not (tmp_path / "var").exists()
