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
    grid, drawn = compare.compare(candles, 1, objective)
    assert grid.rank == 0.0
    assert drawn.score <= grid.score
    assert drawn.rank >= grid.rank


def test_an_unknown_objective_is_refused(candles, capsys):
    with pytest.raises(SystemExit) as stop:
        compare.main([str(candles), "--objective", "foo"])
    assert stop.value.code == 2
    assert "net_profit" in capsys.readouterr().err


def test_a_strategy_that_looks_ahead_is_not_compared(candles, tmp_path):
    (tmp_path / "mine.py").write_text(text(LEAKS["pandas shift(-1)"]))
    with pytest.raises(UserError, match=r"^MOVE looks ahead"):
        compare.compare(candles, 1, "net_profit", (f"strategy={tmp_path / 'mine.py'}",))
