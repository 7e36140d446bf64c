"""From candles to a verdict: data, strategies, search, validation, results, and the commands."""
