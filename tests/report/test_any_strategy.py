"""The report draws what has no stop, no target, no threshold, or nothing but one parameter."""

import json

import numpy as np
import pytest

from gpu_engine import REASONS
from pipeline.report.page import page, payload
from pipeline.report.shell import embedded, plotly_js
from support.reports import loaded, texts
from support.runs import QUICK, run_here

#: In when the close leaves the mean of some bars, out (by a signal) when it is back.
STRATEGY = """
import numpy as np

from gpu_engine import EventTable
from pipeline.strategies import indicators
from pipeline.strategies.base import Parameter


class Bare:
    name = "BARE_V1"
    parameters = (
        Parameter("bars", "structural", "bars", (20, 40), integer=True, minimum=1),
        # EXITS
    )

    def events(self, candles, loosest):
        return BareEvents(candles)


class BareEvents:
    def __init__(self, candles):
        self.candles, self.atr = candles, indicators.average_true_range(candles)

    def table(self, structural):
        bars, close = int(structural["bars"]), self.candles.close
        mean = np.convolve(close, np.ones(bars) / bars)[: len(close)]
        above = close > mean
        turns = np.concatenate(([False], above[1:] != above[:-1]))
        turns[: bars + 20] = False
        signal = np.flatnonzero(turns & ~self.candles.filled & (self.atr > 0))
        end = np.append(signal[1:], -1)
        return EventTable(
            setup_bar=signal.astype(np.int32),
            signal_bar=signal.astype(np.int32),
            side=np.where(above[signal], 1, -1).astype(np.int8),
            atr=self.atr[signal],
            features=np.empty((len(signal), 0)),
            exit_signal_bar=end.astype(np.int32),
        )


STRATEGY = Bare()
"""
TRAIL = """Parameter("trail_activation", "exit", "ATR", (1,), minimum=0),
        Parameter("trail_distance", "exit", "ATR", (1, 3)),
        Parameter("hold", "exit", "bars", (9, 30), role="holding_bars", integer=True, minimum=1),"""
TRAINING = (*QUICK, "validation.evidence=deciding", "validation.surrogate_count=20")


def reported(folder, exits):
    """The report of a training of the strategy above, with some exits."""
    (folder / "bare.py").write_text(STRATEGY.replace("# EXITS", exits), "utf-8")
    finished = run_here(folder, *TRAINING, "strategy=bare.py", "optimizer=grid")
    assert finished.status == 0, finished.err
    return loaded(folder)


@pytest.fixture(scope="module")
def trailing(tmp_path_factory):
    """Trades that a signal, the time or a trail ends."""
    return reported(tmp_path_factory.mktemp("trailing"), TRAIL)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Trades of a strategy with one parameter, which only signals end."""
    return reported(tmp_path_factory.mktemp("single"), "")


def drawn_trades(report):
    """Exit prices and labels of all trades in the chart of all."""
    _, gained, lost, _ = payload(report)["trades"][0]["data"]
    return [
        (price, label.rsplit(", ", 1)[1])
        for part in (gained, lost)
        for price, label in zip(part["y"][1::3], part["text"][1::3], strict=True)
    ]


def test_trades_without_levels_are_drawn_with_their_exits(trailing):
    trades = trailing.artifacts.trades
    assert np.isnan(trades["stop"]).all()
    assert np.isnan(trades["target"]).all()
    stored = [(float(t["exit"]), REASONS[t["reason"]]) for t in trades]
    assert sorted(drawn_trades(trailing)) == sorted(stored)
    assert {"signal", "time", "stop"} <= {reason for _, reason in stored}


def test_one_parameter_has_no_heatmap_and_the_rest_is_drawn(single):
    drawn = payload(single)
    assert "heatmap" not in drawn
    assert len(drawn["figures"]) >= 5
    assert {reason for _, reason in drawn_trades(single)} <= {"signal", "end"}
    assert "heatmap-x" not in page(single).replace(plotly_js(), "").split("<script")[0]


@pytest.mark.parametrize("name", ["trailing", "single"])
def test_the_page_is_whole(name, request):
    report = request.getfixturevalue(name)
    text = page(report).replace(plotly_js(), "")
    drawn = json.loads(embedded(payload(report)))  # which has no NaN
    assert len(drawn["trades"]) == 1 + min(len(report.artifacts.trades), 100)
    cells = {cell.lower() for cell in texts(text, "td")}
    assert "nan" not in cells
    told = report.configuration.document["strategy"]
    assert {p["comparison"] for p in told["parameters"]} == {None}
    assert [p["name"] for p in told["parameters"]] == list(report.configuration.parameters)
