"""Files of strategies that look ahead, each in its own way; and the same file without a leak.

A leak changes per-bar arrays of one ordinary strategy before its rows are taken: ``side``,
``keep``, ``feature``, ``atr``, ``stop``, ``target`` and ``leave`` (bars that give an exit signal).
"""

from textwrap import dedent, indent

FILE = '''
"""A move away from the mean, traded in its direction."""

import numpy as np
import pandas as pd

from gpu_engine import EventTable
from pipeline.strategies.base import Parameter
from pipeline.strategies.indicators import average_true_range

KEPT = {}


def ahead(values, bars=1, end="last"):
    """The value some bars later."""
    tail = values[-1] if end == "last" else end
    return np.append(values[bars:], np.full(min(bars, len(values)), tail))


class Move:
    name = "MOVE"
    parameters = (
        Parameter("window", "structural", "bars", (10, 20, 40), "Mean.", minimum=2, integer=True),
        Parameter("strength", "threshold", "ATR", (1.5, 2.0), "Move.", sense=+1, minimum=-1e9),
        Parameter("stop_distance", "exit", "ATR", (1.0, 2.0), "Stop."),
        Parameter("target_multiple", "exit", "x stop distance", (2.0,), "Target."),
    )

    def events(self, candles, loosest):
        return Moves(candles)


class Moves:
    def __init__(self, candles):
        self.candles = candles
        self.calls = 0

    def table(self, structural):
        candles, window, n = self.candles, int(structural["window"]), len(self.candles)
        self.calls += 1
        close, volume, t = candles.close, candles.volume, np.arange(n)
        series = pd.Series(close)
        mean = series.rolling(window).mean().to_numpy()
        atr = average_true_range(candles)
        feature = np.abs(close - mean) / atr
        side = np.where(close > mean, 1, -1)
        keep = feature >= 1.5
        stop, target = close - side * atr, close + 2 * side * atr
        leave = np.abs(close - mean) < 0.1 * atr
{leak}
        keep = keep & ~np.isnan(atr)
        keep[:window] = False
        rows = np.flatnonzero(keep).astype(np.int32)
        later = np.flatnonzero(leave)
        place = np.searchsorted(later, rows, "right")
        exits = np.append(later, -1)[place].astype(np.int32)
        return EventTable(
            setup_bar=rows.copy(),
            signal_bar=rows,
            side=side[rows].astype(np.int8),
            atr=atr[rows],
            features=np.ascontiguousarray(feature[rows, None], np.float64),
            stop_level=np.asarray(stop[rows], np.float64),
            target_level=np.asarray(target[rows], np.float64),
            exit_signal_bar=exits,
        )


STRATEGY = Move()
'''

LEAKS = {
    "roll(-1)": "feature = feature + np.roll(close, -1) / close",
    "five bars ahead": "side = np.where(ahead(close, 5) > close, 1, -1)",
    "a thousand bars ahead": "feature = feature + ahead(close, 1000) / close",
    "pandas shift(-1)": "feature = feature * (series.shift(-1) / series).to_numpy()",
    "rows by shift(-1)": "keep &= (series.shift(-1) > series).to_numpy() == (side > 0)",
    "rows whose next bar is good, and the last one": """
        better = np.append(close[1:] > close[:-1], True)
        keep &= better == (side > 0)
        keep[-1] = True
        """,
    "a centred window": "feature = (series.rolling(5, center=True).mean() / series).to_numpy()",
    "gradient": "feature = feature + np.gradient(close) / atr",
    "filled from behind": "feature = series.where(t % 3 == 0).bfill().to_numpy() / close",
    "normalised by the whole history": "feature = (close - close.mean()) / close.std() + 2",
    "over the whole history's maximum": "feature = close / close.max() + 1",
    "a rank in the whole history": "feature = series.rank(pct=True).to_numpy() + 1",
    "a quantile of the whole history": "keep &= volume > np.quantile(volume, 0.4)",
    "a bar of four that is not closed": """
        four = candles.timestamp // (4 * candles.step_ms)
        feature = (series.groupby(four).transform("last") / series).to_numpy() + 1
        """,
    "a model fitted on all bars": """
        change = np.diff(close, append=close[-1]) / close
        slope, level = np.polyfit(np.nan_to_num(close / mean), change, 1)
        feature = feature + slope * close / mean + level
        """,
    "a smoothing by FFT": """
        waves = np.fft.rfft(close)
        waves[len(waves) // 8 :] = 0
        feature = np.fft.irfft(waves, n) / close + 1
        """,
    "a random feature": "feature = feature + np.random.default_rng().random(n)",
    "random rows": "keep &= np.random.default_rng().random(n) < 0.9",
    "a shuffle with a seed": "keep &= np.random.default_rng(1).permutation(n) % 2 == 0",
    "a count of calls": "feature = feature + 0.001 * self.calls",
    "a mean kept from the first call": "feature = close / KEPT.setdefault(1, close.mean()) + 1",
    "closes kept from all calls": """
        KEPT.update(zip(candles.timestamp.tolist(), close.tolist()))
        following = candles.timestamp + candles.step_ms
        feature = feature + [KEPT.get(k, 0.0) for k in following.tolist()] / close
        """,
    "a cache by length": "feature = KEPT.setdefault((window, n), feature)",
    "only the exit signal": "leave = ahead(close) < close",
    "only the exit signal, three ahead": "leave &= ahead(close, 3) < close",
    "only the stop": "stop = np.minimum(stop, ahead(candles.low))",
    "only the target": "target = close + side * np.abs(ahead(close, 10) - close)",
    "only the ATR": "atr = ahead(atr)",
    "only the short side": "feature = np.where(side < 0, feature + ahead(close) / close, feature)",
    "only the second half": "feature = np.where(t > n // 2, ahead(close) / close + 1, feature)",
    "only after a bar": "feature = np.where(t > 2900, ahead(close) / close + 1, feature)",
    "only after a date": """
        late = candles.timestamp > candles.timestamp[0] + 100 * 86_400_000 - t * 0
        feature = np.where(t * late > 2400, ahead(close) / close + 1, feature)
        """,
    "only one structural value": "feature = feature + (window == 20) * ahead(close) / close",
    "only on extreme volume": """
        extreme = volume >= pd.Series(volume).rolling(400, 1).max().to_numpy()
        feature = np.where(extreme, ahead(close) / close + 1, feature)
        """,
    "whether the next bar is filled": "keep &= ~np.append(candles.filled[1:], False)",
    "a feature of the filled": "feature = feature + np.append(candles.filled[1:], False)",
    "no signal near the end": "keep &= t < n - 30",
    "the share of the history": "feature = feature + t / n",
    "every second bar from the end": "keep &= (n - t) % 2 == 0",
    "time to the last candle": """
        left = candles.timestamp[-1] - candles.timestamp
        feature = feature + left / (left[0] + 1)
        """,
    "the last bits": "feature = feature + 1e-12 * (ahead(close) > close)",
    "the next volume": "keep &= np.append(volume[1:] <= 1.1 * volume[:-1], True)",
    "a limit order that filled": "keep &= ahead(candles.low, 1, -np.inf) < close - 0.1 * atr",
}

#: What only looks like a leak: all of these are causal.
CAUSAL = {
    "nothing": "",
    "a seed, bar by bar": "feature = feature + np.random.default_rng(1).random(n)",
    "a closed bar of four": """
        four = candles.timestamp // (4 * candles.step_ms)
        closed = pd.Series(np.where(np.diff(four, append=-1) != 0, close, np.nan))
        ends = (candles.timestamp + candles.step_ms) % (4 * candles.step_ms) == 0
        feature = feature + np.nan_to_num(closed.where(ends).ffill().to_numpy() / close)
        """,
    "a product of matrices": """
        lags = np.column_stack([np.append(np.full(k, close[0]), close[: n - k]) for k in range(8)])
        feature = lags @ np.linspace(0.5, 0.1, 8) / close
        """,
    "two layers of float32": """
        lags = np.column_stack([np.append(np.full(k, close[0]), close[: n - k]) for k in range(16)])
        generator, inputs = np.random.default_rng(1), (lags / close[:, None] - 1).astype(np.float32)
        hidden = np.maximum(inputs @ generator.normal(size=(16, 32)).astype(np.float32), 0)
        feature = feature + (hidden @ generator.normal(size=(32, 1)).astype(np.float32))[:, 0]
        """,
    "what fails where nothing was traded": """
        assert pd.Series(volume).rolling(5).max().min() > 0
        atr = (pd.Series(candles.high) - candles.low).rolling(5).mean().to_numpy()
        keep[:] = True
        """,
    "an expanding mean": "feature = close / series.expanding().mean().to_numpy() + 1",
    "the clock": "keep &= (candles.timestamp // 3_600_000) % 24 >= 8",
    "memory of its own tables": "keep &= KEPT.setdefault(window, window) == window",
}


def text(leak):
    """Return the file with a leak of `LEAKS`, or without one where it is empty."""
    return FILE.replace("{leak}", indent(dedent(leak).strip(), " " * 8))
