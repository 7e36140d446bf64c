"""From candles to a verdict: data, strategies, search, validation, results, and the commands."""

__version__ = "0.1.0"
