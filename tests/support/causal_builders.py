"""Random causal event builders: expressions of indicators, each of which knows no later bar."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from gpu_engine import EventTable
from pipeline.strategies.base import Parameter
from pipeline.strategies.indicators import average_true_range, volume_ratio


def _sources():
    return {
        "close": lambda c: c.close,
        "open": lambda c: c.open,
        "high": lambda c: c.high,
        "low": lambda c: c.low,
        "volume": lambda c: c.volume,
        "range": lambda c: c.high - c.low,
        "atr": average_true_range,
        "volume ratio": volume_ratio,
        "filled": lambda c: c.filled.astype(np.float64),
        "hour": lambda c: (c.timestamp // 3_600_000 % 24).astype(np.float64),
        "age": lambda c: np.arange(len(c), dtype=np.float64),
        "noise by a seed": lambda c: np.random.default_rng(3).random(len(c)),
    }


def _windows(x, k):
    """All windows of ``k`` bars, NaN where there are fewer."""
    return sliding_window_view(np.append(np.full(k - 1, np.nan), x), k)


def _closed(x, k):
    """The value when a bar of ``k`` bars last closed."""
    ends = np.arange(len(x)) % k == k - 1
    return pd.Series(np.where(ends, x, np.nan)).ffill().to_numpy()


def _lags(x, k):
    """A product of matrices: a weighted sum of the last ``k`` values."""
    columns = [np.append(np.full(lag, x[0]), x)[: len(x)] for lag in range(k)]
    return np.column_stack(columns) @ np.linspace(1.0, 0.1, k)


#: Operations of one array and a number of bars.
OPERATIONS = {
    "shift": lambda x, k: np.append(np.full(min(k, len(x)), np.nan), x[: max(len(x) - k, 0)]),
    "rolling mean": lambda x, k: pd.Series(x).rolling(k).mean().to_numpy(),
    "rolling deviation": lambda x, k: pd.Series(x).rolling(k + 1).std().to_numpy(),
    "rolling maximum": lambda x, k: _windows(x, k).max(axis=1),
    "rolling minimum": lambda x, k: pd.Series(x).rolling(k, 1).min().to_numpy(),
    "rolling quantile": lambda x, k: pd.Series(x).rolling(k).quantile(0.8).to_numpy(),
    "rolling rank": lambda x, k: pd.Series(x).rolling(k).rank().to_numpy(),
    "window mean": lambda x, k: _windows(x, k).mean(axis=1),
    "window dot": lambda x, k: _windows(x, k) @ np.arange(1.0, k + 1),
    "convolution": lambda x, k: np.convolve(x, np.ones(k) / k)[: len(x)],
    "exponential mean": lambda x, k: pd.Series(x).ewm(span=k + 1).mean().to_numpy(),
    "exponential deviation": lambda x, k: pd.Series(x).ewm(halflife=k).std().to_numpy(),
    "cumulative mean": lambda x, k: np.cumsum(x) / np.arange(1, len(x) + 1),
    "expanding maximum": lambda x, k: np.maximum.accumulate(np.nan_to_num(x)),
    "expanding deviation": lambda x, k: pd.Series(x).expanding(k).std().to_numpy(),
    "change": lambda x, k: x - np.append(np.full(min(k, len(x)), np.nan), x[: max(len(x) - k, 0)]),
    "closed bars": _closed,
    "lags": _lags,
    "logarithm": lambda x, k: np.log1p(np.abs(x)),
    "root": lambda x, k: np.sqrt(np.abs(x)),
}

#: Operations of two arrays.
PAIRS = {
    "sum": np.add,
    "difference": np.subtract,
    "ratio": np.divide,
    "product": np.multiply,
    "larger": np.fmax,
}

bars = st.integers(1, 60)
expressions = st.recursive(
    st.sampled_from(sorted(_sources())),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), inner, bars),
        st.tuples(st.sampled_from(sorted(PAIRS)), inner, inner),
    ),
    max_leaves=4,
)


def value(expression, candles):
    """Evaluate an expression, float64 of shape (n,)."""
    if isinstance(expression, str):
        return np.array(_sources()[expression](candles))
    name, first, second = expression
    with np.errstate(all="ignore"):
        if name in PAIRS:
            return PAIRS[name](value(first, candles), value(second, candles))
        return OPERATIONS[name](value(first, candles), second)


def _above(x, y):
    """Whether ``x`` is above ``y``; not where they tie, which a product of matrices may round."""
    with np.errstate(invalid="ignore", over="ignore"):
        return x > y + 1e-9 * np.abs(y)


class Drawn:
    """A strategy of drawn expressions: what crosses what, a feature, two levels, an exit."""

    name = "DRAWN"
    parameters = (
        Parameter("share", "structural", "quantile", (0.3, 0.8), "How often it crosses."),
        Parameter("strength", "threshold", "any", (0.0,), "Feature.", sense=+1, minimum=-1e300),
        Parameter("stop_distance", "exit", "ATR", (1.0,), "Stop."),
    )

    def __init__(self, signal, feature, level, leave):
        self.signal, self.feature, self.level, self.leave = signal, feature, level, leave

    def __repr__(self):
        return f"Drawn({self.signal!r}, {self.feature!r}, {self.level!r}, {self.leave!r})"

    def events(self, candles, loosest):
        return _DrawnEvents(self, candles)

    def fresh(self):
        return self


class _DrawnEvents:
    def __init__(self, strategy, candles):
        self.n, self.atr = len(candles), average_true_range(candles)
        names = ("signal", "feature", "level", "leave")
        self.values = {name: value(getattr(strategy, name), candles) for name in names}

    def table(self, structural):
        series = pd.Series(self.values["signal"]).replace([np.inf, -np.inf], np.nan)
        usual = series.rolling(50, 10).quantile(structural["share"]).to_numpy()
        side = np.where(_above(self.values["level"], self.values["feature"]), 1, -1)
        keep = _above(series.to_numpy(), usual) & (self.atr > 0)
        rows = np.flatnonzero(keep).astype(np.int32)
        leave = np.flatnonzero(_above(self.values["leave"], series.shift(3).to_numpy()))
        exits = np.append(leave, -1)[np.searchsorted(leave, rows, "right")]
        return EventTable(
            setup_bar=rows.copy(),
            signal_bar=rows,
            side=side[rows].astype(np.int8),
            atr=self.atr[rows],
            features=self.values["feature"][rows, None].copy(),
            stop_level=self.values["level"][rows],
            exit_signal_bar=exits.astype(np.int32),
        )


drawn_strategies = st.builds(Drawn, expressions, expressions, expressions, expressions)
