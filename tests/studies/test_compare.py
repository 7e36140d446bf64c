"""`scripts/compare`: the rank of a method's best is its rank among all scores of the grid."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.market_data.synthetic import synthetic_candles
from pipeline.studies import compare
from support.leaks import LEAKS, text


@pytest.fixture(scope="module")
def candles(tmp_path_factory):
    raw = synthetic_candles(60, "1h", seed=3)
    path = tmp_path_factory.mktemp("candles") / "candles.csv"
    names = ("timestamp", "open", "high", "low", "close", "volume")
    columns = np.column_stack([getattr(raw, name) for name in names])
    form = ["%d"] + ["%.8f"] * 5
    np.savetxt(path, columns, delimiter=",", header=",".join(names), comments="", fmt=form)
    return path


@pytest.mark.parametrize("objective", ["net_profit", "max_drawdown", "profit_factor"])
def test_nothing_is_above_the_best_of_the_grid(monkeypatch, candles, objective):
    monkeypatch.setattr(compare, "METHODS", (("grid", 0), ("random", 200)))
    config = compare.configured([f"objective={objective}"])
    grid, drawn = compare.compare(candles, 1, config)
    assert grid.rank == 0.0
    assert drawn.score <= grid.score
    assert drawn.rank >= grid.rank


def test_an_unknown_objective_is_refused(candles):
    with pytest.raises(UserError, match="net_profit"):
        compare.main([str(candles), "objective=foo"])


def test_a_file_that_returns_a_metric_is_compared_as_the_metric(monkeypatch, candles, tmp_path):
    monkeypatch.setattr(compare, "METHODS", (("grid", 0), ("random", 200)))
    (tmp_path / "mine.py").write_text(
        "def score(metrics):\n    return metrics['sharpe_ratio'].copy()\n"
    )
    scores = [
        [row.score for row in compare.compare(candles, 1, compare.configured([word]))]
        for word in ("objective=sharpe_ratio", f"objective={tmp_path}/mine.py", "backend=numba")
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("key", ["optimizer=random", "seed=3", "validation.train=20", "+data=file"])
def test_a_word_that_would_do_nothing_is_refused(candles, key):
    with pytest.raises(UserError, match="does nothing here"):
        compare.main([str(candles), key])


def test_a_method_that_would_be_the_grid_is_named_as_left_out(candles, capsys):
    names = ("pierce_depth", "rejection_candles", "volume_spike_threshold")
    fixed = [
        f"strategy.parameters.{name}={value}"
        for name, value in zip(names, (0.001, 3, 2), strict=True)
    ]
    assert compare.main([str(candles), "--seeds", "1", *fixed, "min_trades=1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Left out: random 1,000, bayesian 1,000. So many draws cover all 840 combinations" in out


def test_a_strategy_that_looks_ahead_is_not_compared(candles, tmp_path):
    (tmp_path / "mine.py").write_text(text(LEAKS["pandas shift(-1)"]))
    with pytest.raises(UserError, match=r"^MOVE looks ahead"):
        compare.compare(candles, 1, compare.configured([f"strategy={tmp_path / 'mine.py'}"]))
