"""`pipeline.check`: what it says of a clean strategy, of broken ones, and of mistakes."""

import json

import pytest

from gpu_engine import DAY_MS
from pipeline import check
from pipeline.causality.mirror import mirror_test
from pipeline.market_data.grid import make_regular
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.strategies.registry import load_strategy
from support.leaks import CAUSAL, LEAKS, text
from support.runs import run
from support.stored import command

SMALL = ("market=demo_null", "market.timeframe=1h", "data.days=100")


def checked(folder, leak, *words):
    (folder / "mine.py").write_text(text(leak))
    return command(check, folder, "mine.py", *SMALL, *words)


def test_a_clean_strategy(tmp_path):
    finished = checked(tmp_path, CAUSAL["nothing"], "--json")
    report = json.loads(finished.out)
    assert (finished.status, report["findings"], report["tables"]) == (0, [], 3)
    own = [f for f in report["frequencies"] if f["parameter"] == "strength"]
    assert [f["value"] for f in own] == [1.5, 2.0]
    assert own[0]["trades_a_year"] > own[1]["trades_a_year"] > 0
    assert report["mirror"]["outcome"] == "not tested"


@pytest.mark.parametrize(
    "leak",
    ["roll(-1)"]
    + [pytest.param(n, marks=pytest.mark.slow) for n in ("only the exit signal", "random rows")],
)
def test_a_leak_is_found(leak, tmp_path):
    finished = checked(tmp_path, LEAKS[leak])
    assert finished.status == 1
    assert "none" not in finished.out.splitlines()[-2]


@pytest.mark.slow
def test_another_process_orders_sets_anew(tmp_path):
    """A strategy may agree with itself all day and with nobody else."""
    source = "feature = feature + hash('a word') % 1000"
    finished = checked(tmp_path, source, "--json")
    (finding,) = json.loads(finished.out)["findings"]
    assert finding.startswith("Another process")


@pytest.mark.slow
def test_a_history_that_is_too_short_for_windows_will_do(tmp_path):
    (tmp_path / "mine.py").write_text(text(CAUSAL["nothing"]))
    words = ("market=demo_null", "market.timeframe=1h", "data.days=100", "--json")
    finished = command(check, tmp_path, "mine.py", *words)
    assert finished.status == 0, finished.err
    assert json.loads(finished.out)["bars"] == 2400


@pytest.mark.parametrize("words", [(), ("one.py", "two.py"), ("no_such_strategy",)])
def test_a_mistake_is_said(words, tmp_path):
    assert command(check, tmp_path, *words).status == 2


def test_a_broken_file_is_said(tmp_path):
    finished = checked(tmp_path, "feature = feature.astype(np.float32)[:-1]")
    assert finished.status == 2
    assert "mine.py, line" in finished.err


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("", "mirrored"),
        ("side = np.abs(side)", "different"),
        ("feature = feature + (side > 0)", "different"),
        ("stop = close - atr", "different"),
        ("leave = close > mean + atr", "different"),
    ],
)
def test_sides_are_held_against_each_other(source, outcome, tmp_path):
    strategy = load_strategy("mine", text(source).replace('"MOVE"', '"MOVE"\n    mirrored = True'))
    candles, _ = make_regular(synthetic_candles(100, "1h", 3, 0.6), "1h", "generated")
    result = mirror_test(strategy, {"strength": 1.5}, [{"window": 20.0}], candles)
    assert len(candles) == 100 * DAY_MS // candles.step_ms
    assert (result.outcome, result.rows > 100) == (outcome, True)


def test_without_a_signal_nothing_is_clean(tmp_path):
    finished = checked(tmp_path, "keep = keep & False", "--json")
    report = json.loads(finished.out)
    assert (finished.status, report["rows"], len(report["findings"])) == (1, 0, 1)


@pytest.mark.slow
def test_what_a_strategy_prints_is_no_part_of_the_report(tmp_path):
    """Here and in the other process, when the file is loaded and when a table is made."""
    (tmp_path / "mine.py").write_text(f"print('loaded')\n{text('print(12345)')}")
    finished = run(tmp_path, "mine.py", *SMALL, "--json", module="pipeline.check")
    assert (finished.status, json.loads(finished.out)["findings"]) == (0, [])
    assert finished.err.count("loaded") >= 2
    assert "12345" in finished.err
