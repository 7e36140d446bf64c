"""Work with candles and strategies in a notebook (docs/lab.md).

>>> from pipeline import lab                                              # doctest: +SKIP
>>> candles = lab.candles("btc_1h.parquet")                               # doctest: +SKIP
>>> lab.grid(candles, "donchian_breakout", stop_distance="1:3:0.5")       # doctest: +SKIP
"""

from pipeline.lab.candles import candles
from pipeline.lab.heatmap import heatmap
from pipeline.lab.simulation import Backtest, backtest, grid
from pipeline.lab.verdict import Verdict, train

__all__ = ["Backtest", "Verdict", "backtest", "candles", "grid", "heatmap", "train"]
